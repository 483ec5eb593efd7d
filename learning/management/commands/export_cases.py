"""`manage.py export_cases`: writes decided cases to a file as a data set."""

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
from learning.datasets.case_selection import CaseSelection
from learning.datasets.formats import WRITERS
from learning.templatetags.units import file_size
from predictions.exceptions import RequestRejected
from review.models import Case

INTERRUPTED = 130  # the exit status a shell reports for SIGINT: 128 + 2


class Command(BaseCommand):
    help = "Writes decided cases with their pictures to a zip file, to train a model on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=sorted(WRITERS), required=True)
        parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the zip file to write")
        parser.add_argument(
            "--since", type=_day, metavar="DAY", help="only cases decided on or after this day (YYYY-MM-DD, UTC)"
        )
        parser.add_argument("--until", type=_day, metavar="DAY", help="only cases decided until the end of this day")
        parser.add_argument("--label", action="append", default=[], help="only this label; repeat for more")
        parser.add_argument(
            "--verdict",
            action="append",
            default=[],
            metavar="VERDICT",
            help=f"only this verdict: {', '.join(Case.Outcome)}; repeat for more",
        )
        parser.add_argument(
            "--labels-of",
            default="",
            metavar="VERSION",
            help="name the pictures by the labels of this model version (name@version); default: the active one",
        )
        parser.add_argument("--force", action="store_true", help="overwrite an existing file")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        # Clean up on SIGTERM as on Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._require_writable(output, options["force"])
            selection = CaseSelection.parse(
                since=options["since"],
                until=options["until"],
                labels=options["label"],
                verdicts=options["verdict"],
                labels_of=options["labels_of"],
            ).with_version()
            writing.remove_drafts(output)  # left by a process that was killed
            written = writing.write(selection, options["format"], output, _ProgressPrinter(self.stderr))
        except RequestRejected as rejection:
            raise CommandError(rejection.message) from rejection
        except writing.NothingToExport as error:
            raise CommandError("No decided case matches this selection.") from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}") from error
        except OSError as error:
            raise CommandError(f"Cannot write {output}: {error.strerror or error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing was kept.", returncode=INTERRUPTED) from None
        counts = written.counts
        self.stdout.write(
            f"{output}: {counts.cases:,} cases, {counts.pictures:,} pictures, {counts.labels:,} labels, "
            f"{file_size(written.byte_size)}, SHA-256 {written.sha256}"
        )
        if counts.missing:
            message = f"Missing pictures: {counts.missing:,}. The manifest lists them with the reason."
            self.stderr.write(self.style.WARNING(message))

    def _require_writable(self, output: Path, force: bool) -> None:
        if not output.parent.is_dir():
            raise CommandError(f"The folder {output.parent} does not exist.")
        if output.is_dir():
            raise CommandError(f"{output} is a folder; give a file name.")
        if output.exists() and not output.is_file():
            raise CommandError(f"{output} is not a regular file, and would be replaced by one.")
        if output.exists() and not force:
            raise CommandError(f"{output} already exists; use --force to overwrite it.")


class _ProgressPrinter:
    """Prints the progress: on a terminal in one line that changes, elsewhere in a new line every ten seconds."""

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
