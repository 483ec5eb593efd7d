"""`manage.py export_cases`: decided cases as a data set, into a file."""

from __future__ import annotations

import signal
import time
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import Error as DatabaseError

from learning.datasets import writing
from learning.datasets.formats import WRITERS
from learning.datasets.selection import Selection
from predictions.exceptions import RequestRejected
from review.models import Case

INTERRUPTED = 130  # as a shell says it: 128 and the number of SIGINT


class Command(BaseCommand):
    help = "Writes the decided cases, pictures and all, into a zip file to train a network on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=sorted(WRITERS), required=True)
        parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the zip file to write")
        parser.add_argument("--since", type=_day, metavar="DAY", help="decided on this day (YYYY-MM-DD, UTC) or later")
        parser.add_argument("--until", type=_day, metavar="DAY", help="decided on this day or earlier")
        parser.add_argument("--label", action="append", default=[], help="only this label; may be given again")
        parser.add_argument(
            "--verdict",
            action="append",
            default=[],
            metavar="VERDICT",
            help=f"only this verdict: {', '.join(Case.Outcome)}; may be given again",
        )
        parser.add_argument("--force", action="store_true", help="write over a file that is there already")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        # Something to clean up after, as with Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._require_writable(output, options["force"])
            selection = Selection.parse(
                since=options["since"], until=options["until"], labels=options["label"], verdicts=options["verdict"]
            )
            written = writing.write(selection, options["format"], output, _Teller(self.stderr))
        except RequestRejected as rejection:
            raise CommandError(rejection.message) from rejection
        except writing.NothingToExport as error:
            raise CommandError("No decided case fits this selection.") from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}") from error
        except OSError as error:
            raise CommandError(f"Cannot write {output}: {error.strerror or error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing was kept.", returncode=INTERRUPTED) from None
        counts = written.counts
        self.stdout.write(
            f"{output}: {counts.cases:,} cases, {counts.pictures:,} pictures, {counts.labels:,} labels, "
            f"{writing.megabytes(written.byte_size)}, SHA-256 {written.sha256}"
        )
        if counts.missing:
            message = f"{counts.missing:,} pictures are missing; the manifest says which, and why."
            self.stderr.write(self.style.WARNING(message))

    def _require_writable(self, output: Path, force: bool) -> None:
        if not output.parent.is_dir():
            raise CommandError(f"There is no folder {output.parent}.")
        if output.is_dir():
            raise CommandError(f"{output} is a folder; name a file.")
        if output.exists() and not force:
            raise CommandError(f"{output} is there already; --force writes over it.")


class _Teller:
    """Says how far it is: on a terminal in one line that changes, elsewhere in a line now and then."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._seconds = 0.2 if self._is_terminal else 10
        self._next_at = 0.0

    def __call__(self, progress: writing.Progress) -> None:
        is_last = progress.done == progress.total
        if time.monotonic() < self._next_at and not is_last:
            return
        self._next_at = time.monotonic() + self._seconds
        line = f"{progress.done:,} of {progress.total:,} cases"
        if self._is_terminal:
            self._stream.write(f"\r{line}", ending="\n" if is_last else "")
            self._stream.flush()
        else:
            self._stream.write(line)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a day: YYYY-MM-DD") from error
