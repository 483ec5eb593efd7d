"""Labels and synonyms of an installed version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from worker.inference.repository import Damaged, Label, ModelVersion, Repository
from worker.inference.repository.files import sha256_of
from worker.inference.repository.manifest import MANIFEST, FileRecord
from worker.inference.tests.fakes import NAME


@pytest.fixture
def version(repository: Repository, weights: Path) -> ModelVersion:
    return repository.install(NAME, weights=weights)


def _with_labels(version: ModelVersion, text: str, encoding: str = "utf-8") -> ModelVersion:
    file = version.file("labels")
    file.write_text(text, encoding=encoding)
    files = {**version.manifest.files, "labels": FileRecord(sha256_of(file), file.stat().st_size)}
    (version.path / MANIFEST).write_text(replace(version.manifest, files=files).to_json())
    return ModelVersion.open(version.path)


def test_labels_of_imagenet(version: ModelVersion) -> None:
    assert len(version.labels) == 1000
    assert version.labels[248] == Label("n02109961", "Eskimo_dog", "Eskimo_dog", ("Eskimo dog", "husky"))


def test_labels_of_imagenet_that_share_a_name_have_display_names_of_their_own(version: ModelVersion) -> None:
    assert {label.display_name: label.id for label in version.labels if label.name in {"crane", "maillot"}} == {
        "crane (bird)": "n02012849",
        "crane (machine)": "n03126707",
        "maillot (tights)": "n03710637",
        "maillot (swimsuit)": "n03710721",
    }


def test_missing_synonyms_are_empty(version: ModelVersion) -> None:
    version = _with_labels(version, "1\tcat\n2\tdog\thound, , cur\n3\teel\t\n")
    assert [label.name for label in version.labels] == ["cat", "dog", "eel"]
    assert [label.synonyms for label in version.labels] == [(), ("hound", "cur"), ()]


def test_rejects_damaged_labels(version: ModelVersion) -> None:
    version.file("labels").write_text("1\tcat\n", encoding="utf-8")
    with pytest.raises(Damaged, match="labels"):
        _ = version.labels


def test_rejects_labels_in_another_encoding(version: ModelVersion) -> None:
    version = _with_labels(version, "1\tcat\n2\tK\xf6nig\n", "latin-1")
    with pytest.raises(Damaged, match=r"labels.tsv is unreadable: it is not in UTF-8"):
        _ = version.labels


def test_rejects_labels_without_a_name(version: ModelVersion) -> None:
    version = _with_labels(version, "1\tcat\n2\n")
    with pytest.raises(Damaged, match="line 2 has no id or no name"):
        _ = version.labels
