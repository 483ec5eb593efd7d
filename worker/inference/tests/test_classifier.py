from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from worker.inference.classifier import Classification, Classifier, UnusableOutput
from worker.inference.preprocessing import Preprocessor, UndecodableImage
from worker.inference.repository import Damaged, ModelVersion, Repository
from worker.inference.tests.pictures import encoded, photo

EXAMPLES = Path(__file__).parents[3] / "static" / "examples"


class StubEngine:
    """Returns the given rows, with the given features, and records the sizes of the batches."""

    streams = 1
    micro_batch_size = 32
    backbone = ""

    def __init__(self, *rows: NDArray[np.float32], features: NDArray[np.float32] | None = None) -> None:
        self.rows = rows
        self.features = features
        self.batches: list[int] = []

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(batch))
        return np.stack(self.rows[: len(batch)])

    def predict_with_features(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        return self.predict(batch), self.features

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        self.batches += batch_sizes


def _row(*best: int, value: float = 0.5) -> NDArray[np.float32]:
    """Probabilities that halve from class to class of `best`, and 0 for the other classes."""
    row = np.zeros(1000, np.float32)
    for rank, index in enumerate(best):
        row[index] = value / 2**rank
    return row


@pytest.fixture(scope="module")
def version(models: Repository) -> ModelVersion:
    return models.get("efficientnet-lite0")


def _classifier(version: ModelVersion, engine: StubEngine) -> Classifier:
    return Classifier(version, engine, Preprocessor(version.manifest.preprocessing), decode_threads=2)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_classifies_real_photos(version: ModelVersion, engine: str) -> None:
    classifier = Classifier.load(version, engine=engine)
    classifier.warm_up(2)
    done = classifier.classify([photo("coffee"), photo("chelsea", "PNG")])
    coffee, cat = done.answers
    assert isinstance(coffee, Classification)
    assert isinstance(cat, Classification)
    assert coffee.label == "espresso"
    assert coffee.score > 0.9
    assert cat.label in ("tiger_cat", "Egyptian_cat", "tabby")
    assert len(done.decode_seconds) == len(done.compute_seconds) == 2
    assert min(done.decode_seconds + done.compute_seconds) > 0


# The three best labels of EfficientNet-Lite0 at commit 140bd97, before networks had a canonical form and features.
EARLIER_ANSWERS = {
    "astronaut": {"football_helmet": 0.1443837, "bobsled": 0.1416688, "go-kart": 0.0634510},
    "cat": {"Egyptian_cat": 0.3777371, "tiger_cat": 0.3645420, "tabby": 0.1787509},
    "coffee": {"espresso": 0.9538534, "cup": 0.0119503, "consomme": 0.0104235},
    "rocket": {"missile": 0.3036587, "projectile": 0.1878260, "drilling_platform": 0.1007235},
}


def test_answers_have_not_changed(version: ModelVersion) -> None:
    classifier = Classifier.load(version, features=True)
    photos = [(EXAMPLES / f"{name}.jpg").read_bytes() for name in EARLIER_ANSWERS]
    for name, answer in zip(EARLIER_ANSWERS, classifier.classify(photos).answers, strict=True):
        assert isinstance(answer, Classification)
        assert dict(answer.top[:3]) == pytest.approx(EARLIER_ANSWERS[name], abs=1e-5), name


def test_returns_five_best_pairs_in_plain_python_types(version: ModelVersion) -> None:
    engine = StubEngine(_row(7, 3, 1, 9, 11, 20))
    (answer,) = _classifier(version, engine).classify([photo("coffee")]).answers
    assert isinstance(answer, Classification)
    labels = tuple(version.labels[i].display_name for i in (7, 3, 1, 9, 11))
    assert tuple(label for label, _ in answer.top) == labels
    assert answer.top[0] == (answer.label, answer.score) == (labels[0], 0.5)
    assert all(type(score) is float for _, score in answer.top)


@pytest.mark.parametrize("streams", [1, 2])
def test_fetches_each_image_once(version: ModelVersion, streams: int) -> None:
    class Files(list[bytes | Exception]):
        fetched: ClassVar[list[int]] = []

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, slice):
                return [self[number] for number in range(len(self))[index]]
            Files.fetched.append(index)
            return super().__getitem__(index)

    engine = StubEngine(*[_row(number) for number in range(5)])
    engine.streams = streams
    answers = _classifier(version, engine).classify(Files([photo("coffee")] * 5)).answers
    assert len(answers) == 5
    assert sorted(Files.fetched) == [0, 1, 2, 3, 4]


def test_bad_image_fails_alone_and_order_is_kept(version: ModelVersion) -> None:
    engine, missing = StubEngine(_row(1), _row(2)), FileNotFoundError("gone")
    images: list[bytes | Exception] = [b"no image", photo("coffee"), missing, photo("rocket"), b""]
    answers = _classifier(version, engine).classify(images).answers
    assert [type(answer) for answer in answers] == [
        UndecodableImage, Classification, FileNotFoundError, Classification, UndecodableImage
    ]  # fmt: skip
    assert answers[2] is missing
    assert [answer.label for answer in answers if isinstance(answer, Classification)] == [
        label.display_name for label in version.labels[1:3]
    ]
    assert engine.batches == [2]  # one forward pass, of the good ones


@pytest.mark.parametrize("images", [[], [b"no image"], [ValueError("gone")]])
def test_computes_nothing_without_a_good_image(version: ModelVersion, images: list[bytes | Exception]) -> None:
    engine = StubEngine()
    assert len(_classifier(version, engine).classify(images).answers) == len(images)
    assert engine.batches == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_output_fails_its_image_alone(version: ModelVersion, value: float) -> None:
    engine = StubEngine(_row(1), _row(2, value=value))
    good, bad = _classifier(version, engine).classify([photo("coffee")] * 2).answers
    assert isinstance(good, Classification)
    assert isinstance(bad, UnusableOutput)


def test_returns_features_in_16_bits(version: ModelVersion) -> None:
    features = np.array([[1, 0.1], [2, 65_504], [3, 65_536]], np.float32)
    engine = StubEngine(_row(1), _row(2), _row(3), features=features)
    answers = _classifier(version, engine).classify([photo("coffee"), b"no image", *[photo("coffee")] * 2]).answers
    vectors = [answer.features for answer in answers if isinstance(answer, Classification)]
    assert vectors[0] is not None and vectors[1] is not None
    assert vectors[0].dtype == np.float16
    assert vectors[0].tolist() == [1, pytest.approx(0.1, rel=1e-3)]
    assert vectors[1].tolist() == [2, 65_504]
    assert vectors[2] is None, "infinite in 16 bits"


def test_score_is_at_most_one(version: ModelVersion) -> None:
    (answer,) = _classifier(version, StubEngine(_row(4, value=1.004))).classify([photo("coffee")]).answers
    assert isinstance(answer, Classification)
    assert answer.score == 1.0


def test_rejects_image_above_pixel_limit(version: ModelVersion) -> None:
    (answer,) = Classifier.load(version, max_pixels=1000).classify([photo("coffee")]).answers
    assert isinstance(answer, UndecodableImage)
    assert answer.code == "too-many-pixels"


def test_rejects_labels_that_do_not_fit_the_network(version: ModelVersion) -> None:
    other = replace(version, manifest=replace(version.manifest, classes=999))
    with pytest.raises(Damaged, match="does not have 999 labels"):
        _classifier(other, StubEngine())


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_compiles_once_for_all_batch_sizes(version: ModelVersion, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO compiles the model once, TensorFlow traces its function once."""
    import openvino

    from worker.inference.keras_runtime import keras

    compilations: list[str] = []

    def counted(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            compilations.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    counted(openvino.Core, "compile_model")
    counted(keras.Model, "__call__")
    classifier = Classifier.load(version, engine=engine)
    classifier.warm_up(max_batch=12)
    assert len(compilations) == 1
    for size in range(1, 13):
        assert all(
            isinstance(answer, Classification) for answer in classifier.classify([photo("coffee")] * size).answers
        )
    assert len(compilations) == 1


@pytest.mark.parametrize("streams", [2, 3])
@pytest.mark.parametrize("number", [1, 2, 5, 11])
def test_spreads_batch_over_streams_in_order(version: ModelVersion, streams: int, number: int) -> None:
    sizes: list[int] = []

    class ShadeEngine(StubEngine):
        """Returns the class with the number of an image's shade."""

        micro_batch_size = 2

        def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            sizes.append(len(batch))
            return np.stack([_row(int(picture[0, 0, 0])) for picture in batch])

    engine = ShadeEngine()
    engine.streams = streams
    shades = [20 * index for index in range(number)]
    pictures = [encoded(PIL.Image.new("RGB", (40, 40), (shade, 0, 0)), "PNG") for shade in shades]
    answers = _classifier(version, engine).classify(pictures).answers
    assert [answer.label for answer in answers if isinstance(answer, Classification)] == [
        version.labels[s].display_name for s in shades
    ]
    assert sum(sizes) == number
    assert max(sizes) <= 2
    assert len(sizes) >= min(streams, number)


def test_warms_up_every_micro_batch_size(version: ModelVersion) -> None:
    engine = StubEngine(_row(1))
    engine.micro_batch_size = 3
    _classifier(version, engine).warm_up(max_batch=32)
    assert engine.batches == [1, 2, 3, 1]  # 1: one image, from its bytes to its labels
