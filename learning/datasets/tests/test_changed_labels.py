"""Data sets in the labels of the active version, or of the version chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.conf import settings
from pytest_django import Settings

from learning.datasets.case_selection import CaseSelection, label_counts
from learning.datasets.services import export_request
from learning.datasets.tests.data import decided_case, lead_named, manifest, names, write
from predictions.exceptions import RequestRejected
from review.models import Case
from review.tests.label_versions import install, mapped
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def cases(settings: Settings, tmp_path: Path) -> dict[str, Case]:
    """Cases that were decided in the words of `a@1`. The active version is `b@1`."""
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    a = install(repository, "a", "1 dog", "2 latte", "3 mocha", "4 cup", "5 cat")
    b = install(repository, "b", "1 hound", "6 coffee", "7 mug", "8 teacup", "9 unicorn")
    mapped(
        a, b, "merge latte coffee", "merge mocha coffee", "split cup mug teacup", "drop cat", "proposed unicorn unicorn"
    )
    repository.activate("b@1")
    labels = ("dog", "latte", "mocha", "cup", "cat")
    decided = {label: decided_case(label, model_version="a@1", predicted_label="mocha") for label in labels}
    for text in ("Unicorn", "dragon"):
        given: dict[str, Any] = {"verdict": "no-label", "label": "", "proposed_label": text, "predicted_label": "mocha"}
        decided[text] = decided_case(model_version="a@1", **given)
    return decided


def test_pictures_are_named_by_the_active_labels(tmp_path: Path, cases: dict[str, Case]) -> None:
    path = tmp_path / "set.zip"
    counts = write(path).counts
    assert (counts.cases, counts.pictures, counts.labels, counts.without_label) == (5, 4, 3, 1)
    folders = {cases[word].image.sha256: name for word, name in {"dog": "hound", "latte": "coffee"}.items()}
    for sha256, folder in folders.items():
        assert f"images/{folder}/{sha256}.png" in names(path)
    lines = [
        (line["decided_label"], line["label"], line["verdict"], line["predicted_label"], line["proposed_label"])
        for line in manifest(path)
    ]
    assert sorted(lines) == [
        ("Unicorn", "unicorn", "corrected", "coffee", ""),
        ("dog", "hound", "corrected", "coffee", ""),
        ("dragon", "", "no-label", "coffee", "dragon"),
        ("latte", "coffee", "right", "coffee", ""),
        ("mocha", "coffee", "right", "coffee", ""),
    ]


def test_says_how_many_cases_wait_for_a_new_label(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    assert write(path).counts.waiting == CaseSelection().size().waiting == 2
    assert "Left out: 2 decided cases wait for a new label, because a label was split or dropped\n" in _readme(path)
    write(path, CaseSelection(labels_of="a@1"))
    assert "Left out" not in _readme(path)


@pytest.mark.parametrize("kind", ["imagefolder", "tfrecord"])
def test_readme_suggests_the_input_size_of_the_version(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "set.zip"
    write(path, kind=kind)
    assert "(8, 8)" in _readme(path) and "(224, 224)" not in _readme(path)


def _readme(path: Path) -> str:
    with ZipFile(path) as archive:
        return archive.read("README.txt").decode()


def test_selects_by_the_active_labels() -> None:
    assert label_counts() == [("coffee", 2), ("hound", 1), ("unicorn", 1)]
    selection = CaseSelection.parse(labels=["coffee", "Unicorn"])
    assert sorted(row.decided_label for row in selection.rows()) == ["Unicorn", "latte", "mocha"]
    size = selection.size()
    assert (size.cases, size.with_label, size.labels) == (3, 3, 2)
    with pytest.raises(RequestRejected):
        CaseSelection.parse(labels=["latte"])


def test_chosen_version_names_the_pictures() -> None:
    selection = CaseSelection.parse(labels=["latte", "cup"], labels_of="a@1")
    assert sorted(row.label for row in selection.rows()) == ["cup", "latte"]
    assert str(selection).endswith(", in the labels of a@1")
    assert CaseSelection.from_json(selection.as_json()) == selection
    with pytest.raises(RequestRejected) as rejected:
        CaseSelection.parse(labels_of="c@1")
    assert rejected.value.code == "unknown-version"


@pytest.mark.parametrize(
    ("verdict", "decided"), [("right", ["latte", "mocha"]), ("corrected", ["Unicorn", "dog"]), ("no-label", ["dragon"])]
)
def test_verdicts_are_selected_after_the_translation(verdict: str, decided: list[str]) -> None:
    selection = CaseSelection.parse(verdicts=[verdict])
    assert sorted(row.decided_label for row in selection.rows()) == decided
    assert selection.size().cases == len(decided)


def test_activation_does_not_change_a_requested_data_set(tmp_path: Path) -> None:
    export = export_request(selection=CaseSelection(), format="imagefolder", requested_by=lead_named())
    Repository(settings.MODELS_DIR).activate("a@1")
    path = tmp_path / "set.zip"
    write(path, CaseSelection.from_json(export.selection))
    assert {line["label"] for line in manifest(path)} == {"hound", "coffee", "unicorn", ""}
    assert "Selected: all decided cases, in the labels of b@1\n" in _readme(path)
