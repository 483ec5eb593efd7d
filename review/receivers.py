"""Receivers of the signals of the packages below: they open cases, count feedback, and erase."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction

from feedback.models import Feedback
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.signals import Answered, Erasure
from review import opening
from review.models import Case

logger = logging.getLogger(__name__)


def open_cases_for_answers(answers: Sequence[Answered], **_: Any) -> None:
    """Receives `predictions.signals.answered`: opens cases for uncertain answers and for the audit sample.

    Runs in the transaction that stores the answers, so that a killed worker does not lose the case. Logs database
    errors. The sender logs any other error, and stores the answers anyway.
    """
    sampled = {answer.id for answer in answers if opening.is_sampled(answer.sha256)}
    uncertain = {answer.id for answer in answers if answer.score < settings.REVIEW_BELOW_SCORE}
    if not sampled and not uncertain:
        return
    try:
        with transaction.atomic():
            found = Prediction.objects.select_related("image").in_bulk(sampled | uncertain)
            opening.cases_open([found[pk] for pk in uncertain - sampled], source=Case.OpenedBy.LOW_SCORE)
            # Last, because it also locks existing cases. Locks on images come before those, or two could deadlock.
            opening.cases_open([found[pk] for pk in sampled], source=Case.OpenedBy.AUDIT)
    except DatabaseError:
        logger.exception("Could not open cases for %d answers.", len(sampled | uncertain))


def reject_feedback_after_decision(prediction: Prediction, replaces: bool, **_: Any) -> None:
    """Receives `feedback.signals.feedback_storing`: rejects the replacement of a statement on a decided case.

    Locks the case until the statement is stored. Raises `RequestRejected` `decided`.
    """
    if not replaces:
        return
    case = Case.objects.select_for_update(of=("self",)).filter(image_id=prediction.image_id).first()
    if case is not None and case.state == Case.State.DECIDED:
        raise RequestRejected("decided", "A reviewer has decided this already. Thank you all the same.", status=409)


def count_feedback(feedback: Feedback, prediction: Prediction, **_: Any) -> None:
    """Receives `feedback.signals.feedback_stored`: counts the statement in its case. A complaint opens a case."""
    case = Case.objects.select_for_update(of=("self",)).filter(image_id=prediction.image_id).first()
    if case is not None:
        opening.case_count_feedback(case, feedback)
    elif feedback.verdict != Feedback.Verdict.RIGHT:
        opening.cases_open([prediction], source=Case.OpenedBy.FEEDBACK)


def recount_feedback(image: Image, **_: Any) -> None:
    """Receives `feedback.signals.feedback_withdrawn`: counts the remaining statements of a case."""
    case = Case.objects.select_for_update(of=("self",)).filter(image=image).first()
    if case is not None:
        opening.case_recount(case)


def awaits_review(prediction: Prediction, **_: Any) -> bool:
    """Receives `feedback.signals.awaits_review`: returns whether the prediction's image has an undecided case."""
    return Case.objects.filter(image__predictions=prediction).exclude(state__in=Case.SETTLED).exists()


def needs_picture(image: Image, **_: Any) -> bool:
    """Receives `predictions.signals.picture_needed`: a decided label is of no use without its picture.

    Locks the case until the end of the transaction.
    """
    case = Case.objects.select_for_update(of=("self",)).filter(image=image).first()
    return case is not None and case.state == Case.State.DECIDED and case.label != ""


def erase_case(image: Image, erasure: Erasure, **_: Any) -> None:
    """Receives `predictions.signals.erasing`: takes the case of an erased picture out of the queue.

    A decided case keeps its verdict. A case without any history is deleted.
    """
    if erasure.successor is None:
        return
    case = Case.objects.select_for_update(of=("self",)).filter(image=image).first()
    if case is None:
        return
    if case.state == Case.State.OPEN and case.decision_count == 0:
        case.delete()
        return
    case.image = erasure.successor
    case.claimed_by = case.claimed_until = case.claimed_in_advance = None
    if case.state != Case.State.DECIDED:
        case.state = Case.State.ERASED
    case.save()
