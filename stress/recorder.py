"""What a load generator keeps of the answers it got: how many, how fast, and what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

OK, REFUSED, FAILED = "ok", "refused", "failed"
OUTCOMES = (OK, REFUSED, FAILED)

MOST_REASONS = 20  # different ones that are kept; what a client complains of may hold anything
OTHER_REASONS = "other reasons"


@dataclass
class Row:
    """The answers of one kind.

    `started` counts those that were asked for within the window and `finished` those that came within it: the first is
    what times are told of, with the slow ones that came late, and the second is what a rate is made of.
    `milliseconds`: how many took so long, of those that were asked for within the window; `total` is all of their
    milliseconds, which are not rounded there.
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

    def merge(self, other: Row) -> None:
        self.finished += other.finished
        self.total += other.total
        self.milliseconds.update(other.milliseconds)

    def percentile(self, share: float) -> float:
        """The least time that at least this share of them did not exceed; `nan` of none."""
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
        """Numbers and milliseconds, `None` where there was nothing."""
        if not self.started:
            return {"started": 0, "finished": self.finished, "mean": None, "p50": None, "p95": None, "p99": None}
        found = {"started": self.started, "finished": self.finished, "mean": round(self.mean, 2)}
        found |= {f"p{share}": self.percentile(share / 100) for share in (50, 95, 99)}
        return found | {"max": max(self.milliseconds)}


class Recorder:
    """All rows of one generator, by name and outcome. `begins` and `ends`: the window, in seconds since the epoch."""

    def __init__(self, begins: float, ends: float) -> None:
        self.begins = begins
        self.ends = ends
        self.rows: dict[tuple[str, str], Row] = {}
        self.reasons: Counter[str] = Counter()

    def add(self, name: str, outcome: str, *, started: float, milliseconds: float, reason: str = "") -> None:
        """`started`: seconds since the epoch."""
        row = self.rows.setdefault((name, outcome), Row())
        if self.begins <= started < self.ends:
            row.count(milliseconds)
            if outcome == FAILED:
                known = reason in self.reasons or len(self.reasons) < MOST_REASONS
                self.reasons[reason if known else OTHER_REASONS] += 1
        if self.begins <= started + milliseconds / 1000 < self.ends:
            row.finished += 1

    def as_json(self) -> dict[str, Any]:
        """With the whole distributions, so that several generators can be put together."""
        rows = [{"name": name, "outcome": outcome, **vars(row)} for (name, outcome), row in sorted(self.rows.items())]
        return {"begins": self.begins, "ends": self.ends, "rows": rows, "reasons": dict(self.reasons)}


def merged(recorded: Iterable[dict[str, Any]]) -> tuple[dict[tuple[str, str], Row], Counter[str]]:
    """The rows and the reasons of all generators together, from what each wrote with `as_json`."""
    rows: dict[tuple[str, str], Row] = {}
    reasons: Counter[str] = Counter()
    for one in recorded:
        for row in one["rows"]:
            times = Counter({int(milliseconds): number for milliseconds, number in row["milliseconds"].items()})
            rows.setdefault((row["name"], row["outcome"]), Row()).merge(Row(row["finished"], row["total"], times))
        reasons.update(one["reasons"])
    return rows, reasons


def rounded(milliseconds: float) -> int:
    """To three digits, so that a distribution of any length has some thousand values at most."""
    whole = round(milliseconds)
    step = int(10 ** max(0, len(str(whole)) - 3))
    return round(whole / step) * step
