"""The answers that a load generator received: how many, how fast, and what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

OK, REFUSED, FAILED = "ok", "refused", "failed"
OUTCOMES = (OK, REFUSED, FAILED)

MOST_REASONS = 20  # distinct reasons that are written


@dataclass
class Latencies:
    """The answers of one kind.

    `finished` counts the answers received within the window, for rates. `milliseconds` holds the times of the requests
    sent within the window, also if their answers come after it, so that slow answers count.
    """

    finished: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Returns counts and milliseconds; the times are `None` without requests.

        A percentile is the shortest time that at least this share did not exceed.
        """
        times = sorted(self.milliseconds)
        count = len(times)
        found: dict[str, Any] = {"started": count, "finished": self.finished}
        if not count:
            return found | dict.fromkeys(("mean", "p50", "p95", "p99"))
        percentiles = {f"p{share}": times[math.ceil(share * count / 100) - 1] for share in (50, 95, 99)}
        return found | {"mean": round(fmean(times), 2), **percentiles, "max": times[-1]}


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
            row.milliseconds.append(round(milliseconds, 1))
            if outcome == FAILED:
                self.reasons[reason] += 1
        if self.begins <= started + milliseconds / 1000 < self.ends:
            row.finished += 1

    def as_json(self) -> dict[str, Any]:
        """Includes all times, so that those of several generators can be merged."""
        rows = [{"name": name, "outcome": outcome, **vars(row)} for (name, outcome), row in sorted(self.rows.items())]
        return {"rows": rows, "reasons": dict(self.reasons.most_common(MOST_REASONS))}


def merged(recorded: Iterable[dict[str, Any]]) -> tuple[dict[tuple[str, str], Latencies], Counter[str]]:
    """Merges the latencies and the reasons of all generators, from their `as_json`."""
    rows: dict[tuple[str, str], Latencies] = {}
    reasons: Counter[str] = Counter()
    for one in recorded:
        for row in one["rows"]:
            whole = rows.setdefault((row["name"], row["outcome"]), Latencies())
            whole.finished += row["finished"]
            whole.milliseconds += row["milliseconds"]
        reasons.update(one["reasons"])
    return rows, reasons
