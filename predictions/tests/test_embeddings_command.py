"""`manage.py embeddings`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from predictions import erasing
from predictions.models import Embedding, Image
from predictions.tests.fakes import stored_image
from predictions.tests.pictures import picture
from worker.inference.classifier import Classifier
from worker.inference.graph.head import version_backbone
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def restored_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keeps the priority and the signal handlers of the tests' process."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "nice", lambda _: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def backbone(models: Repository) -> str:
    return version_backbone(models.get("efficientnet-lite0"))


def _run(*arguments: str) -> tuple[str, str]:
    out, error = StringIO(), StringIO()
    call_command("embeddings", *arguments, stdout=out, stderr=error)
    return out.getvalue(), error.getvalue()


def _stored(image: Image, backbone: str) -> Embedding:
    return Embedding.objects.create(image=image, backbone=backbone, vector=b"\0\0")


def test_counts_images_with_features(backbone: str) -> None:
    first, _second = stored_image(picture(seed=1)), stored_image(picture(seed=2))
    _stored(first, "earlier")
    out, error = _run()
    assert sorted(out.splitlines()) == sorted(
        [f"{backbone}  0 of 2 images  efficientnet-lite0@1 (active)", "earlier  1 of 2 images  no installed version"]
    )
    assert error == ""


def test_fills_gaps(backbone: str) -> None:
    images = [stored_image(picture(seed=seed)) for seed in range(10)]
    known = _stored(images[3], backbone)
    _stored(images[4], "another")
    broken = stored_image(b"no picture")
    missing = stored_image(picture(seed=10))
    Path(missing.file.path).unlink()
    erased = stored_image(picture(seed=11))
    erasing.images_erase([erased.pk])
    out, error = _run("--rebuild")
    assert out.splitlines() == [
        "8 of 11 images",
        "11 of 11 images",
        "efficientnet-lite0@1: features of 9 images stored, 2 without",
    ]
    assert f"{broken.sha256}: The file is not a readable image of a known format." in error
    assert f"{missing.sha256}: FileNotFoundError" in error
    stored = Embedding.objects.filter(backbone=backbone)
    assert set(stored.values_list("image_id", flat=True)) == {image.pk for image in images}
    assert {len(row.vector) for row in stored.exclude(pk=known.pk)} == {2 * 1280}
    known.refresh_from_db()
    assert bytes(known.vector) == b"\0\0"
    assert "features of 0 images stored, 2 without" in _run("--rebuild")[0]


def test_stores_nothing_of_an_image_that_is_erased_meanwhile(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = stored_image(picture(seed=1)), stored_image(picture(seed=2))
    classify = Classifier.classify

    def erase_meanwhile(*arguments: object) -> object:
        erasing.images_erase([first.pk])
        return classify(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "classify", erase_meanwhile)
    _run("--rebuild")
    assert list(Embedding.objects.values_list("image_id", flat=True)) == [second.pk]


def test_counts_only_what_it_stored_itself(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _second = stored_image(picture(seed=1)), stored_image(picture(seed=2))
    classify = Classifier.classify

    def store_meanwhile(*arguments: object) -> object:
        _stored(first, backbone)
        return classify(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "classify", store_meanwhile)
    assert "features of 1 images stored, 0 without" in _run("--rebuild")[0]
    assert Embedding.objects.count() == 2


def test_rebuilds_what_a_worker_stores(models: Repository, backbone: str, coffee: bytes) -> None:
    image = stored_image(coffee)
    version = models.get("efficientnet-lite0")
    (answer,) = Classifier.load(version, features=True).classify([coffee]).answers
    assert not isinstance(answer, Exception) and answer.features is not None
    _run("--rebuild")
    assert bytes(image.embeddings.get().vector) == answer.features.tobytes()


def test_names_version_without_features(models: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.inference.engines.openvino.find_head", lambda _: None)
    with pytest.raises(CommandError, match=r"^efficientnet-lite0@1 has no features \("):
        _run("--rebuild")


def test_says_that_no_model_is_active(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    assert _run() == ("No installed version has features, and none are stored.\n", "")
    with pytest.raises(CommandError, match="No model is active"):
        _run("--rebuild")


def test_deletes_features_of_old_backbones_only(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.embeddings.DELETE_BATCH", 2)
    for seed in range(5):
        image = stored_image(picture(seed=seed))
        _stored(image, backbone)
        _stored(image, "earlier")
    assert _run("--delete", "earlier") == ("earlier: features of 5 images deleted\n", "")
    assert set(Embedding.objects.values_list("backbone", flat=True)) == {backbone}
    with pytest.raises(CommandError, match="efficientnet-lite0@1 .active. has this backbone"):
        _run("--delete", backbone)
    assert Embedding.objects.count() == 5


@pytest.mark.parametrize("name", ["nope", "", "x" * 5000, "\u202e"])
def test_names_the_backbones_instead_of_deleting_an_unknown_one(name: str) -> None:
    with pytest.raises(CommandError, match="Backbones with stored features: none.$"):
        _run("--delete", name)
    for backbone in ("one", "other"):
        _stored(stored_image(), backbone)
    with pytest.raises(CommandError, match="^There is no backbone '.{0,111}'. Backbones .*: one, other.$"):
        _run("--delete", name)
    assert Embedding.objects.count() == 2


def test_reports_damaged_version_and_deletes_nothing(two_versions: Repository) -> None:
    _stored(stored_image(), "earlier")
    path = two_versions.find("efficientnet-lite0").file("xml")
    path.write_bytes(path.read_bytes().replace(b"Softmax", b"softmax"))
    out, error = _run()
    assert "efficientnet-lite0@1: model.xml is damaged" in error
    assert "earlier  1 of 1 images" in out
    with pytest.raises(CommandError, match=r"efficientnet-lite0@1: model.xml is damaged"):
        _run("--delete", "earlier")
    assert Embedding.objects.count() == 1
