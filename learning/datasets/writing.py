"""Writes data sets. The same cases in the labels of the same model version make the same bytes.

The cases are first copied from the database to a temporary file. This makes a data set consistent, and no database
connection or snapshot stays open while the pictures are copied, which may take hours.
"""

from __future__ import annotations

import fcntl
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
from learning.datasets.case_selection import OVERHEAD_BYTES, CaseSelection, SelectedCase
from learning.datasets.formats import WRITERS, PictureWriter, classes
from learning.datasets.manifest import DatasetManifest, ManifestLine
from learning.datasets.pictures import MissingPicture, stored_picture
from learning.datasets.readme_text import ExportCounts, readme_text
from learning.templatetags.units import file_size
from worker.inference.repository.files import sha256_of, sync


@dataclass
class Progress:
    """The progress of an export: `done` of `total` cases are written, and `missing` pictures were not found."""

    total: int
    done: int = 0
    missing: int = 0


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class WrittenFile:
    """The result of an export. `byte_size` and `sha256` are the file's."""

    counts: ExportCounts
    byte_size: int
    sha256: str


class NothingToExport(Exception):
    """The selection matches no decided case."""


@dataclass(frozen=True)
class FinishedDraft:
    """A complete data set on the disk, not yet renamed to its final path."""

    file: Path
    path: Path
    written: WrittenFile

    def publish(self) -> None:
        self.file.replace(self.path)
        sync(self.path.parent)


def _ignore(progress: Progress) -> None:
    """Does nothing: a callback for callers that need no progress."""


def write(selection: CaseSelection, kind: str, path: Path, report: ProgressCallback = _ignore) -> WrittenFile:
    """Writes a data set to `path`, completely or not at all. Raises what `draft` raises."""
    with draft(selection, kind, path, report) as finished:
        finished.publish()
    return finished.written


@contextmanager
def draft(
    selection: CaseSelection, kind: str, path: Path, report: ProgressCallback = _ignore
) -> Iterator[FinishedDraft]:
    """Writes a data set beside `path`. Leaving the context removes it unless the caller has published it.

    Calls `report` after each case; an exception from it ends the writing. Raises `NothingToExport`, and `OSError` if
    the file cannot be written. Missing pictures are counted and listed in the manifest.
    """
    # A unique name: another process may be writing the same data set.
    draft_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with draft_path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until this process ends, even if it is killed
            counts = _ExportWriter(selection, kind, file, draft_path).write(report)
            file.flush()
            os.fsync(file.fileno())  # before it is published
        yield FinishedDraft(draft_path, path, WrittenFile(counts, draft_path.stat().st_size, sha256_of(draft_path)))
    finally:
        draft_path.unlink(missing_ok=True)


def remove_drafts(path: Path) -> None:
    """Removes the drafts that killed processes have left for this path, and not those that are being written."""
    for name, file in drafts(path.parent):
        if name == path.name and not _is_being_written(file.with_name(file.name.removesuffix(".records"))):
            file.unlink(missing_ok=True)


def _is_being_written(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def drafts(folder: Path) -> list[tuple[str, Path]]:
    """Returns (name of the final file, path of the draft) for each draft in a folder."""
    found = ((_DRAFT.fullmatch(file.name), file) for file in folder.glob(".*.part*"))
    return [(match["name"], file) for match, file in found if match]


_DRAFT = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part(\.records)?")


@dataclass
class _Selected:
    """The selected cases, in a temporary file with one line of JSON each."""

    lines: IO[str]
    total: int = 0
    byte_size: int = 0
    waiting: int = 0  # decided cases that are left out because their label was split or dropped
    labels: set[str] = field(default_factory=set)

    def add(self, case: SelectedCase) -> None:
        self.lines.write(json.dumps(case, default=datetime.isoformat) + "\n")
        self.total += 1
        if case.label:
            self.labels.add(case.label)
            self.byte_size += case.byte_size

    def leave_out(self) -> None:
        self.waiting += 1

    def __iter__(self) -> Iterator[SelectedCase]:
        self.lines.seek(0)
        for line in self.lines:
            values = dict(zip(SelectedCase._fields, json.loads(line), strict=True))
            yield SelectedCase(**values | {"decided_at": datetime.fromisoformat(values["decided_at"])})


class _ExportWriter:
    """Writes one data set to a file."""

    def __init__(self, selection: CaseSelection, kind: str, file: IO[bytes], draft: Path) -> None:
        self._selection = selection
        self._kind = kind
        self._file = file
        self._draft = draft
        self._pictures = self._converted = self._unusable = self._without_label = 0

    def write(self, report: ProgressCallback) -> ExportCounts:
        """Writes everything once. Raises what `draft` raises."""
        with ExitStack() as stack:
            # Beside the file, because a small /tmp may not have the space.
            texts = [stack.enter_context(TemporaryFile(dir=self._draft.parent)) for _ in range(3)]
            lines, csv_text, jsonl_text = (TextIOWrapper(file, "utf-8", newline="") for file in texts)
            selected = self._select(lines)
            progress = Progress(selected.total)
            report(progress)
            archive = stack.enter_context(Archive(self._file))
            labels = sorted(selected.labels)
            self._write_cases(archive, labels, selected, DatasetManifest(csv_text, jsonl_text), progress, report)
            counts = ExportCounts(
                progress.total,
                self._pictures,
                len(labels),
                self._converted,
                progress.missing,
                self._unusable,
                self._without_label,
                selected.waiting,
            )
            archive.add("labels.txt", "".join(f"{label}\n" for label in classes(labels)).encode())
            for name, text, file in (("manifest.csv", csv_text, texts[1]), ("manifest.jsonl", jsonl_text, texts[2])):
                text.flush()
                archive.add_file(name, file)
            archive.add("README.txt", readme_text(self._selection, self._kind, counts).encode())
        return counts

    def _select(self, lines: IO[str]) -> _Selected:
        selected = _Selected(lines)
        for case in self._selection.rows(selected.leave_out):
            selected.add(case)
        if not selected.total:
            raise NothingToExport("The selection matches no decided case.")
        _require_space(self._draft.parent, selected.byte_size + selected.total * OVERHEAD_BYTES)
        return selected

    def _write_cases(
        self,
        archive: Archive,
        labels: list[str],
        selected: _Selected,
        manifest: DatasetManifest,
        progress: Progress,
        report: ProgressCallback,
    ) -> None:
        records = self._draft.with_name(f"{self._draft.name}.records")
        with WRITERS[self._kind](archive, labels, records) as writer:
            for case in selected:
                line = self._write_case(case, writer)
                manifest.add(line)
                progress.done += 1
                progress.missing += bool(line.missing)
                report(progress)

    def _write_case(self, case: SelectedCase, writer: PictureWriter) -> ManifestLine:
        if not case.label:
            self._unusable += not case.proposed_label
            self._without_label += bool(case.proposed_label)
            return ManifestLine.of(case)
        try:
            picture = stored_picture(case.stored_file, case.sha256)
        except MissingPicture as missing:
            return ManifestLine.of(case, missing=missing.reason)
        self._pictures += 1
        self._converted += picture.is_converted
        file = writer.add(case.label, case.sha256, picture)
        return ManifestLine.of(case, file=file, changed=picture.change)


def _require_space(folder: Path, byte_size: int) -> None:
    """Raises `OSError` if the data set does not fit. A full disk would also stop uploads and answers."""
    free = shutil.disk_usage(folder).free
    if byte_size > free:
        message = f"It needs at least {file_size(byte_size)}; {file_size(free)} are free in {folder}."
        raise OSError(message)
