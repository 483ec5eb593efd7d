"""`manage.py model measure`."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from learning.versions.tests.conftest import Install, build_int8
from predictions.models import PrecisionMeasurement
from worker.inference.precision import Comparison, MeasurementFailed
from worker.inference.processor import this_processor
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db

FAST = Comparison(f32_ms=9.3, other_ms=5.3, images=36, flips=1, largest_gap=0.003)
SLOW = Comparison(f32_ms=9.3, other_ms=18.6, images=36, flips=0, largest_gap=0.0)


def _measure(monkeypatch: pytest.MonkeyPatch, result: Comparison | MeasurementFailed) -> str:
    def measure(*_arguments: object, **_limits: object) -> Comparison:
        if isinstance(result, MeasurementFailed):
            raise result
        return result

    monkeypatch.setattr("worker.inference.precision.measure", measure)
    out = StringIO()
    call_command("model", "measure", "fake-net", stdout=out)
    return out.getvalue()


def test_prints_the_table(install: Install, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    install(b"1")
    settings.PRECISION = "auto"
    assert _measure(monkeypatch, FAST).splitlines() == [
        f"fake-net@1 on {this_processor().name}",
        "      CPU time per image  same label as f32",
        "f32               9.3 ms",
        "bf16              5.3 ms           35 of 36",
        "Chosen: bf16.",
        "Workers use the result when they load the version the next time.",
    ]


def test_measures_anew(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(b"1")
    _measure(monkeypatch, FAST)
    output = _measure(monkeypatch, SLOW)
    assert "Chosen: f32, because bf16 takes 2.00 of the CPU time of f32, more than 0.75." in output
    assert "Workers compute in f32, because PRECISION is set to that." in output
    assert PrecisionMeasurement.objects.get().chosen == "f32"


def test_failure_is_reported_in_one_line(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(b"1")
    with pytest.raises(CommandError, match=r"^bf16 could not be measured: it hung\. Workers here compute fake-net@1"):
        _measure(monkeypatch, MeasurementFailed("it hung"))


def test_int8_weights_are_not_measured(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.add("fake-net", build_int8())
    with pytest.raises(CommandError, match=r"^fake-net@1 has int8 weights"):
        _measure(monkeypatch, FAST)
    assert not PrecisionMeasurement.objects.exists()
