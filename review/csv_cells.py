"""Text from people in a table that somebody may open with a spreadsheet program."""

# What makes a spreadsheet take a cell for a formula, also after the blanks that some of them drop.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(cell: str) -> str:
    """The cell with an apostrophe before it if a spreadsheet might run it as a formula.

    Labels, names and comments come from people: `=HYPERLINK(...)` would be run on the machine of whoever opens the
    file (OWASP, "CSV Injection"). The apostrophe says "this is text" to a spreadsheet, and other programs can see it.
    """
    return f"'{cell}" if cell.startswith(_STARTS_A_FORMULA) else cell
