"""How versions appear and disappear: whole, by renaming a folder. Callers hold the repository's lock."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.inference.repository.files import sync
from worker.inference.repository.manifest import MANIFEST, ModelManifest
from worker.inference.repository.model_version import ModelVersion
from worker.inference.repository.numbers import record_removed

_INCOMING = ".incoming-"
_REMOVED = ".removed-"


@contextlib.contextmanager
def incoming_folder(root: Path, report: Callable[[str], None]) -> Iterator[Path]:
    """Creates a hidden folder for an unfinished version. Deletes it after the block, unless it was published."""
    for leftover in root.glob(f"{_INCOMING}*"):  # no other installation runs while the caller holds the lock
        report(f"removing {leftover.name}, left by an interrupted installation")
        _delete(leftover)
    delete_hidden(root)
    incoming = root / f"{_INCOMING}{secrets.token_hex(4)}"
    incoming.mkdir()
    try:
        yield incoming
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def publish(root: Path, incoming: Path, manifest: ModelManifest, report: Callable[[str], None]) -> ModelVersion:
    """Writes the manifest and renames the finished folder to `<name>/<version>`. The version exists from then on."""
    (incoming / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    for path in incoming.iterdir():
        sync(path)
    sync(incoming)
    folder = root / manifest.name / str(manifest.version)
    folder.parent.mkdir(exist_ok=True)
    incoming.rename(folder)
    sync(folder.parent)
    sync(root)
    version = ModelVersion.open(folder)
    report(f"installed {version}")
    return version


def hide(root: Path, folder: Path) -> None:
    """Renames the folder of a version, so that it does not exist from then on. `delete_hidden` deletes it."""
    record_removed(folder.parent, int(folder.name))
    folder.rename(root / f"{_REMOVED}{secrets.token_hex(4)}")
    sync(folder.parent)
    sync(root)


def delete_hidden(root: Path) -> None:
    """Deletes hidden versions, also those that an interrupted removal has left."""
    for leftover in root.glob(f"{_REMOVED}*"):
        _delete(leftover)


def _delete(folder: Path) -> None:
    """Deletes a folder, or the link to one: a version may lie elsewhere, and what it links to is not ours."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
