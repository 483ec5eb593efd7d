"""The model version that a process answers with, before and after an activation."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from predictions import classifiers
from worker.inference.classifier import Classifier
from worker.inference.repository import Damaged, ModelVersion, NotInstalled, Repository, model_version
from worker.inference.repository.manifest import MANIFEST

NAME = "efficientnet-lite0"


@pytest.fixture
def repository(models: Repository, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Two versions of the default model, the first one active; no model is loaded."""
    for name, value in {"_loaded": None, "_loading": None, "_failed": ""}.items():
        monkeypatch.setattr(classifiers, name, value)
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


def _until_loaded() -> None:
    """Returns when no version is being loaded."""
    assert classifiers._loading is not None
    classifiers._loading.join()


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
    classifiers.load_activated()
    _until_loaded()
    assert str(classifiers.current().version) == classifiers.loaded_version() == f"{NAME}@2"


@pytest.fixture
def may_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Versions are loaded only while this event is set."""
    event, load = threading.Event(), classifiers._load

    def slow(version: ModelVersion) -> Classifier:
        assert event.wait(60)
        return load(version)

    monkeypatch.setattr(classifiers, "_load", slow)
    yield event
    event.set()
    if classifiers._loading:
        classifiers._loading.join()


def test_the_earlier_version_answers_while_the_new_one_loads(
    repository: Repository, may_load: threading.Event, coffee: bytes
) -> None:
    may_load.set()
    earlier = classifiers.current()
    may_load.clear()
    repository.activate(f"{NAME}@2")
    loading = None
    for _ in range(3):
        assert classifiers.current() is earlier
        assert classifiers.loaded_version() == f"{NAME}@1"
        assert loading in {None, classifiers._loading}, "it is loaded once"
        loading = classifiers._loading
    (answer,) = earlier.classify([coffee]).answers
    assert not isinstance(answer, Exception)
    may_load.set()
    _until_loaded()
    assert str(classifiers.current().version) == f"{NAME}@2"


def test_an_activation_during_loading_is_not_missed(repository: Repository, may_load: threading.Event) -> None:
    may_load.set()
    classifiers.current()
    may_load.clear()
    repository.activate(f"{NAME}@2")
    classifiers.load_activated()
    repository.activate(f"{NAME}@1")
    may_load.set()
    _until_loaded()
    classifiers.load_activated()
    _until_loaded()
    assert classifiers.loaded_version() == f"{NAME}@1"


def test_loads_nothing_in_advance_of_the_first_version(repository: Repository) -> None:
    classifiers.load_activated()
    assert classifiers._loading is None and classifiers.loaded_version() == ""


def test_a_damaged_version_does_not_replace_one_that_works(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    working = classifiers.current()
    repository.activate(f"{NAME}@2")
    _damage(repository, f"{NAME}@2")
    classifiers.load_activated()
    _until_loaded()
    assert classifiers.current() is working
    assert f"keeping {NAME}@1" in caplog.text


def test_a_damaged_version_is_tried_again_after_a_while(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    classifiers.current()
    weights = repository.get(f"{NAME}@2").file("bin")
    content = weights.read_bytes()
    repository.activate(f"{NAME}@2")
    _damage(repository, f"{NAME}@2")
    for _ in range(3):
        classifiers.load_activated()
        _until_loaded()
    assert caplog.text.count("cannot be used") == 1
    weights.write_bytes(content)
    monkeypatch.setattr(classifiers, "RETRY_SECONDS", 0)
    classifiers.load_activated()
    _until_loaded()
    assert classifiers.loaded_version() == f"{NAME}@2"


def _install_third(repository: Repository) -> None:
    second = repository.get(f"{NAME}@2")
    folder = shutil.copytree(second.path, second.path.with_name("3"))
    (folder / MANIFEST).write_text(replace(second.manifest, version=3).to_json())


def test_another_version_is_loaded_at_once_after_a_damaged_one(repository: Repository) -> None:
    classifiers.current()
    _install_third(repository)
    repository.activate(f"{NAME}@2")
    _damage(repository, f"{NAME}@2")
    classifiers.load_activated()
    _until_loaded()
    repository.activate(f"{NAME}@3")
    classifiers.load_activated()
    _until_loaded()
    assert classifiers.loaded_version() == f"{NAME}@3"


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


def test_a_name_in_the_setting_means_its_newest_version(repository: Repository, settings: Settings) -> None:
    """Also if it is installed while the process runs: pages and workers then name the same version."""
    settings.MODEL = NAME
    assert str(classifiers.current().version) == f"{NAME}@2"
    _install_third(repository)
    classifiers.load_activated()
    _until_loaded()
    assert classifiers.loaded_version() == classifiers.active_name() == f"{NAME}@3"


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
