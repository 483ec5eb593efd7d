"""Installing versions that are built by any function."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.inference.repository import Repository, RepositoryError
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.manifest import FILES, Preprocessing, WeightsSource

DRAFT = VersionDraft(
    WeightsSource("file", "own.onnx", "a" * 64, None),
    Preprocessing(8, 4, "L", (0.0,), (255.0,), resize="pad"),
    precision="int8",
    base="other@1",
    details={"format": "ONNX"},
)


def _build(labels: str = "1\tcat\n2\tdog\n") -> Callable[[Path], VersionDraft]:
    def build(folder: Path) -> VersionDraft:
        for kind in ("xml", "bin"):
            (folder / FILES[kind]).write_bytes(kind.encode())
        (folder / FILES["labels"]).write_text(labels, encoding="utf-8")
        return DRAFT

    return build


def test_adds_versions_under_the_next_number(repository: Repository) -> None:
    repository.add("own", _build())
    version = repository.add("own", _build())
    assert str(version) == "own@2"
    manifest = repository.get("own").manifest
    assert set(manifest.files) == {"xml", "bin", "labels"}
    assert (manifest.classes, manifest.preprocessing.shape) == (2, (4, 8, 1))
    assert (manifest.precision, manifest.base, manifest.details) == ("int8", "other@1", {"format": "ONNX"})


@pytest.mark.parametrize("name", ["", "Own", "-own", "a/b", "../own", "own@2", "a" * 101])
def test_rejects_names_that_no_version_can_have(repository: Repository, name: str) -> None:
    with pytest.raises(RepositoryError, match="is not a name for a model"):
        repository.add(name, _build())


def test_rejects_labels_that_cannot_be_used(repository: Repository) -> None:
    with pytest.raises(RepositoryError, match="labels 1 and 2 have the same id"):
        repository.add("own", _build("1\tcat\n1\tdog\n"))
    assert repository.versions() == []


def test_leaves_nothing_if_the_disk_is_full(repository: Repository) -> None:
    def build(folder: Path) -> VersionDraft:
        (folder / FILES["xml"]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RepositoryError, match="No space left on device"):
        repository.add("own", build)
    assert [path.name for path in repository.root.iterdir()] == [".lock"]
