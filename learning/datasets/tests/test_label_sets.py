"""Data sets of labels of any characters."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from learning.datasets.tests.data import decided_case, manifest, write
from predictions.tests.label_sets import ActivateLabels
from worker.inference.repository.labels import Label
from worker.inference.tests.label_examples import ODD

pytestmark = pytest.mark.django_db


def test_each_label_has_a_folder_of_its_own(activate_labels: ActivateLabels, tmp_path: Path) -> None:
    version = activate_labels(ODD)
    for label in ODD:
        decided_case(label.display_name, model_version=str(version))
    path = tmp_path / "cases.zip"
    write(path)
    with ZipFile(path) as archive:
        folders = {name.split("/")[1] for name in archive.namelist() if name.startswith("images/")} - {""}
        numbered = archive.read("labels.txt").decode().splitlines()
        archive.extractall(tmp_path / "extracted")
    assert len({folder.casefold() for folder in folders}) == len(ODD) == len(set(numbered))
    assert all(len(list((tmp_path / "extracted" / "images" / folder).iterdir())) == 1 for folder in folders)
    assert not any(set(folder) & set('<>:"/\\|?*') or folder.startswith(".") for folder in folders)


def test_manifest_has_the_ids_of_labels(activate_labels: ActivateLabels, tmp_path: Path) -> None:
    version = activate_labels(ODD)
    for label in ODD:
        decided_case(label.display_name, model_version=str(version))
    decided_case("of a version that is gone", model_version="gone@1")
    decided_case(verdict="unusable", model_version=str(version))
    write(tmp_path / "cases.zip")
    found = {(line["label"], line["label_id"]) for line in manifest(tmp_path / "cases.zip")}
    assert found == {*((label.display_name, label.id) for label in ODD), ("of a version that is gone", ""), ("", "")}


def test_a_shared_word_has_no_id(activate_labels: ActivateLabels, tmp_path: Path) -> None:
    """A decision of an earlier release says only `crane`."""
    version = activate_labels([Label("n1", "crane", "crane (bird)"), Label("n2", "crane", "crane (machine)")])
    for word in ("crane", "crane (bird)"):
        decided_case(word, model_version=str(version))
    write(tmp_path / "cases.zip")
    found = {(line["label"], line["label_id"]) for line in manifest(tmp_path / "cases.zip")}
    assert found == {("crane", ""), ("crane (bird)", "n1")}
