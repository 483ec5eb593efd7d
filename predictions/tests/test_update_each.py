"""`PredictionQuerySet.update_each`: many rows, each with different values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db
FINISHED_AT = datetime(2026, 7, 1, 12, 30, 5, 123456, tzinfo=UTC)


def _done(label: str = "cup", **changes: Any) -> dict[str, Any]:
    columns = {"state": "done", "label": label, "score": 0.25, "top": [[label, 0.25]], "model_version": "fake-net@1"}
    return columns | {"finished_at": FINISHED_AT, "started_at": None, "compute_ms": None, "error": ""} | changes


def _update(columns: dict[UUID, dict[str, Any]]) -> list[UUID]:
    with transaction.atomic():
        return Prediction.objects.waiting().update_each(columns)


def test_writes_different_values_to_each_row() -> None:
    first, second, untouched = (stored_prediction(state="queued") for _ in range(3))
    written = _update({first.pk: _done("cup"), second.pk: _done("tea “ä” 100% %s", score=1.0)})
    assert sorted(written) == sorted([first.pk, second.pk])
    found = Prediction.objects.in_bulk()
    assert [found[row.pk].label for row in (first, second, untouched)] == ["cup", "tea “ä” 100% %s", ""]
    assert [found[row.pk].score for row in (first, second, untouched)] == [0.25, 1.0, None]
    assert [found[row.pk].state for row in (first, second, untouched)] == ["done", "done", "queued"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("top", []),
        ("top", [["a \"quoted\" 'label'", 0.5], ["\u2028😀", 1e-06]]),
        ("started_at", None),
        ("started_at", FINISHED_AT),
        ("compute_ms", None),
        ("compute_ms", 0.01),
        ("score", 0.12345678901234568),
        ("score", 0.0),
    ],
)
def test_reads_back_what_it_wrote(column: str, value: object) -> None:
    prediction = stored_prediction(state="running", started_at=timezone.now(), compute_ms=5.0, top=[["old", 1.0]])
    _update({prediction.pk: _done() | {column: value}})
    read = Prediction.objects.get()
    assert getattr(read, column) == value and type(getattr(read, column)) is type(value)
    assert Prediction.objects.filter(**{column: value} if value is not None else {f"{column}__isnull": True}).exists()
    assert (read.file_name, read.created_at) == (prediction.file_name, prediction.created_at), "other columns stay"


def test_updates_only_rows_of_the_query_set() -> None:
    waiting, settled = stored_prediction(state="queued"), stored_prediction(label="espresso")
    assert _update({waiting.pk: _done(), settled.pk: _done(), uuid4(): _done()}) == [waiting.pk]
    settled.refresh_from_db()
    assert settled.label == "espresso"
    assert _update({waiting.pk: _done("other")}) == []


@pytest.mark.parametrize("columns", [{}, {UUID(int=1): _done()}], ids=["empty", "unknown"])
def test_updates_nothing_without_matching_rows(
    columns: dict[UUID, dict[str, Any]], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(2):
        assert Prediction.objects.waiting().update_each(columns) == []


@pytest.mark.parametrize("number", [1, 40])
def test_takes_two_queries_for_any_number_of_rows(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    predictions = [stored_prediction(state="queued") for _ in range(number)]
    with transaction.atomic(), django_assert_num_queries(2):
        written = Prediction.objects.waiting().update_each({row.pk: _done() for row in predictions})
    assert len(written) == number == Prediction.objects.filter(state="done").count()


def test_writes_all_rows_or_none() -> None:
    first, second = (stored_prediction(state="queued") for _ in range(2))
    with pytest.raises(IntegrityError):
        _update({first.pk: _done(), second.pk: _done(score=2.0)})
    assert list(Prediction.objects.values_list("state", flat=True)) == ["queued", "queued"]
