"""What model versions have answered so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q

from predictions.models import Prediction
from review.counting import counted_lately
from review.models import Case

RECENT_ANSWERS = 200


@dataclass(frozen=True)
class Usage:
    """How many rows name a version: `predictions` that it has answered, and `cases`, whose data sets name it, too.

    `compute_ms`: the median of its latest answers, or `None` if there are none.
    """

    predictions: int = 0
    cases: int = 0
    compute_ms: float | None = None

    @property
    def is_used(self) -> bool:
        return bool(self.predictions or self.cases)


UNUSED = Usage()


def usage() -> Mapping[str, Usage]:
    """Returns the usage of every version that has answered, counted recently, by `name@version`."""
    return counted_lately("model versions", _count)


def usage_of(version: str) -> Usage:
    """Returns the usage of one version, counted now."""
    predictions = Prediction.objects.answered_by(version).count()
    return Usage(predictions, Case.objects.filter(model_version=version).count(), _compute_ms(version))


def _count() -> dict[str, Usage]:
    answered = Prediction.objects.filter(~Q(model_version="")).order_by().values_list("model_version")
    predictions = dict(answered.annotate(number=Count("*")))
    cases = dict(Case.objects.order_by().values_list("model_version").annotate(number=Count("*")))
    return {
        version: Usage(predictions.get(version, 0), cases.get(version, 0), _compute_ms(version))
        for version in sorted(predictions.keys() | cases.keys())
    }


def _compute_ms(version: str) -> float | None:
    latest = Prediction.objects.answered_by(version).order_by("-created_at").values_list("compute_ms", flat=True)
    milliseconds = [value for value in latest[:RECENT_ANSWERS] if value is not None]
    return statistics.median(milliseconds) if milliseconds else None
