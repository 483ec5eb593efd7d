"""The precision that a worker chooses for a model version, and what it remembers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from predictions import classifiers, examples, precision
from predictions.models import Image, PrecisionMeasurement
from predictions.precision import chosen, measurements
from predictions.tests.fakes import stored_image
from predictions.tests.pictures import picture
from worker.inference.classifier import Classifier
from worker.inference.precision import Comparison, MeasurementFailed
from worker.inference.processor import Processor, this_processor
from worker.inference.repository import ModelVersion, Repository

pytestmark = pytest.mark.django_db

FAST = Comparison(f32_ms=9.3, other_ms=5.3, images=4, flips=1, largest_gap=0.003)
SLOW = Comparison(f32_ms=9.3, other_ms=25.6, images=4, flips=0, largest_gap=0.0)


@pytest.fixture
def version(models: Repository, settings: Settings) -> ModelVersion:
    settings.PRECISION = "auto"
    return models.get("efficientnet-lite0")


class FakeMeasure:
    """Replaces the child process. `calls`: the images of each call."""

    def __init__(self) -> None:
        self.result: Comparison | MeasurementFailed = FAST
        self.calls: list[Sequence[bytes]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, version: ModelVersion, images: Sequence[bytes], **_limits: object) -> Comparison:
        self.calls.append(images)
        self.meanwhile()
        if isinstance(self.result, MeasurementFailed):
            raise self.result
        return self.result


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> FakeMeasure:
    fake = FakeMeasure()
    monkeypatch.setattr("worker.inference.precision.measure", fake)
    return fake


def _stored() -> PrecisionMeasurement:
    return PrecisionMeasurement.objects.get()


@pytest.mark.parametrize(("result", "expected"), [(FAST, "bf16"), (SLOW, "f32")])
def test_measures_a_version_once(
    version: ModelVersion, measure: FakeMeasure, result: Comparison, expected: str
) -> None:
    measure.result = result
    assert [chosen(version) for _ in range(3)] == [expected] * 3
    assert len(measure.calls) == 1
    assert _stored().chosen == expected
    assert (_stored().f32_ms, _stored().bf16_ms, _stored().images) == (9.3, result.other_ms, 4)
    assert _stored().objection == result.objection


@pytest.mark.parametrize("name", ["processor", "features", "openvino", "version", "weights"])
def test_measures_anew_what_is_new(
    version: ModelVersion, measure: FakeMeasure, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    chosen(version)
    measure.result = SLOW
    known = this_processor()
    match name:
        case "processor":
            monkeypatch.setattr(precision, "this_processor", lambda: Processor("Another", known.features))
        case "features":
            monkeypatch.setattr(precision, "this_processor", lambda: Processor(known.name, ("avx2",)))
        case "openvino":
            monkeypatch.setattr("importlib.metadata.version", lambda _package: "2099.1")
        case "version":
            version = replace(version, version=2)
        case "weights":
            files = version.manifest.files
            changed = {**files, "bin": replace(files["bin"], sha256="0" * 64)}
            version = replace(version, manifest=replace(version.manifest, files=changed))
    assert chosen(version) == "f32"
    assert PrecisionMeasurement.objects.count() == 2


def _assert_uses_what_another_worker_stores_meanwhile(version: ModelVersion, measure: FakeMeasure) -> None:
    def other_worker() -> None:
        measure.meanwhile = lambda: None
        measure.result = SLOW
        assert chosen(version) == "f32"
        measure.result = FAST

    measure.meanwhile = other_worker
    assert chosen(version) == "f32"
    assert _stored().chosen == "f32"


def test_uses_what_another_worker_has_stored_meanwhile(version: ModelVersion, measure: FakeMeasure) -> None:
    _assert_uses_what_another_worker_stores_meanwhile(version, measure)


def test_a_failed_measurement_means_f32_and_is_repeated_later(
    version: ModelVersion, measure: FakeMeasure, caplog: pytest.LogCaptureFixture
) -> None:
    measure.result = MeasurementFailed("the measuring process was ended by SIGSEGV")
    assert [chosen(version), chosen(version)] == ["f32", "f32"]
    assert len(measure.calls) == 1, "a worker that is started again does not hang again"
    reason = "could not be measured: the measuring process was ended by SIGSEGV"
    assert f"Computing {version} in f32: bf16 {reason}" in caplog.messages
    assert (_stored().failed, _stored().objection) == (True, reason)

    PrecisionMeasurement.objects.update(measured_at=timezone.now() - timedelta(hours=2))
    measure.result = FAST
    assert chosen(version) == "bf16"
    assert (_stored().failed, _stored().images, _stored().flips) == (False, 4, 1)


def test_a_result_replaces_the_failure_of_another_worker(version: ModelVersion, measure: FakeMeasure) -> None:
    def other_worker() -> None:
        measure.meanwhile = lambda: None
        measure.result = MeasurementFailed("it took longer")
        chosen(version)
        measure.result = FAST

    measure.meanwhile = other_worker
    assert chosen(version) == "bf16"
    assert not _stored().failed


@pytest.mark.parametrize("error", [OperationalError("the database is away"), OSError("no process")])
def test_what_prevents_a_measurement_means_f32(
    version: ModelVersion,
    measure: FakeMeasure,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail() -> None:
        raise error

    measure.meanwhile = fail
    assert chosen(version) == "f32"
    assert f"Computing {version} in f32: bf16 could not be measured: {error}" in caplog.messages
    assert not PrecisionMeasurement.objects.exists()


@pytest.mark.parametrize(
    "changes", [{"PRECISION": "f32"}, {"PRECISION": "bf16"}, {"ENGINE": "tensorflow"}], ids=lambda value: str(value)
)
def test_measures_only_if_there_is_a_choice(
    version: ModelVersion, measure: FakeMeasure, settings: Settings, changes: dict[str, str]
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    assert chosen(version) == changes.get("PRECISION", "f32")
    assert not measure.calls


@pytest.mark.parametrize("configured", ["auto", "f32", "bf16"])
def test_does_not_measure_int8_weights(
    version: ModelVersion, measure: FakeMeasure, settings: Settings, configured: str
) -> None:
    settings.PRECISION = configured
    quantized = replace(version, manifest=replace(version.manifest, precision="int8"))
    assert chosen(quantized) == "f32", "what is not quantized"
    assert not measure.calls


@pytest.mark.parametrize(("result", "warns"), [(FAST, False), (SLOW, True)])
def test_warns_if_the_configured_bf16_is_known_to_be_slow(
    version: ModelVersion,
    measure: FakeMeasure,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    result: Comparison,
    warns: bool,
) -> None:
    measure.result = result
    chosen(version)
    settings.PRECISION = "bf16"
    assert chosen(version) == "bf16"
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert ["takes 2.75 of the CPU time" in message for message in warnings] == [True] * warns


def test_lists_the_measurements_of_a_version(
    version: ModelVersion, measure: FakeMeasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(version)
    chosen(replace(version, version=2))
    monkeypatch.setattr(precision, "this_processor", lambda: Processor("Another", ()))
    chosen(version)
    assert [one.processor for one in measurements(version)] == ["Another", this_processor().name]


# --- Measuring again -----------------------------------------------------------------------------


def _store_images(numbers: range) -> None:
    for number in numbers:
        stored_image(picture(seed=number))


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> int:
    """Makes a few images enough."""
    monkeypatch.setattr(precision, "ENOUGH_IMAGES", 6)
    return 6


def test_measures_again_when_enough_images_are_stored(version: ModelVersion, measure: FakeMeasure, enough: int) -> None:
    assert chosen(version) == "bf16", "one of four images may get another label"
    _store_images(range(enough - 1))
    assert chosen(version) == "bf16"
    assert len(measure.calls) == 1
    _store_images(range(enough))
    measure.result = replace(FAST, images=enough, flips=2)
    assert [chosen(version), chosen(version)] == ["f32", "f32"]
    assert len(measure.calls) == 2
    assert (_stored().images, _stored().flips) == (enough, 2)


def test_measures_a_large_network_again_only_once(version: ModelVersion, measure: FakeMeasure, enough: int) -> None:
    """Only some of the images are computed within the time."""
    chosen(version)
    for number in (enough, 2 * enough, 3 * enough):
        _store_images(range(number))
        chosen(version)
    assert len(measure.calls) == 2


def test_large_images_are_not_counted(version: ModelVersion, measure: FakeMeasure, enough: int) -> None:
    chosen(version)
    _store_images(range(enough))
    Image.objects.update(byte_size=precision.IMAGE_MAX_BYTES + 1)
    chosen(version)
    assert len(measure.calls) == 1


def test_two_workers_that_measure_again_use_one_result(
    version: ModelVersion, measure: FakeMeasure, enough: int
) -> None:
    chosen(version)
    _store_images(range(enough))

    _assert_uses_what_another_worker_stores_meanwhile(version, measure)


# --- What was chosen -----------------------------------------------------------------------------


def test_knows_whether_bf16_was_chosen_somewhere(
    version: ModelVersion, measure: FakeMeasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_known() -> bool:
        cache.clear()
        return precision.bf16_was_chosen(str(version))

    assert not is_known()
    measure.result = SLOW
    chosen(version)
    assert not is_known()
    monkeypatch.setattr(precision, "this_processor", lambda: Processor("Another", ()))
    measure.result = FAST
    chosen(version)
    assert is_known()
    assert not precision.bf16_was_chosen("efficientnet-lite0@2")


def test_asks_the_database_once_whether_bf16_was_chosen(
    version: ModelVersion, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert [precision.bf16_was_chosen(str(version)) for _ in range(3)] == [False] * 3


# --- The images ----------------------------------------------------------------------------------

EXAMPLES = [examples.content(example) for example in examples.EXAMPLES]


def test_measures_with_the_examples_on_a_new_site(version: ModelVersion, measure: FakeMeasure) -> None:
    chosen(version)
    assert measure.calls == [EXAMPLES]


def test_measures_with_stored_images_first(
    version: ModelVersion, measure: FakeMeasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "IMAGES", 5)
    first, second, gone, large = (stored_image(picture(seed=seed)) for seed in range(4))
    gone.file.delete(save=False)
    Image.objects.filter(pk=large.pk).update(byte_size=precision.IMAGE_MAX_BYTES + 1)
    chosen(version)
    assert measure.calls == [[picture(seed=1), picture(seed=0), *EXAMPLES[:3]]]
    assert first.pk < second.pk


def test_needs_no_examples_if_enough_images_are_stored(
    version: ModelVersion, measure: FakeMeasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "IMAGES", 2)
    for seed in range(4):
        stored_image(picture(seed=seed))
    chosen(version)
    assert measure.calls == [[picture(seed=3), picture(seed=2)]]


# --- The classifier ------------------------------------------------------------------------------


def test_loads_the_real_model_in_the_measured_precision(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, coffee: bytes
) -> None:
    monkeypatch.setattr(classifiers, "_loaded", None)
    loaded = classifiers.current()
    assert loaded.precision == _stored().chosen
    (answer,) = loaded.classify([coffee]).answers
    assert not isinstance(answer, Exception)
    assert answer.label == "espresso"


@pytest.mark.parametrize(("weights", "expected"), [("f32", "bf16"), ("int8", "int8")])
def test_answers_name_int8_if_the_weights_are(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, weights: Any, expected: str
) -> None:
    changed = replace(version, manifest=replace(version.manifest, precision=weights))
    monkeypatch.setattr("worker.inference.classifier.load_engine", lambda *_, **__: FakeEngine())
    assert Classifier.load(changed, precision="bf16").precision == expected


class FakeEngine:
    streams = 1
    micro_batch_size = 2
    backbone = ""
