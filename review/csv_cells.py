"""What makes CSV files safe and readable in a spreadsheet program."""

import unicodedata

# Without it, Excel reads UTF-8 as the system's own encoding.
BYTE_ORDER_MARK = "\ufeff"

# A spreadsheet reads a cell that begins with one of these as a formula, some programs also in full width.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


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
