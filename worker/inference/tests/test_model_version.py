"""Labels and synonyms of an installed version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from worker.inference.repository import Damaged, ModelVersion, Repository
from worker.inference.repository.files import sha256_of
from worker.inference.repository.manifest import MANIFEST, FileRecord
from worker.inference.tests.fakes import NAME


@pytest.fixture
def version(repository: Repository, weights: Path) -> ModelVersion:
    return repository.install(NAME, weights=weights)


def _with_labels(version: ModelVersion, text: str) -> ModelVersion:
    file = version.file("labels")
    file.write_text(text, encoding="utf-8")
    files = {**version.manifest.files, "labels": FileRecord(sha256_of(file), file.stat().st_size)}
    (version.path / MANIFEST).write_text(replace(version.manifest, files=files).to_json())
    return ModelVersion.open(version.path)


def test_labels_and_synonyms_of_imagenet(version: ModelVersion) -> None:
    assert len(version.labels) == len(version.synonyms) == 1000
    assert (version.labels[248], version.synonyms[248]) == ("Eskimo_dog", ("Eskimo dog", "husky"))


def test_missing_synonyms_are_empty(version: ModelVersion) -> None:
    version = _with_labels(version, "1\tcat\n2\tdog\thound, , cur\n3\teel\t\n")
    assert version.labels == ("cat", "dog", "eel")
    assert version.synonyms == ((), ("hound", "cur"), ())


def test_rejects_damaged_labels(version: ModelVersion) -> None:
    version.file("labels").write_text("1\tcat\n", encoding="utf-8")
    with pytest.raises(Damaged, match="labels"):
        _ = version.synonyms
