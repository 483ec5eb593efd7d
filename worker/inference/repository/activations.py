"""The active version, and the history of activations: `activations.jsonl`, one line each, the latest last.

A rollback goes one step further back each time. It never returns to a version that an earlier rollback has left, until
somebody activates that version again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worker.inference.repository.errors import Damaged, NotInstalled, OtherVersionActive
from worker.inference.repository.files import exclusive, replace_text
from worker.inference.repository.model_version import ModelVersion
from worker.inference.repository.names import VERSION_NAME, shortened

ACTIVE = "active"
FILE = "activations.jsonl"
LIMIT = 200  # lines that are kept


@dataclass(frozen=True)
class Activation:
    """One change of the active version.

    Attributes:
        at: ISO 8601, UTC.
        version: became active, as `name@version`.
        before: was active until then, or empty.
        by: the person or program that caused it, or empty if unknown.
    """

    at: str
    version: str
    before: str
    by: str
    is_rollback: bool = False


def active_name(root: Path) -> str:
    """Returns the active version as `name@version`, or an empty string.

    Raises:
        Damaged: the file cannot be read, or holds something else.
    """
    try:
        name = (root / ACTIVE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Damaged(f"{root / ACTIVE} cannot be read ({error.strerror}); activate a model") from error
    except UnicodeDecodeError:
        name = "?"
    if name and not VERSION_NAME.fullmatch(name):
        raise Damaged(f"{root / ACTIVE} does not hold the name of a version; activate a model")
    return name


def known_active_name(root: Path) -> str:
    """Returns what `active_name` returns, or an empty string if its file is damaged."""
    try:
        return active_name(root)
    except Damaged:
        return ""


@contextlib.contextmanager
def unchanged(root: Path) -> Iterator[str]:
    """Keeps other processes from changing the active version in the block. Yields its name."""
    with _lock(root):
        yield active_name(root)


def switch(root: Path, version: ModelVersion, *, by: str, instead_of: str | None, is_rollback: bool = False) -> None:
    """Makes a version the active one and records that. For the arguments see `Repository.activate`.

    This also repairs damaged files.

    Raises:
        NotInstalled: the version was removed meanwhile.
        OtherVersionActive: another version than `instead_of` is active.
        OSError: the folder cannot be written.
    """
    with _lock(root):
        before = known_active_name(root)
        if before == str(version):
            return
        if instead_of is not None and before != instead_of:
            raise OtherVersionActive(
                f"the active version is {before or 'none'} now, not {shortened(instead_of) if instead_of else 'none'}"
            )
        if not version.path.exists():
            raise NotInstalled(f"{version} is no longer installed")
        # In this order: after a crash between the two, a rollback still finds the version before.
        _write(root / ACTIVE, f"{version}\n")
        _record(root, Activation(_now(), str(version), before, by, is_rollback))


def history(root: Path) -> list[Activation]:
    """Returns the recorded activations, the earliest first. Leaves out lines that are not valid or cannot be read."""
    try:
        lines = (root / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [activation for line in lines if (activation := _parsed(line))]


def earlier_versions(activations: Iterable[Activation], active: str) -> list[str]:
    """Returns the versions that a rollback from `active` can go to, in the order in which rollbacks reach them."""
    order: dict[str, None] = {}  # the latest last
    for activation in activations:
        for version in (activation.before, activation.version):
            order.pop(version, None)
            order[version] = None
        if activation.is_rollback:
            order.pop(activation.before, None)
    return [version for version in reversed(order) if version not in ("", active)]


def _lock(root: Path) -> AbstractContextManager[None]:
    return exclusive(root / ".activation-lock")


def _write(file: Path, text: str) -> None:
    """Writes a whole file. A folder of its name, which is there by accident, is kept under a hidden name."""
    if file.is_dir():
        file.rename(file.with_name(f".{file.name}-{secrets.token_hex(4)}"))
    replace_text(file, text)


def _record(root: Path, activation: Activation) -> None:
    kept = [*history(root), activation][-LIMIT:]
    _write(root / FILE, "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in kept))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parsed(line: str) -> Activation | None:
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, Mapping):
        return None
    at, version, before, by = (fields.get(name) for name in ("at", "version", "before", "by"))
    if not (isinstance(at, str) and isinstance(version, str) and isinstance(before, str) and isinstance(by, str)):
        return None
    if not VERSION_NAME.fullmatch(version) or (before and not VERSION_NAME.fullmatch(before)):
        return None
    if not (at.isprintable() and by.isprintable()):
        return None
    return Activation(at, version, before, by, is_rollback=fields.get("is_rollback") is True)
