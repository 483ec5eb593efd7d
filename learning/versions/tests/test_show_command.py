"""`manage.py model show`."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from learning.models import Quantization
from learning.versions.description import moment_in_words, preprocessing_in_words
from learning.versions.tests.conftest import GREY, Install, build_int8
from predictions.models import PrecisionMeasurement
from review.tests.cases import open_case
from worker.inference.repository import Preprocessing, Repository
from worker.inference.tests.fakes import NAME

pytestmark = pytest.mark.django_db


def _shown(reference: str) -> str:
    out = StringIO()
    call_command("model", "show", reference, stdout=out, stderr=out)
    return out.getvalue()


def test_shows_what_the_manifest_says(repository: Repository) -> None:
    version = repository.add("own", build_int8(format="ONNX", input="image"))
    lines = [" ".join(line.split()) for line in _shown("own").splitlines()]
    for line in (
        "own@1",
        "Active no",
        f"Weights from file own.onnx, SHA-256 {'a' * 64}",
        "Made from other@1",
        "Labels 2: black cat, dog",
        "Input 8 x 4 pixels, L",
        "Precision of the weights int8",
        "Engines openvino",
        "Predictions answered 0",
        "format ONNX",
        f"model.bin 3 bytes SHA-256 {version.manifest.files['bin'].sha256}",
        "Measured precision: none. Workers do not measure int8 versions.",
    ):
        assert line in lines, line


def test_shows_how_it_is_used(install: Install, repository: Repository) -> None:
    version = install(b"1")
    repository.activate(str(version))
    for compute_ms in (1.0, 2.0, 30.0):
        open_case(model_version=str(version), compute_ms=compute_ms)
    PrecisionMeasurement.objects.create(
        **{"processor": "A processor", "features": "avx2 amx_bf16", "openvino": "1", "model_version": str(version)},
        measured_at=datetime(2026, 3, 1, tzinfo=UTC),
        weights_sha256=version.manifest.files["bin"].sha256,
        **{"f32_ms": 8.1, "bf16_ms": 3.3, "images": 36, "flips": 1, "largest_gap": 0.01, "chosen": "bf16"},
    )
    shown = " ".join(_shown(NAME).split())
    for text in (
        "Active yes",
        "Engines openvino, tensorflow",
        "Predictions answered 3 Cases about its answers 3",
        "Time to compute 2.0 ms (median of its latest answers, on any machine)",
        "Chosen f32 bf16 Other answers in bf16 Processor Processor features OpenVINO Measured Objection "
        "bf16 8.1 ms 3.3 ms 1 of 36 A processor avx2 amx_bf16 1 2026-03-01 00:00 UTC –",
    ):
        assert text in shown, text


@pytest.mark.parametrize(
    ("engine", "precision", "reason"),
    [
        ("openvino", "auto", "Not measured yet. A worker measures it when it loads the version."),
        ("openvino", "bf16", "Workers do not measure it, because they compute in bf16 (PRECISION is set to that)."),
        ("tensorflow", "auto", "Workers do not measure it, because ENGINE=tensorflow computes in f32 only."),
    ],
)
def test_says_why_a_version_is_not_measured(
    install: Install, settings: Settings, engine: str, precision: str, reason: str
) -> None:
    settings.ENGINE, settings.PRECISION = engine, precision
    install(b"1")
    assert f"Measured precision: none. {reason}" in _shown(NAME)


def test_names_the_report_of_an_int8_version(repository: Repository) -> None:
    repository.add("own", build_int8())
    report = Quantization.objects.create(
        **{"model_version": "own@1", "base": "other@1", "processor": "A processor", "calibrated_on": "photos"},
        **{"compared": 1, "labelled": 0, "flipped": 0, "precisions": []},
    )
    assert f"Its report has its times: {report.get_absolute_url()}" in _shown("own")


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("2026-11-27T15:15:21+00:00", "2026-11-27 15:15 UTC"),
        ("2026-11-27T17:15:21+02:00", "2026-11-27 15:15 UTC"),
        ("2026-11-27T15:15:21", "2026-11-27 15:15 UTC"),
        ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+02:00"),
        ("last week", "last week"),
    ],
)
def test_shows_when_a_version_was_made(created: str, shown: str) -> None:
    assert moment_in_words(created) == shown


def test_shows_the_features_of_a_network(models: Repository, settings: Settings) -> None:
    settings.MODELS_DIR = models.root
    assert "1,280 features from the pooling layer of efficientnet-lite0" in _shown("efficientnet-lite0@1")


def test_shows_a_damaged_version(install: Install) -> None:
    version = install(b"1")
    version.file("labels").write_bytes(b"")
    version.file("bin").unlink()
    shown = _shown(NAME)
    assert "1,000, which cannot be read" in shown
    assert "fake-net@1: model.bin is missing" in shown


def test_prints_nothing_that_a_terminal_obeys(repository: Repository) -> None:
    repository.add("own", build_int8(format="\x1b[2J\nActive  yes"))
    assert "\x1b" not in _shown("own") and "\nActive" not in _shown("own")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            Preprocessing.central_square(224, "RGB", (127.5,) * 3, (127.5,) * 3),
            "The largest centred box with the shape of the input, 87.5 % of its sides, scaled (bicubic); "
            "then (value - mean) / std with mean 127.5 127.5 127.5 and std 127.5 127.5 127.5",
        ),
        (
            Preprocessing(8, 8, "L", (0.0,), (255.0,), resize="stretch", interpolation="bilinear"),
            "The whole picture, whatever its shape, scaled (bilinear); "
            "then (value - mean) / std with mean 0 and std 255",
        ),
        (GREY, "The whole picture with a border, scaled (bicubic); then (value - mean) / std with mean 0 and std 255"),
    ],
)
def test_describes_the_preprocessing_in_words(rule: Preprocessing, words: str) -> None:
    assert preprocessing_in_words(rule) == words
