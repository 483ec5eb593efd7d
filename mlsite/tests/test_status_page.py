"""The status page of the admin, and the banner that leads to it."""

from __future__ import annotations

import pytest
from django.test import Client
from rq import Queue

from predictions import queues
from predictions.prediction_worker import PredictionWorker
from predictions.tests.fakes import FakeClassifier, stored_prediction
from review.decisions import DecisionRequest, case_decide
from review.roles import LEADS, REVIEWERS
from review.tests.cases import open_case, reviewer_named
from review.undoing import case_reopen

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/admin/status/"


def _client(role: str) -> Client:
    client = Client()
    client.force_login(reviewer_named(role.lower(), role=role))
    return client


def test_says_why_nothing_is_answered(queue: Queue) -> None:
    queues.enqueue(str(stored_prediction(state="queued").id))
    page = _client(LEADS).get(URL).text
    assert "Answers are delayed. No worker is ready." in page
    assert "No worker is alive." in page and "No live worker has a model loaded" in page or "No model is active" in page
    assert "<td>1</td>" in page, "the length of the queue"


def test_lists_the_workers(queue: Queue, fake_classifier: FakeClassifier) -> None:
    worker = PredictionWorker([queue])
    worker.prepare()
    worker.register_birth()
    worker.heartbeat()
    page = _client(LEADS).get(URL).text
    assert f"<td>{worker.pid}</td>" in page and "fake-net@1" in page
    assert "Pictures are answered." in page


def test_works_without_the_queue(no_queue: None) -> None:
    page = _client(LEADS).get(URL).text
    assert "The queue cannot be reached." in page and "Unreachable" in page


def test_is_for_leads_only(queue: Queue) -> None:
    assert _client(REVIEWERS).get(URL).status_code == 403
    assert Client().get(URL).status_code == 302


def test_the_start_page_tells_leads_that_answers_are_delayed(queue: Queue) -> None:
    assert "Answers are delayed. No worker is ready." in _client(LEADS).get("/admin/").text
    assert "delayed" not in _client(REVIEWERS).get("/admin/").text


def test_the_start_page_shows_the_work_that_waits_and_ones_own(queue: Queue) -> None:
    open_case()
    client = _client(REVIEWERS)
    page = client.get("/admin/").text
    assert "<strong>1</strong> case open" in page and "You decided <strong>0</strong> today" in page
    assert "You have decided nothing yet." in page


def test_the_start_page_counts_decided_cases_without_flags(queue: Queue) -> None:
    flagged, decided = open_case(), open_case()
    client, reviewer = _client(REVIEWERS), reviewer_named(REVIEWERS.lower())
    case_decide(case_id=flagged.pk, reviewer=reviewer, verdict=DecisionRequest("flagged", note="?"))
    for _ in range(2):
        case_decide(case_id=decided.pk, reviewer=reviewer, verdict=DecisionRequest("right"))
        case_reopen(case_id=decided.pk, reviewer=reviewer_named("lead", role=LEADS))
    page = client.get("/admin/").text
    assert "You decided <strong>1</strong> today" in page
    assert page.count("Confirmed right: espresso") == 2 and "You have decided nothing yet." not in page
