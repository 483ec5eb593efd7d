"""Folder names for labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from hashlib import sha256

# Beside letters and digits of any script. Not `%` and `~`, which have a meaning of their own here, and none of what
# Windows or a path reserves.
_PLAIN = frozenset(" _-.,()+'")
# A name that begins like this is hidden, or taken for an option; one that ends like this loses its end on Windows.
_NOT_FIRST = frozenset(" -.")
_NOT_LAST = frozenset(" .")
_MAX_BYTES = 120  # a file name may have 255, and whole paths on Windows not many more
_PORTS = (f"{name}{number}" for name in ("com", "lpt") for number in "0123456789")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *_PORTS})  # names that Windows keeps for itself


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """A folder name for each label: the label itself wherever that can be one, and never the same for two.

    What cannot stand in a name is written as in URLs (`%2F`). A label that differs from another one in its capitals
    only, as ImageNet's `Cardigan` and `cardigan` do, or is very long, gets a bit of its hash at its end: there are
    file systems that would take the two for one.
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
    """The same for names that a file system may take for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _escaped(label: str) -> str:
    """Different for different labels: what stands for a sign, stands for it alone."""
    last = len(label) - 1
    signs = []
    for place, sign in enumerate(label):
        is_plain = sign.isalnum() or sign in _PLAIN
        if place == 0 and (sign in _NOT_FIRST or label.partition(".")[0].rstrip().casefold() in _DEVICES):
            is_plain = False
        if place == last and sign in _NOT_LAST:
            is_plain = False
        signs.append(sign if is_plain else "".join(f"%{byte:02X}" for byte in sign.encode()))
    return "".join(signs)
