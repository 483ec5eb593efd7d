"""What opens a case, and what it knows of the statements."""

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


def test_it_works() -> None:
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


def test_unsure_opens_one_too() -> None:
    _say(own_prediction(), "a", "unsure")
    case = Case.objects.get()
    assert (case.weight, case.wrong_count, case.is_disputed) == (1, 0, False)


def test_same_bytes_same_case() -> None:
    image = stored_image()
    first, second = stored_prediction(image), stored_prediction(image, label="cup", score=0.5, model_version="net@2")
    _say(first, "a", label="cup")
    _say(second, "a", "unsure")
    _say(second, "b", label="coffee_mug")
    case = Case.objects.get()
    assert (case.weight, case.wrong_count) == (3, 2)
    assert (case.prediction, case.predicted_label) == (second, "cup"), "the answer that was last complained of"


def test_the_label_that_most_expect() -> None:
    prediction = own_prediction()
    for author, label in (("a", "cup"), ("b", "coffee_mug"), ("c", "cup"), ("d", "")):
        _say(prediction, author, label=label)
    assert Case.objects.get().expected_label == "cup"


def test_one_statement_of_each_author() -> None:
    prediction = own_prediction()
    first = _say(prediction, "a", label="cup")
    second = _say(prediction, "a", label="coffee_mug")
    first.refresh_from_db()
    assert (first.is_current, second.is_current) == (False, True), "underneath, both are there"
    case = Case.objects.get()
    assert (case.weight, case.expected_label) == (1, "coffee_mug")
    _say(prediction, "a", "right")
    case.refresh_from_db()
    assert (case.weight, case.is_disputed, case.expected_label) == (1, False, "")


@pytest.mark.parametrize(("below", "opened"), [(0.0, 0), (0.95, 0), (0.96, 2)])
def test_low_scores(queue: Queue, settings: Settings, below: float, opened: int) -> None:
    settings.REVIEW_BELOW_SCORE = below
    _answered(2)
    assert Case.objects.filter(source="low-score", in_audit=False, weight=0).count() == opened


def test_audit(queue: Queue, settings: Settings) -> None:
    settings.REVIEW_SAMPLE_RATE = settings.REVIEW_BELOW_SCORE = 1.0
    (prediction,) = _answered()
    case = Case.objects.get()
    assert (case.source, case.in_audit, case.prediction) == ("audit", True, prediction)


def test_a_case_that_is_there_joins_the_sample() -> None:
    case = open_case()
    opening.cases_open([case.prediction], source=Case.Source.AUDIT)
    case.refresh_from_db()
    assert (case.source, case.in_audit, Case.objects.count()) == ("feedback", True, 1)


def test_the_sample_is_the_same_everywhere_and_only_grows(settings: Settings) -> None:
    hashes = [f"{number:064x}" for number in range(4000)]
    samples = []
    for rate in (0.01, 0.1, 0.5):
        settings.REVIEW_SAMPLE_RATE = rate
        samples.append({sha256 for sha256 in hashes if opening.is_sampled(sha256)})
        assert len(samples[-1]) == pytest.approx(4000 * rate, rel=0.5)
    assert samples[0] < samples[1] < samples[2]
    settings.SECRET_KEY = "another"  # who does not know the key cannot tell which pictures are looked at
    assert {sha256 for sha256 in hashes if opening.is_sampled(sha256)} != samples[2]


def test_an_answer_is_stored_even_if_no_case_can_be(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REVIEW_SAMPLE_RATE = 1.0

    def broken(*_arguments: object, **_options: object) -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(opening, "cases_open", broken)
    (prediction,) = _answered()
    prediction.refresh_from_db()
    assert prediction.is_done and not Case.objects.exists()


def test_what_was_said_before_the_case_opened_belongs_to_it() -> None:
    prediction = own_prediction()
    _say(prediction, "a", "right")
    opening.cases_open([prediction], source=Case.Source.AUDIT)
    case = Case.objects.get()
    assert (case.weight, case.wrong_count) == (1, 0)


def test_labels_are_known_ones() -> None:
    with pytest.raises(RequestRejected) as refused:
        _say(own_prediction(), "a", label="<b>no label</b>")
    assert refused.value.code == "unknown-label"
    assert not Feedback.objects.exists() and not Case.objects.exists()
