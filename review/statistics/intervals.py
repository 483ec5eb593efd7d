"""Counted shares and their confidence intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)  # 1.96: 95 % of a normal distribution lie within this many standard deviations


def wilson(successes: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Return both ends of the score interval of a share, from 0 to 1. It is (0, 1) if nothing was counted.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), 209-212. Unlike the textbook interval (share plus or minus
    standard errors), it stays within 0 and 1, does not shrink to a point at 0 of n and n of n, and is reliable for
    few cases. Most classes have few.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is not a share.")
    if not total:
        return 0.0, 1.0
    share = successes / total
    scale = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At the ends the formula gives exactly 0 and 1, but floating-point arithmetic can miss them by the last digit.
    low = 0.0 if successes == 0 else min(middle - half, share)
    high = 1.0 if successes == total else max(middle + half, share)
    return max(0.0, low), min(1.0, high)


@dataclass(frozen=True)
class Proportion:
    """`successes` of `total`, also as texts for people: `percent`, `interval` and `of`."""

    successes: int = 0
    total: int = 0

    @property
    def share(self) -> float | None:
        return self.successes / self.total if self.total else None

    @property
    def bounds(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.successes, self.total)

    @property
    def percent(self) -> str:
        return "–" if self.share is None else f"{self.share:.1%}"

    @property
    def interval(self) -> str:
        return span(*self.bounds) if self.total else "–"

    @property
    def of(self) -> str:
        return "none" if self.share is None else f"{self.share:.1%} of {self.total:,}"


def span(low: float, high: float) -> str:
    return f"{100 * low:.1f}–{100 * high:.1f}%"
