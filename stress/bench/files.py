"""Where the figures are kept: `results.json` and a page of Markdown. A run replaces its own part of both only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from stress.bench import machine
from stress.bench.table import Report, wrapped

HEADING = """# Performance

Measured by `make bench`. What stands between two `bench` comments is written by it; the rest is not.
"""


def write(report: Report, described: dict[str, Any], options: dict[str, Any], *, results: Path, page: Path) -> None:
    """Puts a report into both files. `options`: with what it was run."""
    everything = json.loads(results.read_text()) if results.exists() else {}
    everything[report.name] = {"machine": described, "options": options, **report.as_json()}
    _replace(results, json.dumps(everything, indent=1, sort_keys=True) + "\n")
    before = page.read_text(encoding="utf-8") if page.exists() else HEADING
    content = f"{report.as_markdown()}\n\n{wrapped(machine.sentence(described) + '.')}"
    _replace(page, _with_part(before, report, content))


def _with_part(page: str, report: Report, content: str) -> str:
    start, end = f"<!-- bench:{report.name} -->", f"<!-- /bench:{report.name} -->"
    part = f"{start}\n{content}\n{end}"
    between = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if between.search(page):
        return between.sub(lambda _found: part, page, count=1)
    return f"{page.rstrip()}\n\n## {report.title}\n\n{part}\n"


def _replace(path: Path, text: str) -> None:
    """In one step: an interrupted run leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f".{path.name}.incoming")
    incoming.write_text(text, encoding="utf-8")
    incoming.replace(path)
