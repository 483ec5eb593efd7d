"""The answers that a load generator received: how many, how fast, and what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

OK, REFUSED, FAILED = "ok", "refused", "failed"
OUTCOMES = (OK, REFUSED, FAILED)

MOST_REASONS = 20  # distinct reasons that are kept: they may hold any text
OTHER_REASONS = "other reasons"


@dataclass
class Latencies:
    """The answers of one kind.

    `started` counts the requests sent within the window. Their times are recorded even if the answer comes after the
    window, so that slow answers count. `finished` counts the answers received within the window, for rates.
    `milliseconds` maps a rounded time to the number of requests that took it; `total` is the exact sum of the times.
    """

    finished: int = 0
    total: float = 0.0
    milliseconds: Counter[int] = field(default_factory=Counter)

    def count(self, milliseconds: float) -> None:
        self.total += milliseconds
        self.milliseconds[rounded(milliseconds)] += 1

    @property
    def started(self) -> int:
        return self.milliseconds.total()

    def merge(self, other: Latencies) -> None:
        self.finished += other.finished
        self.total += other.total
        self.milliseconds.update(other.milliseconds)

    def percentile(self, share: float) -> float:
        """Returns the shortest time that at least this share did not exceed, or `nan` without requests."""
        needed = math.ceil(share * self.started)
        for milliseconds in sorted(self.milliseconds):
            needed -= self.milliseconds[milliseconds]
            if needed <= 0:
                return milliseconds
        return math.nan

    @property
    def mean(self) -> float:
        return self.total / self.started if self.started else math.nan

    def figures(self) -> dict[str, Any]:
        """Returns counts and milliseconds; the times are `None` without requests."""
        if not self.started:
            return {"started": 0, "finished": self.finished, "mean": None, "p50": None, "p95": None, "p99": None}
        found = {"started": self.started, "finished": self.finished, "mean": round(self.mean, 2)}
        found |= {f"p{share}": self.percentile(share / 100) for share in (50, 95, 99)}
        return found | {"max": max(self.milliseconds)}


class Recorder:
    """The latencies of one generator, by name and outcome. The window is in seconds since the epoch."""

    def __init__(self, begins: float, ends: float) -> None:
        self.begins = begins
        self.ends = ends
        self.rows: dict[tuple[str, str], Latencies] = {}
        self.reasons: Counter[str] = Counter()

    def add(self, name: str, outcome: str, *, started: float, milliseconds: float, reason: str = "") -> None:
        """`started`: seconds since the epoch."""
        row = self.rows.setdefault((name, outcome), Latencies())
        if self.begins <= started < self.ends:
            row.count(milliseconds)
            if outcome == FAILED:
                known = reason in self.reasons or len(self.reasons) < MOST_REASONS
                self.reasons[reason if known else OTHER_REASONS] += 1
        if self.begins <= started + milliseconds / 1000 < self.ends:
            row.finished += 1

    def as_json(self) -> dict[str, Any]:
        """Includes the whole distributions, so that those of several generators can be merged."""
        rows = [{"name": name, "outcome": outcome, **vars(row)} for (name, outcome), row in sorted(self.rows.items())]
        return {"begins": self.begins, "ends": self.ends, "rows": rows, "reasons": dict(self.reasons)}


def merged(recorded: Iterable[dict[str, Any]]) -> tuple[dict[tuple[str, str], Latencies], Counter[str]]:
    """Merges the latencies and the reasons of all generators, from their `as_json`."""
    rows: dict[tuple[str, str], Latencies] = {}
    reasons: Counter[str] = Counter()
    for one in recorded:
        for row in one["rows"]:
            times = Counter({int(milliseconds): number for milliseconds, number in row["milliseconds"].items()})
            rows.setdefault((row["name"], row["outcome"]), Latencies()).merge(
                Latencies(row["finished"], row["total"], times)
            )
        reasons.update(one["reasons"])
    return rows, reasons


def rounded(milliseconds: float) -> int:
    """Rounds to three digits, so that any distribution has at most a few thousand distinct values."""
    whole = round(milliseconds)
    step = int(10 ** max(0, len(str(whole)) - 3))
    return round(whole / step) * step
