"""Reasons that open a case, and the feedback that the case counts."""

from __future__ import annotations

import pytest
from django.db import DatabaseError
from pytest_django import Settings
from rq import Queue

from feedback.models import Feedback
from feedback.services import feedback_give
from predictions import answering
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_image, stored_prediction
from review import opening
from review.models import Case
from review.tests.cases import open_case, own_prediction

pytestmark = pytest.mark.django_db


def _say(prediction: Prediction, author: str, verdict: str = "wrong", label: str = "") -> Feedback:
    return feedback_give(prediction=prediction, author=author, verdict=verdict, expected_label=label)


def _answered(number: int = 1) -> list[Prediction]:
    waiting = [own_prediction(state="queued") for _ in range(number)]
    answering.predictions_answer([prediction.id for prediction in waiting], FakeClassifier())  # type: ignore[arg-type]
    return waiting


def test_complaint_opens_a_case() -> None:
    prediction = own_prediction()
    _say(prediction, "a", "right")
    assert not Case.objects.exists()
    _say(prediction, "b", "wrong", "cup")
    case = Case.objects.get()
    assert (case.state, case.source, case.in_audit) == ("open", "feedback", False)
    assert (case.predicted_label, case.model_version, case.prediction) == ("espresso", "fake-net@1", prediction)
    assert case.margin == pytest.approx(0.9512345 - 0.03)
    assert (case.weight, case.wrong_count, case.is_disputed, case.expected_label) == (2, 1, True, "cup")
    assert case.feedback.count() == 2


def test_unsure_feedback_opens_a_case() -> None:
    _say(own_prediction(), "a", "unsure")
    case = Case.objects.get()
    assert (case.weight, case.wrong_count, case.is_disputed) == (1, 0, False)


def test_predictions_of_one_image_share_a_case() -> None:
    image = stored_image()
    first, second = stored_prediction(image), stored_prediction(image, label="cup", score=0.5, model_version="net@2")
    _say(first, "a", label="cup")
    _say(second, "a", "unsure")
    _say(second, "b", label="coffee_mug")
    case = Case.objects.get()
    assert (case.weight, case.wrong_count) == (2, 2), "two people said three things"
    assert (case.prediction, case.predicted_label) == (second, "cup"), "the answer of the latest complaint"


def test_expected_label_is_the_most_frequent_one() -> None:
    prediction = own_prediction()
    for author, label in (("a", "cup"), ("b", "coffee_mug"), ("c", "cup"), ("d", "")):
        _say(prediction, author, label=label)
    assert Case.objects.get().expected_label == "cup"


def test_counts_only_the_current_statement_of_an_author() -> None:
    prediction = own_prediction()
    first = _say(prediction, "a", label="cup")
    second = _say(prediction, "a", label="coffee_mug")
    first.refresh_from_db()
    assert (first.is_current, second.is_current) == (False, True), "both are stored"
    case = Case.objects.get()
    assert (case.weight, case.expected_label) == (1, "coffee_mug")
    _say(prediction, "a", "right")
    case.refresh_from_db()
    assert (case.weight, case.is_disputed, case.expected_label) == (1, False, "")


@pytest.mark.parametrize(("below", "opened"), [(0.0, 0), (0.95, 0), (0.96, 2)])
def test_low_score_opens_a_case(queue: Queue, settings: Settings, below: float, opened: int) -> None:
    settings.REVIEW_BELOW_SCORE = below
    _answered(2)
    assert Case.objects.filter(source="low-score", in_audit=False, weight=0).count() == opened


def test_audit_sample_opens_a_case(queue: Queue, settings: Settings) -> None:
    settings.REVIEW_SAMPLE_RATE = settings.REVIEW_BELOW_SCORE = 1.0
    (prediction,) = _answered()
    case = Case.objects.get()
    assert (case.source, case.in_audit, case.prediction) == ("audit", True, prediction)


def test_existing_case_joins_the_audit_sample() -> None:
    case = open_case()
    opening.cases_open([case.prediction], source=Case.OpenedBy.AUDIT)
    case.refresh_from_db()
    assert (case.source, case.in_audit, Case.objects.count()) == ("feedback", True, 1)


def test_sample_is_deterministic_and_grows_with_its_rate(settings: Settings) -> None:
    hashes = [f"{number:064x}" for number in range(4000)]
    samples = []
    for rate in (0.01, 0.1, 0.5):
        settings.REVIEW_SAMPLE_RATE = rate
        samples.append({sha256 for sha256 in hashes if opening.is_sampled(sha256)})
        assert len(samples[-1]) == pytest.approx(4000 * rate, rel=0.5)
    assert samples[0] < samples[1] < samples[2]
    settings.IDENTITY_KEY = "another"  # nobody can predict the sample without the key
    assert {sha256 for sha256 in hashes if opening.is_sampled(sha256)} != samples[2]


def test_sample_outlives_the_secret_key(settings: Settings) -> None:
    settings.REVIEW_SAMPLE_RATE = 0.1
    hashes = [f"{number:064x}" for number in range(200)]
    before = [opening.is_sampled(sha256) for sha256 in hashes]
    settings.SECRET_KEY = "another"
    assert [opening.is_sampled(sha256) for sha256 in hashes] == before


def test_answer_is_stored_even_if_its_case_cannot_be(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REVIEW_SAMPLE_RATE = 1.0

    def broken(*_arguments: object, **_options: object) -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(opening, "cases_open", broken)
    (prediction,) = _answered()
    prediction.refresh_from_db()
    assert prediction.is_done and not Case.objects.exists()


def test_new_case_counts_earlier_feedback() -> None:
    prediction = own_prediction()
    _say(prediction, "a", "right")
    opening.cases_open([prediction], source=Case.OpenedBy.AUDIT)
    case = Case.objects.get()
    assert (case.weight, case.wrong_count) == (1, 0)


def test_rejects_unknown_label() -> None:
    with pytest.raises(RequestRejected) as rejected:
        _say(own_prediction(), "a", label="<b>no label</b>")
    assert rejected.value.code == "unknown-label"
    assert not Feedback.objects.exists() and not Case.objects.exists()
