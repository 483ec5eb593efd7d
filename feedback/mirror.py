"""The mirror: a plain text file that every statement is also appended to, one line each.

The rows are the truth. The mirror is for people with `tail -f`, `grep` and a backup script, so it must never keep a
statement from being stored, and never hold half a line.
"""

import fcntl
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from feedback.models import Feedback

logger = logging.getLogger(__name__)

CHUNK = 2000  # rows read or marked at a time
UNDER_WAY = timedelta(seconds=10)  # a statement this young may be on its way into the file
EXAMPLES = 20  # of what `verify` finds


@dataclass
class Differences:
    """What `verify` finds: how many statements it compared with how many lines, and what is on one side only.

    Of the lines that are `missing` the first ones are named, each with its feedback's id; of the `extra` ones, which
    no statement accounts for, the first ones with their numbers, counted from 1.
    """

    statements: int = 0
    lines: int = 0
    missing: int = 0
    extra: int = 0
    first_missing: list[tuple[int, bytes]] = field(default_factory=list)
    first_extra: list[tuple[int, bytes]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra)

    def add_missing(self, pk: int, line: bytes) -> None:
        self.missing += 1
        if len(self.first_missing) < EXAMPLES:
            self.first_missing.append((pk, line))

    def add_extra(self, number: int, line: bytes) -> None:
        self.extra += 1
        if len(self.first_extra) < EXAMPLES:
            self.first_extra.append((number, line))


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
                _write(file, [_line(feedback)])
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
        there = _counted(file, os.fstat(file).st_size)
        missing: list[bytes] = []
        unmarked: list[int] = []
        for feedback, line in _rows():
            if feedback.mirrored_at is None:
                unmarked.append(feedback.pk)
            if not _taken(there, line):
                missing.append(line)
        _write(file, missing)
        # These and no others: a statement that was stored since the rows were read is not in the file yet.
        for start in range(0, len(unmarked), CHUNK):
            Feedback.objects.filter(pk__in=unmarked[start : start + CHUNK]).update(mirrored_at=timezone.now())
    return len(missing)


def verify() -> Differences:
    """Compares the mirror with the rows. Changes nothing, and keeps nobody from writing meanwhile.

    Where the same line should stand more often, or less often, than it does, the later ones are missing, or extra.
    A file that is not there has no lines. Raises `OSError` if it cannot be read.
    """
    found = Differences()
    try:
        with _locked(settings.FEEDBACK_FILE, to_read=True) as file:
            # The file only grows: what it holds at this moment can be read in peace, and whatever stands in it
            # belongs to rows that are read after this.
            moment, size = timezone.now(), os.fstat(file).st_size
            fcntl.flock(file, fcntl.LOCK_UN)
            there = _counted(file, size)
            found.lines = there.total()
            _find_missing(found, there, moment)
            _find_extra(found, there, file, size)
    except FileNotFoundError:
        _find_missing(found, Counter(), timezone.now())
    return found


def _find_missing(found: Differences, there: Counter[bytes], moment: datetime) -> None:
    """Takes the line of each row out of `there`, the lines that the file had at that moment."""
    for feedback, line in _rows():
        if _taken(there, line):
            found.statements += 1
        elif _is_due(feedback, moment):
            found.statements += 1
            found.add_missing(feedback.pk, line)


def _is_due(feedback: Feedback, moment: datetime) -> bool:
    """Whether the line of this statement should have been in the file at that moment."""
    if feedback.mirrored_at is None:
        return feedback.created_at < moment - UNDER_WAY
    return feedback.mirrored_at < moment


def _find_extra(found: Differences, surplus: Counter[bytes], file: int, size: int) -> None:
    """Names the lines in the file's first `size` bytes that are left in `surplus`."""
    surplus = +surplus
    if not surplus:
        return
    # Of equal lines, the first ones are those that rows account for.
    accounted: Counter[bytes] = Counter()
    for line in _lines(file, size):
        if (key := _key(line)) in surplus:
            accounted[key] += 1
    accounted -= surplus
    for number, line in enumerate(_lines(file, size), start=1):
        if (key := _key(line)) in surplus and not _take(accounted, key):
            found.add_extra(number, line)


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
def _locked(path: Path, *, to_read: bool = False) -> Iterator[int]:
    """The mirror, open for reading and appending, with every other process kept out. Made if it is not there.

    `to_read`: open for reading only, with those kept out who write. `FileNotFoundError` if it is not there.
    """
    if not to_read:
        path.parent.mkdir(parents=True, exist_ok=True)
    access = os.O_RDONLY if to_read else os.O_RDWR | os.O_CREAT | os.O_APPEND
    while True:
        file = os.open(path, access | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_SH if to_read else fcntl.LOCK_EX)
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


def _rows() -> Iterator[tuple[Feedback, bytes]]:
    """Each statement, oldest first, with its line."""
    rows = Feedback.objects.select_related("prediction__image").order_by("pk")
    return ((feedback, _line(feedback)) for feedback in rows.iterator(chunk_size=CHUNK))


def _line(feedback: Feedback) -> bytes:
    return feedback.mirror_line.encode()


def _write(file: int, lines: list[bytes]) -> None:
    """Appends whole lines or nothing. Raises `OSError`."""
    if not lines:
        return
    size = os.fstat(file).st_size
    content = b"".join(line + b"\n" for line in lines)
    if size and os.pread(file, 1, size - 1) != b"\n":
        content = b"\n" + content  # a line that a power cut tore stays by itself
    try:
        written = 0
        while written < len(content):
            written += os.write(file, content[written:])
    except OSError:
        os.ftruncate(file, size)
        raise


def _lines(file: int, size: int) -> Iterator[bytes]:
    """Every line in the file's first `size` bytes, without its end. No more is read: a device would never end."""
    with open(os.dup(file), "rb") as reader:
        reader.seek(0)
        while size > 0 and (line := reader.readline(size)):
            size -= len(line)
            yield line.removesuffix(b"\n")


def _counted(file: int, size: int) -> Counter[bytes]:
    """How often each line stands there, by its key: of half a million lines that is 50 MB and not 300."""
    return Counter(_key(line) for line in _lines(file, size))


def _key(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


def _taken(there: Counter[bytes], line: bytes) -> bool:
    """Takes one line out of those that are there. Whether there was one."""
    return _take(there, _key(line))


def _take(there: Counter[bytes], key: bytes) -> bool:
    if there[key] <= 0:
        return False
    there[key] -= 1
    return True
