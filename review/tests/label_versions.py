"""Installs model versions with labels of a test's own, and stores mappings between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from review.label_sets import remember
from review.models import LabelMapping
from worker.inference.repository import ModelVersion, Preprocessing, Repository
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.manifest import FILES, WeightsSource

_DRAFT = VersionDraft(
    WeightsSource("file", "own.onnx", "a" * 64, None), Preprocessing(8, 8, "RGB", (0.0,) * 3, (1.0,) * 3)
)


def install(repository: Repository, name: str, *lines: str) -> ModelVersion:
    """Installs a version without a usable network. `lines`: each an id, a name and perhaps synonyms: `1 cup, mug`."""
    return repository.add(name, _build([line.replace(" ", "\t", 1).replace(", ", "\t", 1) for line in lines]))


def _build(lines: Sequence[str]) -> Callable[[Path], VersionDraft]:
    def build(folder: Path) -> VersionDraft:
        for kind in ("xml", "bin"):
            (folder / FILES[kind]).write_bytes(kind.encode())
        (folder / FILES["labels"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return _DRAFT

    return build


def mapped(old: ModelVersion, new: ModelVersion, *rows: str) -> LabelMapping:
    """Stores a mapping. `rows`: each a change, a label and new labels: `split cup mug teacup`."""
    parts = [row.split() for row in rows]
    stored = [[change, label, labels] for change, label, *labels in parts]
    return LabelMapping.objects.create(old=remember(old), new=remember(new), rows=stored)
