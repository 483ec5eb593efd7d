"""Reads CSV files that people write by hand or with a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

MAX_BYTES = 20_000_000  # a file of 12,000 labels with their synonyms has less than 2 million


class InvalidFile(ValueError):
    """The file cannot be read as CSV; the message says why, with the number of the line."""


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Returns the rows of a CSV file in UTF-8, with or without a byte order mark, each with the number of its line.

    Cells lose the spaces around them. Rows without any text are left out.

    Raises:
        InvalidFile: the file is too large, is not UTF-8, or has a quotation mark without its counterpart.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise InvalidFile(f"the file has more than {MAX_BYTES:,} bytes")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidFile(f"line {line} is not in UTF-8: save the file as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise InvalidFile(f"line {reader.line_num} is not CSV: {error}") from error
    return rows
