"""Writing a data set: the same cases make the same bytes, however many there are, in the same memory.

What is in it is read from the database at once and kept in a file beside. So it is of one moment, and neither a
database connection nor a snapshot is held while the pictures are copied, which may take hours.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from learning.datasets.archive import Archive
from learning.datasets.formats import WRITERS, Writer, classes
from learning.datasets.manifest import Line, Manifest
from learning.datasets.pictures import MissingPicture, stored_picture
from learning.datasets.read_me import Counts, read_me
from learning.datasets.selection import BYTES_BESIDE, SelectedCase, Selection
from worker.inference.repository.files import sha256_of, sync


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


@dataclass(frozen=True)
class Draft:
    """A data set that is whole, on the disk, and not yet where somebody would look for it."""

    file: Path
    path: Path
    written: Written

    def publish(self) -> None:
        self.file.replace(self.path)
        sync(self.path.parent)


def write(selection: Selection, kind: str, path: Path, report: Report = lambda progress: None) -> Written:
    """Writes a data set to `path`, where it appears whole or not at all. Raises what `draft` raises."""
    with draft(selection, kind, path, report) as whole:
        whole.publish()
    return whole.written


@contextmanager
def draft(selection: Selection, kind: str, path: Path, report: Report = lambda progress: None) -> Iterator[Draft]:
    """Writes a data set beside `path`. What the caller does not publish is removed.

    `report` is told after each case; whatever it raises ends the writing. Raises `NothingToExport`, and `OSError` if
    the file cannot be written. Pictures that are missing are counted, and named in the manifest.
    """
    # Never the same twice: somebody else may be writing the same data set.
    own = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with own.open("wb") as file:
            counts = _Export(selection, kind, file, own).write(report)
            file.flush()
            os.fsync(file.fileno())  # before somebody is told that it is there
        yield Draft(own, path, Written(counts, own.stat().st_size, sha256_of(own)))
    finally:
        own.unlink(missing_ok=True)


def remove_drafts(path: Path) -> None:
    """Removes what writers to this path have left behind that were killed."""
    for left in path.parent.glob(f".{path.name}.*.part*"):
        left.unlink(missing_ok=True)


def drafts(folder: Path) -> list[tuple[str, Path]]:
    """The drafts in a folder, each with the name of the file that it was to become."""
    found = ((_DRAFT.fullmatch(file.name), file) for file in folder.glob(".*.part*"))
    return [(match["name"], file) for match, file in found if match]


_DRAFT = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part(\.records)?")


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
            texts = [stack.enter_context(TemporaryFile(dir=self._draft.parent)) for _ in range(3)]
            lines, csv_text, jsonl_text = (TextIOWrapper(file, "utf-8", newline="") for file in texts)
            selected = self._select(lines)
            progress = Progress(selected.total)
            report(progress)
            archive = stack.enter_context(Archive(self._file))
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
        return counts

    def _select(self, lines: IO[str]) -> _Selected:
        selected = _Selected(lines)
        for case in self._selection.rows():
            selected.add(case)
        if not selected.total:
            raise NothingToExport("No decided case is in the selection.")
        _require_space(self._draft.parent, selected.byte_size + selected.total * BYTES_BESIDE)
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
    """A number of bytes, for people."""
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
