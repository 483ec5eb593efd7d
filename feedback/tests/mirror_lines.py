"""Writes statements to a test's mirror, and reads its lines."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from feedback.services import report_take


def mirror_lines(path: Path | None = None) -> list[str]:
    """Returns the whole lines of the mirror, or of another file, without line ends."""
    return Path(path or settings.FEEDBACK_FILE).read_text().split("\n")[:-1]


def give_reports(*texts: str) -> None:
    for text in texts:
        report_take(text=text)
