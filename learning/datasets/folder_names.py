"""Folder names for labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from hashlib import sha256

# Allowed in addition to the letters and digits of any script. `%` and `~` mark escapes and hashes; Windows and paths
# reserve other characters.
_PLAIN = frozenset(" _-.,()+'")
_NOT_FIRST = frozenset(" -.")  # at the beginning, `.` hides a file, and `-` makes its name look like an option
_NOT_LAST = frozenset(" .")  # Windows drops these at the end
_MAX_BYTES = 120  # file systems allow 255 for a name, and Windows 260 characters for a path
_PORTS = (f"{name}{number}" for name in ("com", "lpt") for number in "0123456789")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *_PORTS})  # names that Windows reserves


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Returns a folder name for each label: the label itself if possible, and a different name for each.

    Characters that a name cannot have are escaped as in URLs (`%2F`). The name of a very long label ends with
    part of the label's hash. So does the name of a label that differs from another only in case, such as ImageNet's
    `Cardigan` and `cardigan`, which some file systems would confuse.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(set(labels)):
        name = _escaped(label)
        if len(name.encode()) > _MAX_BYTES:
            start = name.encode()[:_MAX_BYTES].decode(errors="ignore")
            name = _with_hash(start, label)
        if _folded(name) in taken:
            name = _with_hash(name, label)
        taken.add(_folded(name))
        names[label] = name
    return names


def _with_hash(name: str, label: str) -> str:
    return f"{name}~{sha256(label.encode()).hexdigest()[:12]}"


def _folded(name: str) -> str:
    """Returns the same text for all names that a file system may confuse."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _escaped(label: str) -> str:
    """Escapes a label. Different labels have different results."""
    last = len(label) - 1
    parts = []
    for index, char in enumerate(label):
        is_plain = char.isalnum() or char in _PLAIN
        if index == 0 and (char in _NOT_FIRST or label.partition(".")[0].rstrip().casefold() in _DEVICES):
            is_plain = False
        if index == last and char in _NOT_LAST:
            is_plain = False
        parts.append(char if is_plain else "".join(f"%{byte:02X}" for byte in char.encode()))
    return "".join(parts)
