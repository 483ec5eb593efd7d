"""`manage.py feedback_mirror`: compares the mirror with the rows, or mends it from them."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from feedback import mirror

LINE_MAX_LENGTH = 120  # characters of a line that are shown


class Command(BaseCommand):
    help = "The plain text mirror of the feedback: compares it with the rows in the database, or mends it from them."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--verify", action="store_true", help="say which lines are missing or extra; exit code 1 if there are any"
        )
        what.add_argument("--rebuild", action="store_true", help="write the missing lines")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verify"]:
            self.verify()
        else:
            self.rebuild()

    def rebuild(self) -> None:
        try:
            written = mirror.rebuild()
        except OSError as error:
            raise CommandError(f"The mirror cannot be written: {error}") from error
        self.stdout.write(f"{settings.FEEDBACK_FILE}: {written} missing lines written.")

    def verify(self) -> None:
        try:
            found = mirror.verify()
        except OSError as error:
            raise CommandError(f"The mirror cannot be read: {error}") from error
        compared = f"{_number(found.statements, 'statement')}, {_number(found.lines, 'line')}"
        if not found:
            self.stdout.write(f"{settings.FEEDBACK_FILE}: {compared}; nothing is missing, nothing is extra.")
            return
        self.stdout.write(f"{settings.FEEDBACK_FILE}: {compared}; {found.missing} missing, {found.extra} extra.")
        self._list("Missing (--rebuild writes them):", "feedback", found.missing, found.first_missing)
        self._list("Extra (no statement accounts for them):", "line", found.extra, found.first_extra)
        sys.exit(1)

    def _list(self, title: str, what: str, total: int, first: list[tuple[int, bytes]]) -> None:
        if not total:
            return
        self.stdout.write(title)
        for number, line in first:
            self.stdout.write(f"  {what} {number}: {_shown(line)}")
        if total > len(first):
            self.stdout.write(f"  and {total - len(first)} more")


def _number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _shown(line: bytes) -> str:
    """A line as a terminal can show it: shortened, and with escapes in place of what cannot be seen.

    Everybody may write into the mirror, so that what comes out of it must not steer the terminal.
    """
    # No character has more than four bytes: this is one character more than can be shown, at the least.
    text = line[: 4 * (LINE_MAX_LENGTH + 1)].decode(errors="backslashreplace")
    is_cut = len(text) > LINE_MAX_LENGTH
    escaped = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[:LINE_MAX_LENGTH]
    )
    return f"{escaped}… ({len(line)} bytes)" if is_cut else escaped
