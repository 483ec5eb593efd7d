from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.statistics.intervals import Proportion, wilson

COUNTS = st.integers(0, 1_000_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion: comparison of seven methods",
        # Statistics in Medicine 17 (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # scipy.stats.binomtest(8, 10).proportion_ci(method="wilson")
        (8, 10, 0.4902, 0.9433),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_matches_published_values(successes: int, total: int, low: float, high: float) -> None:
    assert wilson(successes, total) == pytest.approx((low, high), abs=0.00005)


@given(COUNTS)
def test_interval_contains_the_share_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    successes, total = counts
    low, high = wilson(successes, total)
    assert 0 <= low <= high <= 1
    if total:
        assert low <= successes / total <= high


@given(COUNTS.filter(lambda counts: counts[1] > 0), st.integers(2, 50))
def test_interval_narrows_with_more_cases(counts: tuple[int, int], times: int) -> None:
    successes, total = counts
    low, high = wilson(successes, total)
    narrow_low, narrow_high = wilson(successes * times, total * times)
    assert low <= narrow_low and narrow_high <= high
    assert narrow_high - narrow_low < high - low


@given(COUNTS)
def test_intervals_of_right_and_wrong_mirror_each_other(counts: tuple[int, int]) -> None:
    successes, total = counts
    low, high = wilson(successes, total)
    assert wilson(total - successes, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_interval_of_no_cases_is_everything() -> None:
    assert wilson(0, 0) == (0, 1)
    nothing = Proportion()
    assert nothing.share is None
    assert (nothing.percent, nothing.interval, nothing.of) == ("–", "–", "none")


def test_rejects_more_successes_than_cases() -> None:
    for successes, total in ((2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="not a share"):
            wilson(successes, total)


def test_proportion_as_text() -> None:
    share = Proportion(810, 2630)
    assert (share.percent, share.interval, share.of) == ("30.8%", "29.1–32.6%", "30.8% of 2,630")
