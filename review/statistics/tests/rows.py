"""Makes rows for the statistics to count."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from feedback.models import Feedback
from predictions.models import Image, Prediction
from predictions.tests.fakes import stored_prediction
from review.models import Case
from review.statistics.queries import CaseCount
from review.tests.cases import reviewer_named

_numbers = count(1)


def answer(label: str = "espresso", model_version: str = "fake-net@1") -> Prediction:
    """Store an answer to a new picture, which has no file."""
    image = Image.objects.create(sha256=f"{next(_numbers):064x}", format="PNG", width=8, height=8, byte_size=100)
    return stored_prediction(image, label=label, model_version=model_version)


def case(
    said: str = "espresso", *, model_version: str = "fake-net@1", age: timedelta | None = None, **changes: Any
) -> Case:
    """Store a case, which is open unless `changes` say otherwise."""
    prediction = answer(said, model_version)
    given = {
        "source": Case.OpenedBy.FEEDBACK,
        "opened_at": timezone.now() - (age or timedelta(0)),
        "predicted_label": said,
        "score": 0.9,
        "margin": 0.8,
        "model_version": model_version,
    }
    return Case.objects.create(image=prediction.image, prediction=prediction, **(given | changes))


def decided(said: str, label: str, **changes: Any) -> Case:
    """Store a decided case. `label`: what reviewers chose; empty if the picture is unusable."""
    verdict = Case.Outcome.RIGHT if label == said else Case.Outcome.CORRECTED if label else Case.Outcome.UNUSABLE
    given: dict[str, Any] = {"state": "decided", "verdict": verdict, "label": label}
    return case(said, **(given | {"decided_by": reviewer_named(), "decided_at": timezone.now()} | changes))


def statement(verdict: str, at: datetime, prediction: Prediction | None = None, **changes: Any) -> Feedback:
    """Store a statement. `verdict`: empty for the report of a legacy client."""
    if verdict and prediction is None:
        prediction = answer()
    feedback = Feedback.objects.create(prediction=prediction, verdict=verdict, **changes)
    Feedback.objects.filter(pk=feedback.pk).update(created_at=at)
    return feedback


def counted(said: str, label: str, number: int = 1, **changes: Any) -> CaseCount:
    """Return a count of decided cases without storing any. `label`: empty if the picture is unusable."""
    verdict = "right" if label == said else "corrected" if label else "unusable"
    count = CaseCount(said, label, "fake-net@1", "decided", verdict, in_audit=False, is_disputed=False, number=number)
    return count._replace(**changes)


def undecided(said: str, number: int = 1, **changes: Any) -> CaseCount:
    return counted(said, "", number, **({"state": "open", "verdict": ""} | changes))
