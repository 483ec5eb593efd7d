"""The mirror: a plain text file to which every statement is also appended, one line each.

The database is authoritative. The mirror serves `tail -f`, `grep` and backup scripts. It never prevents a statement
from being stored: a line that could not be written is logged, and `manage.py feedback_mirror` writes the file again
from the rows.
"""

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from filecmp import cmp
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from feedback.models import Feedback
from worker.inference.repository.files import sync

logger = logging.getLogger(__name__)

CHUNK = 2000  # rows per query
APPEND_TIME = timedelta(seconds=10)  # within this time after a statement is stored, its line may not be written yet


def append(feedback: Feedback) -> None:
    """Appends the line of a statement, unless the mirror has it. Call it after the commit. Logs errors, raises none."""
    try:
        # The mark is committed after the line is written, and before the lock is released: a process that dies leaves
        # no mark without a line, and a rebuild has either written the line or sees that it is missing.
        with _lock(), transaction.atomic():
            if Feedback.objects.not_mirrored().filter(pk=feedback.pk).update(mirrored_at=timezone.now()):
                _append_line(settings.FEEDBACK_FILE, feedback.mirror_line)
    except (OSError, DatabaseError) as error:
        logger.error(
            "Feedback %s is stored, but its line is missing in the mirror %s: %s",
            feedback.pk,
            settings.FEEDBACK_FILE,
            error,
        )


def rebuild() -> tuple[int, Path | None]:
    """Writes the mirror again from the rows, oldest first. Processes that append wait until it is done.

    The new file is written beside the mirror and renamed, so a rebuild that is killed leaves the mirror as it was. If
    the content changes, the previous file is kept: it may have lines that were never rows.

    Returns the number of lines, and the path of the previous file if there is one. Raises `OSError`.
    """
    path: Path = settings.FEEDBACK_FILE.resolve()
    new = path.with_name(f"{path.name}.new")
    with _lock():
        try:
            lines, not_marked = _write_rows(new)
            previous = _replace(path, new)
        finally:
            new.unlink(missing_ok=True)
        for start in range(0, len(not_marked), CHUNK):
            Feedback.objects.filter(pk__in=not_marked[start : start + CHUNK]).update(mirrored_at=timezone.now())
    return lines, previous


def remove_erased() -> None:
    """Removes the lines of erased statements from the mirror and from its previous files. Logs errors, raises none.

    A removal that was interrupted is done by the next call.
    """
    try:
        if not Feedback.objects.still_mirrored().exists():
            return
        with _lock():
            erased = list(Feedback.objects.still_mirrored().only("pk", "created_at", "prediction_id"))
            if not erased:  # another process has removed them meanwhile
                return
            path: Path = settings.FEEDBACK_FILE.resolve()
            for file in (path, *_previous(path)):
                _remove_lines(file, {statement.mirror_start.encode() for statement in erased})
            Feedback.objects.filter(pk__in=[statement.pk for statement in erased]).update(mirrored_at=None)
    except (OSError, DatabaseError) as error:
        logger.error("Erased lines are still in the mirror %s: %s", settings.FEEDBACK_FILE, error)


def _previous(path: Path) -> list[Path]:
    """Returns the files that rebuilds have kept."""
    return [file for file in path.parent.glob(f"{path.name}.*") if _PREVIOUS.fullmatch(file.name[len(path.name) :])]


_PREVIOUS = re.compile(r"\.\d{8}T\d{6}\.\d{6}")


def _remove_lines(path: Path, starts: Collection[bytes]) -> None:
    """Writes the file again without the lines that begin with one of `starts`. Keeps all others byte by byte."""
    if not path.exists():
        return
    length = max(map(len, starts))  # all are equally long
    new = path.with_name(f"{path.name}.new")
    try:
        with path.open("rb") as old, new.open("wb") as file:
            removed = 0
            for line in old:
                if line[:length] in starts:
                    removed += 1
                else:
                    file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if removed:
            _keep_owner(path, new)
            new.replace(path)
            sync(path.parent)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _lock() -> Iterator[None]:
    """Keeps every other process from writing the mirror.

    Locks a file beside the mirror, because a rebuild or a log rotation replaces the mirror itself.
    """
    path: Path = settings.FEEDBACK_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _append_line(path: Path, line: str) -> None:
    """Appends the whole line or nothing. Raises `OSError`."""
    content = f"{line}\n".encode()
    with path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            content = b"\n" + content  # after a line that was torn by a power cut
        try:
            while content:
                content = content[file.write(content) :]
        except OSError:
            file.truncate(size)
            raise


def _write_rows(path: Path) -> tuple[int, list[int]]:
    """Writes the line of each row. Returns the number of lines, and the ids of the rows that are not marked yet."""
    lines, not_marked = 0, []
    rows = Feedback.objects.filter(erased_at__isnull=True).select_related("prediction__image").order_by("pk")
    with path.open("wb") as file:
        for feedback in rows.iterator(chunk_size=CHUNK):
            file.write(f"{feedback.mirror_line}\n".encode())
            lines += 1
            if feedback.mirrored_at is None:
                not_marked.append(feedback.pk)
        file.flush()
        os.fsync(file.fileno())
    return lines, not_marked


def _replace(path: Path, new: Path) -> Path | None:
    """Renames the new file to the mirror. Returns the path of the previous file, if there is one that differs."""
    previous = None
    if path.exists():
        if cmp(path, new, shallow=False):
            return None
        _keep_owner(path, new)
        previous = path.with_name(f"{path.name}.{timezone.now():%Y%m%dT%H%M%S.%f}")
        os.link(path, previous)  # a rename would leave no mirror if the process is killed before the next line
    new.replace(path)
    return previous


def _keep_owner(path: Path, new: Path) -> None:
    """Gives the new file the owner and mode of the old one: root must leave a file that the site can write."""
    owner = path.stat()
    os.chown(new, owner.st_uid, owner.st_gid)
    shutil.copymode(path, new)
