"""Making int8 versions, and comparing them with their base."""

from __future__ import annotations

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import openvino
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from learning.datasets.tests.data import decided_case
from learning.models import Quantization
from learning.quantizing import comparison, services
from learning.quantizing.comparison import Flip, compare_with_base, preprocessor
from learning.quantizing.pictures import SamplePicture, decided_pictures, stored_pictures
from learning.versions.views import page_of
from predictions.models import Image
from predictions.tests.fakes import stored_image
from predictions.tests.pictures import picture
from worker.inference import quantizing
from worker.inference.engines import EngineError, load_engine
from worker.inference.engines import openvino as openvino_engine
from worker.inference.graph.quantization import saturates
from worker.inference.repository import Repository
from worker.inference.tests.tiny_networks import ANIMALS, add_version, small_cnn

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(saturates(openvino.Core()), reason="this processor adds int8 products with saturation"),
]


@pytest.fixture(autouse=True)
def without_bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out bf16, whose child process takes seconds to start, in all tests but those about it."""
    if "bf16" not in request.node.name:
        monkeypatch.setattr(comparison, "_bf16", lambda *_: [])


@pytest.fixture
def animals(tmp_path: Path, settings: Any) -> Repository:
    """The version `animals@1`, which is active."""
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    add_version(repository, network=small_cnn(scale=0.3))
    repository.activate("animals@1")
    return repository


def _store_pictures(number: int) -> list[Image]:
    return [stored_image(picture(seed=seed)) for seed in range(number)]


def _quantize(*arguments: object) -> str:
    out = StringIO()
    call_command("model", "quantize", *map(str, arguments), stdout=out)
    return out.getvalue()


def _ignore(line: str) -> None:
    pass


def test_installs_an_int8_version_with_its_report(animals: Repository) -> None:
    _store_pictures(12)
    printed = _quantize("animals")
    version = animals.get("animals-int8@1")
    assert (version.manifest.precision, version.manifest.base) == ("int8", "animals@1")
    assert version.manifest.details == {"calibrated on": "12 stored pictures"}
    assert version.labels == animals.get("animals@1").labels
    report = Quantization.objects.get()
    assert (report.model_version, report.base, report.compared, report.labelled) == (
        "animals-int8@1",
        "animals@1",
        12,
        0,
    )
    names = [row.name for row in report.rows]
    assert names == ["f32", "int8"]
    assert all(row.milliseconds > 0 for row in report.rows)
    assert report.rows[-1].agreement == 1 - report.flipped / 12
    assert report.get_absolute_url() in printed
    assert animals.active_name() == "animals@1"


def test_pages_of_both_versions_and_the_report_link_to_each_other(animals: Repository, lead: Client) -> None:
    _store_pictures(10)
    _quantize("animals")
    address = Quantization.objects.get().get_absolute_url()
    for name in ("animals@1", "animals-int8@1"):
        assert f'href="{address}"' in lead.get(page_of(name)).text
    assert f'href="{page_of("animals-int8@1")}"' in lead.get(address).text


def test_report_includes_bf16_where_the_processor_has_it(animals: Repository) -> None:
    _store_pictures(10)
    printed = _quantize("animals")
    rows = {row.name: row for row in Quantization.objects.get().rows}
    if "bf16" in rows:
        assert (rows["bf16"].compared, rows["bf16"].accuracy) == (10, None)
    else:
        assert "bf16 is not compared: " in printed


def test_reports_accuracy_on_decided_pictures_once_each(animals: Repository) -> None:
    for label in ("tabby", "Eskimo_dog", "unicorn"):
        decided_case(label)
    decided_case(verdict="unusable")
    _store_pictures(10)
    _quantize("animals@1")
    report = Quantization.objects.get()
    assert report.compared == Image.objects.count() == 14
    assert report.labelled == 2
    assert all(row.accuracy is not None for row in report.rows)


def test_calibrates_on_a_folder_and_keeps_small_pictures_of_it(animals: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "cats").mkdir(parents=True)
    for seed in range(11):
        (folder / "cats" / f"{seed:02}.PNG").write_bytes(picture(seed=seed))
    (folder / "broken.jpg").write_bytes(b"no picture")
    Path(os.fsdecode(bytes(folder) + b"/cats/\xff.png")).write_bytes(picture(seed=11))
    (folder / "notes.txt").write_text("no picture")
    assert "left out because they cannot be decoded: 1 of 13" in _quantize("animals", "--calibrate", folder)
    report = Quantization.objects.get()
    assert (report.calibrated_on, report.compared) == ("13 pictures of a folder", 12)
    for flip in report.flips.all():
        assert flip.file_name.startswith("cats/")
        assert bytes(flip.thumbnail).startswith(b"\xff\xd8")


@pytest.mark.parametrize("number", [0, 9])
def test_asks_for_a_folder_if_too_few_pictures_are_stored(animals: Repository, number: int) -> None:
    for image in _store_pictures(12)[number:]:
        Image.objects.filter(pk=image.pk).update(erased_at=timezone.now())
    with pytest.raises(CommandError, match=f"^{number} pictures are stored, and at least 10 .*--calibrate FOLDER$"):
        _quantize("animals")


def test_rejects_folders_that_cannot_be_used(animals: Repository, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a folder"):
        _quantize("animals", "--calibrate", tmp_path / "nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CommandError, match="has 0 pictures, and at least 10 are needed"):
        _quantize("animals", "--calibrate", empty)
    for number in range(12):
        (empty / f"{number}.jpg").write_bytes(b"no picture")
    with pytest.raises(CommandError, match="only 0 of 12 pictures can be decoded, and 10 are needed"):
        _quantize("animals", "--calibrate", empty)
    assert [str(version) for version in animals.versions()] == ["animals@1"]


def test_rejects_int8_versions(animals: Repository) -> None:
    _store_pictures(10)
    _quantize("animals")
    with pytest.raises(CommandError, match="^animals-int8@1 is an int8 version already$"):
        _quantize("animals-int8")


def test_name_still_means_the_version_in_f32(animals: Repository) -> None:
    """A site that chose its model by name gets int8 only if somebody says so."""
    _store_pictures(10)
    _quantize("animals")
    _quantize("animals")
    assert str(animals.get("animals")) == "animals@1"
    assert [str(version) for version in animals.versions()] == ["animals@1", "animals-int8@1", "animals-int8@2"]


def test_refuses_a_name_that_gets_too_long(animals: Repository) -> None:
    add_version(animals, "a" * 96)
    with pytest.raises(CommandError, match="cannot be named a+-int8, because a name has at most 100 characters"):
        _quantize("a" * 96)


def test_network_that_is_cut_off_on_the_disk_is_not_installed(
    animals: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(model: Any, xml: Path, **_: Any) -> None:
        xml.write_text("<net")
        xml.with_suffix(".bin").write_bytes(b"")

    _store_pictures(10)
    monkeypatch.setattr(openvino, "save_model", cut_off)
    with pytest.raises(CommandError, match="^the network cannot be written: .*; is the disk full\\?$"):
        _quantize("animals")
    assert [str(version) for version in animals.versions()] == ["animals@1"]


def test_refuses_on_a_processor_that_saturates(animals: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizing, "saturates", lambda core: True)
    with pytest.raises(CommandError, match="this processor adds int8 products with saturation"):
        _quantize("animals")


def test_engine_does_not_load_int8_on_a_processor_that_saturates(
    animals: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store_pictures(10)
    _quantize("animals")
    monkeypatch.setattr(openvino_engine, "saturates", lambda core: True)
    load_engine(animals.get("animals@1"))
    with pytest.raises(EngineError, match="would answer wrongly in int8: use animals@1 instead"):
        load_engine(animals.get("animals-int8@1"))
    for number, base in enumerate(("", "gone@1", "animals@7"), start=1):
        add_version(animals, "imported", precision="int8", base=base)
        with pytest.raises(EngineError, match="use a version in f32 instead"):
            load_engine(animals.get(f"imported@{number}"))


def test_interruption_leaves_nothing(animals: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    _store_pictures(10)
    monkeypatch.setattr(services, "compare_with_base", interrupted)
    with pytest.raises(CommandError, match="^Interrupted: nothing was installed beyond") as caught:
        _quantize("animals")
    assert caught.value.returncode == 130
    assert [str(version) for version in animals.versions()] == ["animals@1"]
    assert not list(animals.root.glob(".incoming-*"))
    assert not Quantization.objects.exists()


def test_says_that_only_the_report_is_missing(animals: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> NoReturn:
        raise OperationalError("database or disk is full")

    _store_pictures(10)
    monkeypatch.setattr(services, "_store", full)
    with pytest.raises(
        CommandError, match="^animals-int8@1 is installed, but its report is not stored: database or disk"
    ):
        _quantize("animals")


def test_pictures_erased_meanwhile_are_left_out(animals: Repository) -> None:
    kept, erased = _store_pictures(2)
    flips = [
        Flip(SamplePicture("", "", image.pk), "a", 0.5, "b", 0.4, score)
        for image, score in ((erased, 0.1), (kept, 0.2))
    ]
    flips.append(Flip(SamplePicture("1.png", "1.png"), "a", 0.5, "b", 0.4, 0.1))
    erased.delete()
    assert [flip.picture.image_id for flip in services._kept(flips)] == [None, kept.pk]


def test_thumbnail_is_kept_only_of_a_picture_that_is_not_stored(animals: Repository, tmp_path: Path) -> None:
    """A thumbnail of a stored picture would stay when the picture is erased."""
    (image,) = _store_pictures(1)
    file = tmp_path / "1.png"
    file.write_bytes(picture())
    report = Quantization(model_version="animals@2")
    preprocess = preprocessor(animals.get("animals@1"))
    stored, foreign = (
        services._row(report, Flip(sample, "a", 0.5, "b", 0.4, 0.1), preprocess)
        for sample in (SamplePicture("", str(image.file.name), image.pk), SamplePicture("1.png", str(file)))
    )
    assert (stored.image_id, stored.thumbnail) == (image.pk, b"")
    assert (foreign.image_id, foreign.thumbnail[:2]) == (None, b"\xff\xd8")


def test_report_is_replaced_with_the_version(animals: Repository) -> None:
    _store_pictures(10)
    _quantize("animals@1")
    for file in animals.get("animals-int8@1").path.iterdir():
        file.unlink()
    animals.root.joinpath("animals-int8/1").rmdir()
    _quantize("animals@1")
    assert Quantization.objects.count() == 1


def test_flips_are_the_pictures_whose_best_label_differs(animals: Repository) -> None:
    """Compares two networks with different weights, so that many answers differ."""
    images = _store_pictures(20)
    other = add_version(animals, "other", network=small_cnn(scale=0.5))
    base = animals.get("animals@1")
    found = compare_with_base(base, other, stored_pictures(seed=0), _ignore)
    assert found.compared == 20
    answers = {flip.picture.image_id: flip for flip in found.flips}
    assert set(answers) <= {image.pk for image in images}
    assert found.precisions[-1].agree == 20 - len(answers)
    for flip in answers.values():
        assert flip.label != flip.new_label
        assert flip.score >= flip.score_of_new


def test_same_seed_draws_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from learning.quantizing import pictures

    monkeypatch.setattr(pictures, "MOST", 12)
    _store_pictures(40)
    first = [one.image_id for one in stored_pictures(seed=1)]
    assert len(first) == 12
    assert [one.image_id for one in stored_pictures(seed=1)] == first
    assert [one.image_id for one in stored_pictures(seed=2)] != first


def test_decided_labels_are_translated_into_the_words_of_the_version(animals: Repository) -> None:
    """A label that was renamed keeps its id."""
    labels = (*ANIMALS[:4], replace(ANIMALS[4], name="husky", display_name="husky"))
    add_version(animals, "renamed", labels)
    decided_case("Eskimo_dog", model_version="animals@1")
    decided_case("unicorn", model_version="animals@1")
    decided_case(verdict="unusable")
    assert [one.label for one in decided_pictures(animals.get("renamed"), seed=0)] == ["husky"]


def test_int8_version_of_the_default_model_agrees(models: Repository, tmp_path: Path) -> None:
    """The real EfficientNet-Lite0 on crops of real photos, of which many are near-ties."""
    from review.sample_photos import samples
    from worker.inference.quantizing import build_candidate

    base = models.get("efficientnet-lite0")
    photos = []
    for name, content in samples(24):
        (tmp_path / name).write_bytes(content)
        photos.append(SamplePicture(name, str(tmp_path / name)))
    preprocess = preprocessor(base)
    pixels = [preprocess(photo.read()) for photo in photos]
    int8 = build_candidate(base, pixels, tmp_path / "models", calibrated_on="24 crops")
    assert int8.size_on_disk < base.manifest.files["bin"].size / 2
    found = compare_with_base(base, int8, photos, _ignore)
    assert found.precisions[-1].agree >= 0.85 * len(photos)
    assert all(flip.score - flip.score_of_new < 0.3 for flip in found.flips)
    assert np.isfinite([flip.new_score for flip in found.flips]).all()
