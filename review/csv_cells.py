"""Escapes user text in CSV files that may be opened in a spreadsheet program."""

# A spreadsheet reads a cell that begins with one of these as a formula. Some programs drop leading whitespace.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(cell: str) -> str:
    """Puts an apostrophe before a cell that a spreadsheet might run as a formula.

    Labels, names and comments come from users. A cell such as `=HYPERLINK(...)` would run on the computer where the
    file is opened (OWASP, "CSV Injection"). A spreadsheet reads the apostrophe as "this is text"; other programs show
    it.
    """
    return f"'{cell}" if cell.startswith(_STARTS_A_FORMULA) else cell
