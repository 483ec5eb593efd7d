"""Opens cases, and keeps them up to date with the feedback."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from django.conf import settings
from django.utils import timezone

from feedback.models import Feedback
from predictions.models import Image, Prediction
from review.expectations import summary
from review.models import Case


def is_sampled(sha256: str) -> bool:
    """Whether the image with this hash is in the audit sample.

    A keyed hash decides. The result is the same in every process and each time the image is sent, and nobody can
    predict it without the key. A higher rate only adds images to the sample.
    """
    rate: float = settings.REVIEW_SAMPLE_RATE
    if not rate:
        return False
    digest = hmac.digest(settings.IDENTITY_KEY.encode(), b"review-sample:" + sha256.encode(), "sha256")
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def cases_open(predictions: Iterable[Prediction], *, source: Case.OpenedBy) -> list[Case]:
    """Opens a case for each of these predictions whose image has none. Counts earlier feedback. Returns the new cases.

    Call it in a transaction. With the source `AUDIT` it also adds existing cases to the audit sample.
    """
    wanted = {prediction.image_id: _case(prediction, source) for prediction in predictions if prediction.is_done}
    if not wanted:
        return []
    # New feedback on these images waits until this transaction ends, and then finds the case.
    list(Image.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk").values_list("pk"))
    existing = set(Case.objects.filter(image_id__in=wanted).values_list("image_id", flat=True))
    if source == Case.OpenedBy.AUDIT and existing:
        unmarked = Case.objects.filter(image_id__in=existing, in_audit=False)
        # In the order of bulk decisions, which lock the same cases: another order could deadlock.
        locked = list(unmarked.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
        Case.objects.filter(pk__in=locked).update(in_audit=True)
    new = [image_id for image_id in wanted if image_id not in existing]
    # If another process opens the same case at the same time, its row stays.
    Case.objects.bulk_create([wanted[image_id] for image_id in new], ignore_conflicts=True)
    cases = list(Case.objects.select_for_update(of=("self",)).filter(image_id__in=new))
    for case in cases:
        case_recount(case)
    return cases


def _case(prediction: Prediction, source: Case.OpenedBy) -> Case:
    return Case(
        image_id=prediction.image_id,
        source=source,
        in_audit=source == Case.OpenedBy.AUDIT,
        **answer_columns(prediction),
    )


def answer_columns(prediction: Prediction) -> dict[str, object]:
    """Returns the columns of a case that describe the answer under review."""
    scores = [score for _label, score in prediction.top]
    return {
        "prediction_id": prediction.pk,
        "predicted_label": prediction.label,
        "score": prediction.score,
        # An answer with a single label has no second best.
        "margin": max(0.0, scores[0] - scores[1]) if len(scores) > 1 else 1.0,
        "model_version": prediction.model_version,
    }


def case_count_feedback(case: Case, feedback: Feedback) -> None:
    """Updates `case`, which this transaction has locked, for a new statement that is already stored.

    If the statement is a complaint and nobody has claimed the case, its answer becomes the one under review.
    """
    is_complaint = feedback.verdict != Feedback.Verdict.RIGHT
    is_unclaimed = case.state == Case.State.OPEN and not case.is_claimed_at(timezone.now())
    if (
        is_complaint
        and is_unclaimed
        and feedback.prediction is not None
        and feedback.prediction_id != case.prediction_id
    ):
        for column, value in answer_columns(feedback.prediction).items():
            setattr(case, column, value)
    case_recount(case)


def case_recount(case: Case) -> None:
    """Recomputes the columns of a case that summarize its current feedback."""
    said = summary(case.feedback)
    wrong = said.verdicts.get(Feedback.Verdict.WRONG)
    case.weight = said.total.people if said.total else 0
    case.sender_count = min(said.total.senders, said.total.people) if said.total else 0
    case.wrong_count = wrong.people if wrong else 0
    case.is_disputed = case.wrong_count > 0
    case.expected_label = said.labels[0].what if said.labels else ""
    case.has_other_expected_labels = len(said.labels) > 1
    case.last_statement_at = said.total.latest if said.total else None
    case.save()
