"""Statements of one author arrive at the same time, on connections of their own, with any database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from feedback.models import Feedback
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction
from review.models import Case
from review.tests.cases import own_prediction

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


def _at_once(*requests: Callable[[], Any]) -> list[int]:
    """Runs each request in a thread of its own, all at the same time. Returns the HTTP statuses."""
    start, statuses = threading.Barrier(len(requests)), []

    def run(request: Callable[[], Any]) -> None:
        try:
            start.wait()
            statuses.append(request().status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def _by_api(prediction: Prediction, **values: str) -> Callable[[], Any]:
    payload = {"prediction": str(prediction.id), "verdict": "wrong"} | values
    client = Client(raise_request_exception=False)
    return lambda: client.post("/api/feedback", payload, content_type="application/json")


@pytest.mark.parametrize("author", ["ada", ""])
def test_one_statement_of_an_author_stays_current(author: str) -> None:
    prediction = own_prediction()
    requests = [_by_api(prediction, author=author, comment=str(number)) for number in range(THREADS)]
    assert _at_once(*requests) == [201] * THREADS
    assert (Feedback.objects.count(), Feedback.objects.current().count()) == (THREADS, 1)
    case = Case.objects.get()
    assert (case.weight, case.sender_count, case.wrong_count) == (1, 1, 1)


def test_one_statement_of_a_visitor_stays_current() -> None:
    prediction = own_prediction()
    visitor = Client()
    visitor.post(f"/predictions/{prediction.id}/feedback/", {"verdict": "right"})

    def by_page(number: int) -> Callable[[], Any]:
        client = Client(raise_request_exception=False)
        client.cookies["visitor"] = visitor.cookies["visitor"].value
        values = {"verdict": "wrong", "comment": str(number)}
        return lambda: client.post(f"/predictions/{prediction.id}/feedback/", values)

    assert _at_once(*map(by_page, range(THREADS))) == [302] * THREADS
    assert (Feedback.objects.count(), Feedback.objects.current().count()) == (THREADS + 1, 1)
    assert Case.objects.get().weight == 1


def test_people_and_times_of_one_picture_are_all_counted() -> None:
    """Several people, about several times that the picture was sent."""
    first = own_prediction()
    predictions = [first, *(stored_prediction(first.image) for _ in range(3))]
    requests = [
        _by_api(prediction, author=author, expected_label="cup") for prediction in predictions for author in ("a", "b")
    ]
    assert _at_once(*requests) == [201] * len(requests)
    case = Case.objects.get()
    assert (case.weight, case.wrong_count, case.expected_label) == (2, 2, "cup")
    assert Feedback.objects.current().count() == len(requests)
