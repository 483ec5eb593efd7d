"""The files of results: `results.json` and a page of Markdown. A run replaces only its own part of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stress.bench import machine
from stress.tables import BenchReport, wrapped

HEADING = """# Performance

Measured by `make bench`, which writes the parts between two `bench` comments.
"""


def write(
    report: BenchReport, described: dict[str, Any], options: dict[str, Any], *, results: Path, page: Path
) -> None:
    """Puts a report, with the machine and the options, into both files."""
    everything = json.loads(results.read_text()) if results.exists() else {}
    everything[report.name] = {"machine": described, "options": options, **report.as_json()}
    _replace(results, json.dumps(everything, indent=1, sort_keys=True) + "\n")
    before = page.read_text(encoding="utf-8") if page.exists() else HEADING
    part, content = f"bench:{report.name}", f"{report.as_markdown()}\n\n{wrapped(machine.sentence(described) + '.')}"
    if f"<!-- {part} -->" not in before:
        before = f"{before.rstrip()}\n\n## {report.title}\n\n<!-- {part} --><!-- /{part} -->\n"
    _replace(page, with_part(before, part, content))


def with_part(page: str, part: str, content: str) -> str:
    """Replaces the text between the two comments of a part. Raises `ValueError` if the page has no such comments."""
    start, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no {start} … {end}")
    return f"{before}{start}\n{content}\n{end}{after}"


def _replace(path: Path, text: str) -> None:
    """Writes in one step, so that an interrupted run leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f".{path.name}.incoming")
    incoming.write_text(text, encoding="utf-8")
    incoming.replace(path)
