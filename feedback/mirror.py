"""The mirror: a plain text file that every statement is also appended to, one line each.

The rows are the truth. The mirror is for people with `tail -f`, `grep` and a backup script, so it must never keep a
statement from being stored, and never hold half a line.
"""

import fcntl
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from feedback.models import Feedback

logger = logging.getLogger(__name__)

CHUNK = 2000  # rows read or marked at a time


def append(feedback: Feedback) -> bool:
    """Appends one statement to the mirror, unless its line is there. Whether it is there now.

    Call it after the row is committed. A mirror that cannot be written is logged, and `feedback_mirror --rebuild`
    mends it later: nothing is raised and nothing is lost.
    """
    try:
        # Marked under the lock: a rebuild at the same moment has either written the line or will see the mark. And
        # in a transaction: a mark is never there without its line, wherever this process dies.
        with _locked(settings.FEEDBACK_FILE) as file, transaction.atomic():
            if Feedback.objects.not_mirrored().filter(pk=feedback.pk).update(mirrored_at=timezone.now()):
                _write(file, [feedback.mirror_line])
    except (OSError, DatabaseError) as error:
        logger.error(
            "Feedback %s is stored, but its line is missing in the mirror %s: %s",
            feedback.pk,
            settings.FEEDBACK_FILE,
            error,
        )
        return False
    return True


def rebuild() -> int:
    """Writes the lines that are missing in the mirror, oldest first. How many there were.

    Compares the rows with the file's content, so it also mends a file that was cut short or lost. Lines that are
    there are never touched. Raises `OSError` if the mirror cannot be read or written.
    """
    with _locked(settings.FEEDBACK_FILE) as file:
        there = Counter(_lines(file))
        missing: list[str] = []
        unmarked: list[int] = []
        rows = Feedback.objects.select_related("prediction__image").order_by("pk")
        for feedback in rows.iterator(chunk_size=CHUNK):
            line = feedback.mirror_line
            if feedback.mirrored_at is None:
                unmarked.append(feedback.pk)
            if there[line]:
                there[line] -= 1
            else:
                missing.append(line)
        _write(file, missing)
        # These and no others: a statement that was stored since the rows were read is not in the file yet.
        for start in range(0, len(unmarked), CHUNK):
            Feedback.objects.filter(pk__in=unmarked[start : start + CHUNK]).update(mirrored_at=timezone.now())
    return len(missing)


def problem() -> str | None:
    """Why the mirror cannot be written just now, or `None`. Changes nothing."""
    path: Path = settings.FEEDBACK_FILE
    try:
        if path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
        folder = next(parent for parent in path.parents if parent.exists())
        if not path.exists() and not os.access(folder, os.W_OK | os.X_OK):
            return f"no permission to make {path.name} in {folder}"
        return "no space left on its disk" if os.statvfs(folder).f_bavail == 0 else None
    except OSError as error:
        return str(error)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The mirror, open for reading and appending, with every other process kept out. Made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_still(file, path):
                yield file
                return
        finally:
            os.close(file)


def _is_still(file: int, path: Path) -> bool:
    """Whether this is the file of that name: it may have been rotated away while we waited for the lock."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _write(file: int, lines: list[str]) -> None:
    """Appends whole lines or nothing. Raises `OSError`."""
    if not lines:
        return
    size = os.fstat(file).st_size
    content = "".join(f"{line}\n" for line in lines).encode()
    if size and os.pread(file, 1, size - 1) != b"\n":
        content = b"\n" + content  # a line that a power cut tore stays by itself
    try:
        written = 0
        while written < len(content):
            written += os.write(file, content[written:])
    except OSError:
        os.ftruncate(file, size)
        raise


def _lines(file: int) -> Iterator[str]:
    """Every line without its end. Reads what the file holds now and no more: a device would never end."""
    left = os.fstat(file).st_size
    with open(os.dup(file), "rb") as reader:
        reader.seek(0)
        while left > 0 and (line := reader.readline()):
            left -= len(line)
            yield line.decode(errors="replace").rstrip("\n")
