"""Writing a data set: the same cases make the same bytes, however many there are, in the same memory.

What is in it is read from the database at once and kept in a file beside. So it is of one moment, and neither a
database connection nor a snapshot is held while the pictures are copied, which may take hours.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from feedback.export.archive import Archive
from feedback.export.formats import WRITERS, Writer, classes
from feedback.export.manifest import Line, Manifest
from feedback.export.pictures import MissingPicture, stored_picture
from feedback.export.read_me import Counts, read_me
from feedback.export.selection import SelectedCase, Selection
from worker.repository.files import sha256_of, sync


@dataclass
class Progress:
    """How far it is: `done` of `total` cases, and so many pictures that are missing."""

    total: int
    done: int = 0
    missing: int = 0


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Written:
    """What has become of it. `byte_size` and `sha256` are the file's."""

    counts: Counts
    byte_size: int
    sha256: str


class NothingToExport(Exception):
    """No decided case is in the selection."""


def write(selection: Selection, kind: str, path: Path, report: Report = lambda progress: None) -> Written:
    """Writes a data set to `path`, where it appears whole or not at all.

    `report` is told after each case; whatever it raises ends the writing. Raises `NothingToExport`, and `OSError` if
    the file cannot be written. Pictures that are missing are counted, and named in the manifest.
    """
    draft = _draft(path)
    try:
        with draft.open("wb") as file:
            counts = _Export(selection, kind, file, draft).write(report)
            file.flush()
            os.fsync(file.fileno())  # before somebody is told that it is there
        written = Written(counts, draft.stat().st_size, sha256_of(draft))
        draft.replace(path)
        sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return written


def _draft(path: Path) -> Path:
    # Never the same twice: somebody else may be writing the same data set.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def remove_drafts(path: Path) -> None:
    """Removes what writers to this path have left behind that were killed."""
    for draft in path.parent.glob(f".{path.name}.*.part*"):
        draft.unlink(missing_ok=True)


@dataclass
class _Selected:
    """What is to be written, on the disk: a line of JSON for each case."""

    lines: IO[str]
    total: int = 0
    byte_size: int = 0
    labels: set[str] = field(default_factory=set)

    def add(self, case: SelectedCase) -> None:
        self.lines.write(json.dumps([*case[:6], case.decided_at.isoformat(), *case[7:]]) + "\n")
        self.total += 1
        if case.label:
            self.labels.add(case.label)
            self.byte_size += case.byte_size

    def __iter__(self) -> Iterator[SelectedCase]:
        self.lines.seek(0)
        for line in self.lines:
            values = json.loads(line)
            yield SelectedCase._make([*values[:6], datetime.fromisoformat(values[6]), *values[7:]])


class _Export:
    """One data set on its way into a file."""

    def __init__(self, selection: Selection, kind: str, file: IO[bytes], draft: Path) -> None:
        self._selection = selection
        self._kind = kind
        self._file = file
        self._draft = draft
        self._pictures = self._converted = self._unusable = 0

    def write(self, report: Report) -> Counts:
        with ExitStack() as stack:
            # Beside the file: what may not fit into memory may not fit into a small /tmp either.
            scratch = [stack.enter_context(TemporaryFile(dir=self._draft.parent)) for _ in range(4)]
            directory, *texts = scratch
            lines, csv_text, jsonl_text = (TextIOWrapper(file, "utf-8", newline="") for file in texts)
            selected = self._select(lines)
            progress = Progress(selected.total)
            report(progress)
            archive = Archive(self._file, directory)
            labels = sorted(selected.labels)
            self._write_cases(archive, labels, selected, Manifest(csv_text, jsonl_text), progress, report)
            counts = Counts(
                progress.total, self._pictures, len(labels), self._converted, progress.missing, self._unusable
            )
            archive.add("labels.txt", "".join(f"{label}\n" for label in classes(labels)).encode())
            for name, text, file in (("manifest.csv", csv_text, texts[1]), ("manifest.jsonl", jsonl_text, texts[2])):
                text.flush()
                archive.add_file(name, file)
            archive.add("README.txt", read_me(self._selection, self._kind, counts).encode())
            archive.finish()
        return counts

    def _select(self, lines: IO[str]) -> _Selected:
        selected = _Selected(lines)
        for case in self._selection.rows():
            selected.add(case)
        if not selected.total:
            raise NothingToExport("No decided case is in the selection.")
        _require_space(self._draft.parent, selected.byte_size)
        return selected

    def _write_cases(
        self,
        archive: Archive,
        labels: list[str],
        selected: _Selected,
        manifest: Manifest,
        progress: Progress,
        report: Report,
    ) -> None:
        records = self._draft.with_name(f"{self._draft.name}.records")
        with WRITERS[self._kind](archive, labels, records) as writer:
            for case in selected:
                line = self._write_case(case, writer)
                manifest.add(line)
                progress.done += 1
                progress.missing += bool(line.missing)
                report(progress)

    def _write_case(self, case: SelectedCase, writer: Writer) -> Line:
        if not case.label:
            self._unusable += 1
            return Line.of(case)
        try:
            picture = stored_picture(case.stored_file, case.sha256)
        except MissingPicture as missing:
            return Line.of(case, missing=missing.reason)
        self._pictures += 1
        self._converted += picture.is_converted
        file = writer.add(case.label, case.sha256, picture)
        return Line.of(case, file=file, changed="converted" if picture.is_converted else "")


def _require_space(folder: Path, byte_size: int) -> None:
    """Raises `OSError` if it cannot fit: a disk that is full also keeps pictures and answers from being stored."""
    free = shutil.disk_usage(folder).free
    if byte_size > free:
        message = f"It needs at least {megabytes(byte_size)}; {megabytes(free)} are free in {folder}."
        raise OSError(message)


def megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
