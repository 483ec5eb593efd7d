"""The selection of decided cases for a data set."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from learning.datasets.case_selection import CaseSelection, SelectionSize, label_counts
from learning.datasets.tests.data import decided_case
from predictions import erasing
from predictions.exceptions import RequestRejected
from review.models import Case
from review.tests.cases import open_case

pytestmark = pytest.mark.django_db


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def cases() -> dict[str, Case]:
    """Five decided cases. One more is open."""
    open_case()
    return {
        "first": decided_case("espresso", decided_at=_utc("2026-01-01T00:00:00")),
        "last minute": decided_case("cup", decided_at=_utc("2026-01-31T23:59:59.999999")),
        "later": decided_case("cup", decided_at=_utc("2026-02-01T00:00:00")),
        "unusable": decided_case(verdict="unusable", decided_at=_utc("2026-02-02T12:00:00")),
        "other": decided_case("tabby", decided_at=_utc("2026-03-01T12:00:00")),
    }


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({}, {"first", "last minute", "later", "unusable", "other"}),
        ({"since": date(2026, 2, 1)}, {"later", "unusable", "other"}),
        ({"until": date(2026, 1, 31)}, {"first", "last minute"}),
        ({"since": date(2026, 1, 31), "until": date(2026, 1, 31)}, {"last minute"}),
        ({"until": date(2025, 12, 31)}, set()),
        ({"labels": ["cup"]}, {"last minute", "later"}),
        ({"labels": [" tabby ", "espresso"]}, {"first", "other"}),
        ({"verdicts": ["right"]}, {"first"}),
        ({"verdicts": ["right", "unusable"]}, {"first", "unusable"}),
        ({"verdicts": ["right", "corrected", "unusable"]}, {"first", "last minute", "later", "unusable", "other"}),
        ({"labels": ["cup"], "verdicts": ["right"]}, set()),
        ({"labels": ["cup"], "since": date(2026, 2, 1), "verdicts": ["corrected"]}, {"later"}),
    ],
)
def test_selects_cases(cases: dict[str, Case], choice: dict[str, Any], found: set[str]) -> None:
    chosen = CaseSelection.parse(**choice)
    by_hash = {case.image.sha256: name for name, case in cases.items()}
    rows = list(chosen.rows())
    assert {by_hash[row.sha256] for row in rows} == found
    assert [row.sha256 for row in rows] == sorted(row.sha256 for row in rows)
    assert chosen.size().cases == len(found)
    assert CaseSelection.from_json(json.loads(json.dumps(chosen.as_json()))) == chosen


def test_rows_have_the_columns_of_a_case(
    cases: dict[str, Case], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    case = cases["later"]
    with django_assert_num_queries(2):  # the label sets, and the rows
        (row,) = CaseSelection(since=date(2026, 2, 1), until=date(2026, 2, 1)).rows()
    assert (row.sha256, row.stored_file) == (case.image.sha256, case.image.file.name)
    assert row.byte_size == case.image.byte_size
    assert (row.label, row.verdict, row.decisions, row.decided_at) == ("cup", "corrected", 1, case.decided_at)
    assert (row.model_version, row.predicted_label, row.score) == ("fake-net@1", "espresso", case.score)
    assert (row.statements, row.in_audit) == (0, False)


def test_size_takes_two_queries(cases: dict[str, Case], django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(2):  # the label sets, and the counts
        size = CaseSelection().size()
    labelled = [case for case in cases.values() if case.label]
    assert size == SelectionSize(5, 4, 3, sum(case.image.byte_size for case in labelled), 0)
    assert CaseSelection(since=date(2030, 1, 1)).size() == SelectionSize(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"since": date(2026, 1, 2), "until": date(2026, 1, 1)}, "since-after-until"),
        ({"verdicts": ["right", "wrong"]}, "unknown-verdict"),
        ({"labels": ["no such thing"]}, "unknown-label"),
        ({"labels": [""]}, "unknown-label"),
        ({"labels": ["espresso"], "verdicts": ["unusable"]}, "unusable-has-no-label"),
        ({"labels": ["espresso"], "verdicts": ["no-label"]}, "unusable-has-no-label"),
        ({"labels": ["espresso"], "verdicts": ["no-label", "unusable"]}, "unusable-has-no-label"),
    ],
)
def test_rejects_invalid_selection(choice: dict[str, Any], code: str) -> None:
    decided_case("espresso")
    with pytest.raises(RequestRejected) as caught:
        CaseSelection.parse(**choice)
    assert caught.value.code == code


def test_resolves_labels_of_the_model(models: object) -> None:
    """As users write them, and without a case decided with them."""
    assert CaseSelection.parse(labels=["coffee mug", "Eskimo dog"]).labels == ("Eskimo_dog", "coffee_mug")


def test_accepts_a_decided_label_that_no_model_has() -> None:
    decided_case("my own label")
    assert CaseSelection.parse(labels=["my own label"]).labels == ("my own label",)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (CaseSelection(), "all decided cases"),
        (CaseSelection.parse(verdicts=["corrected", "right"]), "corrected or confirmed right"),
        (CaseSelection(since=date(2026, 1, 1)), "all decided cases, decided since 2026-01-01"),
        (
            CaseSelection(date(2026, 1, 1), date(2026, 2, 1), ("cup", "tabby"), ("right",)),
            "confirmed right, labelled cup, tabby, decided since 2026-01-01 until 2026-02-01",
        ),
    ],
)
def test_describes_the_selection(chosen: CaseSelection, words: str) -> None:
    assert str(chosen) == words


def test_counts_cases_by_label(cases: dict[str, Case]) -> None:
    assert label_counts() == [("cup", 2), ("espresso", 1), ("tabby", 1)]


@pytest.mark.django_db(transaction=True)
def test_leaves_out_erased_pictures() -> None:
    erased, kept = decided_case("espresso"), decided_case("espresso")
    erasing.images_erase([erased.image_id])
    assert [row.sha256 for row in CaseSelection().rows()] == [kept.image.sha256]
    assert (CaseSelection().size().cases, CaseSelection().size().with_label) == (1, 1)
