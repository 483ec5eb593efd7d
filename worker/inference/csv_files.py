"""Reads CSV files that people write by hand or with a spreadsheet, and makes cells safe to open in one."""

from __future__ import annotations

import csv
import io
import unicodedata

MAX_BYTES = 20_000_000  # a file of 12,000 labels with their synonyms has less than 2 million

# Without it, Excel reads UTF-8 as the system's own encoding.
BYTE_ORDER_MARK = "\ufeff"

# A spreadsheet reads a cell that begins with one of these as a formula, some programs also in full width.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class InvalidFile(ValueError):
    """The file cannot be read as CSV; the message says why, with the number of the line."""


def read_rows(content: bytes) -> list[tuple[int, list[str]]]:
    """Returns the rows of a CSV file in UTF-8, with or without a byte order mark, each with the number of its line.

    Columns are separated by commas, semicolons or tabs, whichever the first line has most of: spreadsheets of some
    languages write semicolons. Cells lose the spaces around them, and the apostrophe that `neutral` puts before some.
    Rows without any text are left out.

    Raises:
        InvalidFile: the file is too large, is not UTF-8, has a NUL character, or a quotation mark without its
            counterpart.
    """
    text = _text(content)
    first = next(iter(text.strip().splitlines()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [_without_apostrophe(cell.strip()) for cell in cells]
            if any(stripped):
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise InvalidFile(f"line {reader.line_num} is not CSV: {error}") from error
    return rows


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise InvalidFile(f"the file has more than {MAX_BYTES:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidFile(f"line {line} is not in UTF-8: save the file as CSV in UTF-8") from error
    before, nul, _after = text.partition("\0")
    if nul:
        line = before.count("\n") + 1
        raise InvalidFile(f"line {line} has a NUL character")
    return text


def neutral(cell: str) -> str:
    """Puts an apostrophe before a cell that a spreadsheet might run as a formula.

    Labels, names and comments come from users. A cell such as `=HYPERLINK(...)` would run on the computer where the
    file is opened (OWASP, "CSV Injection"). A spreadsheet reads the apostrophe as "this is text"; other programs show
    it. Some programs drop what is invisible at the beginning of a cell.
    """
    is_formula = cell.lstrip(_invisible(cell)).startswith(_STARTS_A_FORMULA)
    return f"'{cell}" if is_formula or cell.startswith(("\t", "\r", "\n")) else cell


def _invisible(cell: str) -> str:
    """Returns the white space, control and format characters of a text."""
    return "".join({one for one in cell if one.isspace() or unicodedata.category(one) in {"Cc", "Cf"}})


def _without_apostrophe(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and neutral(cell[1:]) == cell else cell
