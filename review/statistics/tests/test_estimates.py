from __future__ import annotations

import pytest

from review.statistics.estimates import (
    ComplaintsEstimate,
    Confusion,
    complaints,
    complaints_by_version,
    confusions,
    precision,
    precision_by_class,
    precision_by_version,
    within,
)
from review.statistics.intervals import Proportion
from review.statistics.tests.rows import counted, undecided

COUNTS = [
    counted("espresso", "espresso", 6),
    counted("espresso", "cup", 3, is_disputed=True),
    counted("espresso", "", 2, is_disputed=True),
    counted("espresso", "espresso", 1, is_disputed=True, in_audit=True),
    counted("cup", "cup", 4, in_audit=True, model_version="other@1"),
    counted("cup", "espresso", 1, in_audit=True, model_version="other@1"),
    undecided("cup", 5, in_audit=True),
    undecided("cup", 2, in_audit=True, state="flagged"),
    undecided("tabby", 7, is_disputed=True),
]


def test_corrections_confirm_complaints() -> None:
    assert complaints(COUNTS) == ComplaintsEstimate("", corrected=Proportion(3, 4), unusable=2, undecided=7)


def test_erased_cases_are_left_out() -> None:
    counts = [*COUNTS, undecided("tabby", 4, is_disputed=True, in_audit=True, state="erased")]
    assert (complaints(counts).undecided, complaints(counts).erased) == (7, 4)
    assert (precision(counts).audited_undecided, precision(counts).erased) == (7, 4)
    assert precision(counts).audited_extremes == precision(COUNTS).audited_extremes


def test_versions_with_most_decided_complaints_come_first() -> None:
    counts = [*COUNTS, counted("a", "b", 9, is_disputed=True, model_version="other@1")]
    assert [(one.model_version, one.corrected) for one in complaints_by_version(counts)] == [
        ("other@1", Proportion(9, 9)),
        ("fake-net@1", Proportion(3, 4)),
    ]
    assert [one.model_version for one in complaints_by_version(COUNTS)] == ["fake-net@1"]


def test_precision_of_all_decided_and_of_the_audit_sample() -> None:
    overall = precision(COUNTS)
    assert overall.decided == Proportion(11, 15)
    assert overall.audited == Proportion(5, 6)
    assert overall.audited_undecided == 7  # including flagged ones
    assert overall.unusable == 2


def test_undecided_cases_bound_the_audited_precision() -> None:
    assert precision(COUNTS).audited_extremes == pytest.approx((5 / 13, 12 / 13))
    assert precision([counted("a", "a", in_audit=True)]).audited_extremes == (1, 1)
    assert precision([undecided("a", in_audit=True)]).audited_extremes == (0, 1)
    assert precision([counted("a", "a")]).audited_extremes is None


def test_classes_with_most_decided_cases_come_first() -> None:
    found = precision_by_class(COUNTS)
    assert [(one.name, one.decided) for one in found] == [("espresso", Proportion(7, 10)), ("cup", Proportion(4, 5))]
    assert [one.audited for one in found] == [Proportion(1, 1), Proportion(4, 5)]
    assert [one.audited_undecided for one in found] == [0, 7]


def test_precision_by_version() -> None:
    found = precision_by_version(COUNTS)
    assert [(one.name, one.decided) for one in found] == [
        ("fake-net@1", Proportion(7, 10)),
        ("other@1", Proportion(4, 5)),
    ]
    assert precision(within(COUNTS, "other@1")).decided == Proportion(4, 5)
    assert within(COUNTS, "") == COUNTS


def test_confusions_are_shares_of_the_predicted_label() -> None:
    counts = [*COUNTS, counted("espresso", "tabby", 3), counted("espresso", "cup", 1, model_version="other@1")]
    assert confusions(counts) == [
        Confusion("espresso", "cup", Proportion(4, 14)),
        Confusion("espresso", "tabby", Proportion(3, 14)),
        Confusion("cup", "espresso", Proportion(1, 5)),
    ]


def test_no_estimates_without_cases() -> None:
    assert complaints([]).corrected == precision([]).decided == Proportion(0, 0)
    assert not any((complaints_by_version([]), precision_by_class([]), precision_by_version([]), confusions([])))
