"""Installs a model version that differs from another one in its name and its labels."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace

from worker.inference.repository import ModelVersion
from worker.inference.repository.manifest import FILES, MANIFEST, FileRecord


def install_with_labels(version: ModelVersion, name: str, rows: Sequence[str]) -> None:
    """Copies an installed version to `name`@1. `rows`: each a label, or a label, a tab and its synonyms."""
    folder = shutil.copytree(version.path, version.path.parents[1] / name / "1")
    text = "".join(f"n{number:08}\t{row}\n" for number, row in enumerate(rows)).encode()
    (folder / FILES["labels"]).write_bytes(text)
    files = {**version.manifest.files, "labels": FileRecord(hashlib.sha256(text).hexdigest(), len(text))}
    manifest = replace(version.manifest, name=name, version=1, classes=len(rows), files=files)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
