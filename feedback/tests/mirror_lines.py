"""The mirror of a test: what stands in it, and statements that come to stand in it."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from feedback.services import report_take


def mirror_lines(path: Path | None = None) -> list[str]:
    """The whole lines of the mirror, or of another file, without their ends."""
    return Path(path or settings.FEEDBACK_FILE).read_text().split("\n")[:-1]


def give_reports(*texts: str) -> None:
    for text in texts:
        report_take(text=text)
