"""The model version that a process answers with, before and after an activation."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from predictions import classifiers
from worker.inference.repository import Damaged, NotInstalled, Repository, model_version
from worker.inference.repository.manifest import MANIFEST

NAME = "efficientnet-lite0"


@pytest.fixture
def repository(models: Repository, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Two versions of the default model, the first one active; no model is loaded."""
    monkeypatch.setattr(classifiers, "_loaded", None)
    active = models.active()
    assert active is not None
    settings.MODELS_DIR = tmp_path / "models"
    for number in (1, 2):
        folder = settings.MODELS_DIR / NAME / str(number)
        shutil.copytree(active.path, folder)
        (folder / MANIFEST).write_text(replace(active.manifest, version=number).to_json())
    repository = Repository(settings.MODELS_DIR)
    repository.activate(f"{NAME}@1")
    return repository


def _damage(repository: Repository, reference: str) -> None:
    weights = repository.get(reference).file("bin")
    weights.write_bytes(bytes(weights.stat().st_size))


def test_loads_the_active_version(repository: Repository, coffee: bytes) -> None:
    assert classifiers.loaded_version() == ""
    (answer,) = classifiers.current().classify([coffee]).answers
    assert not isinstance(answer, Exception)
    assert answer.label == "espresso"
    assert classifiers.loaded_version() == f"{NAME}@1"


def test_loads_a_version_once(repository: Repository) -> None:
    assert classifiers.current() is classifiers.current()


def test_loads_a_newly_activated_version(repository: Repository) -> None:
    classifiers.current()
    repository.activate(f"{NAME}@2")
    assert str(classifiers.current().version) == classifiers.loaded_version() == f"{NAME}@2"


def test_a_damaged_version_does_not_replace_one_that_works(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    working = classifiers.current()
    repository.activate(f"{NAME}@2")
    _damage(repository, f"{NAME}@2")
    assert classifiers.current() is working
    assert f"keeping {NAME}@1" in caplog.text


def test_a_damaged_version_is_not_loaded(repository: Repository) -> None:
    _damage(repository, f"{NAME}@1")
    with pytest.raises(Damaged, match="bin"):
        classifiers.current()


def test_raises_if_no_version_is_active(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "_loaded", None)
    settings.MODELS_DIR = tmp_path
    with pytest.raises(NotInstalled, match=f"manage.py model install {NAME}"):
        classifiers.current()


@pytest.mark.parametrize(("model", "loaded"), [(f"{NAME}@2", 2), (NAME, 2), (f"{NAME}@1", 1)])
def test_the_setting_takes_precedence_over_the_active_version(
    repository: Repository, settings: Settings, model: str, loaded: int
) -> None:
    settings.MODEL = model
    assert str(classifiers.current().version) == f"{NAME}@{loaded}"
    assert [entry["model"] for entry in classifiers.installed_models() if entry["active"]] == [f"{NAME}@{loaded}"]


def test_a_version_from_the_setting_is_not_verified_again(
    repository: Repository, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MODEL = f"{NAME}@1"
    loaded = classifiers.current()
    monkeypatch.setattr(model_version, "sha256_of", None)
    assert classifiers.current() is loaded


def test_raises_if_the_version_from_the_setting_is_not_installed(repository: Repository, settings: Settings) -> None:
    settings.MODEL = f"{NAME}@3"
    with pytest.raises(NotInstalled, match="installed: efficientnet-lite0@1"):
        classifiers.current()
    assert [entry["active"] for entry in classifiers.installed_models()] == [False, False]
