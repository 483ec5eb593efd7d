"""Classifying a stored picture once more, from its result page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rq import Queue

from predictions import classifiers, queues
from predictions.models import Image, Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, upload
from predictions.views import result

pytestmark = pytest.mark.django_db(transaction=True)

AGAIN = "Classify again with fake-net@2"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "PAGE_WAIT_SECONDS", 0)


@pytest.fixture
def sender(queue: Queue, fake_classifier: FakeClassifier, work_off: Callable[[], None]) -> Client:
    """A browser that has sent a picture, which was answered."""
    client = Client(enforce_csrf_checks=True)
    client.post("/", {"file": upload(name="Anna.png")})
    work_off()
    return client


@pytest.fixture
def prediction(sender: Client) -> Prediction:
    return Prediction.objects.get()


@pytest.fixture
def other_version(prediction: Prediction, fake_classifier: FakeClassifier) -> None:
    """Another version has been activated since."""
    fake_classifier.version = "fake-net@2"


def _press(client: Client, prediction: Prediction) -> Any:
    """Presses the button on the result page."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(prediction.get_absolute_url()).text)
    assert token
    return client.post(f"{prediction.get_absolute_url()}again/", {"csrfmiddlewaretoken": token[1]})


def _assert_rejected(response: HttpResponse, status: int, text: str) -> None:
    assert response.status_code == status and response["X-Robots-Tag"] == "noindex"
    assert text in response.text and 'role="alert"' in response.text
    assert "espresso</h1>" in response.text, "the page still shows the answer"
    assert Prediction.objects.count() == 1


@pytest.mark.usefixtures("other_version")
def test_submits_the_picture_as_a_new_prediction(
    sender: Client, prediction: Prediction, work_off: Callable[[], None]
) -> None:
    response = _press(sender, prediction)
    repeated = Prediction.objects.exclude(pk=prediction.pk).get()
    assert (response.status_code, response["Location"]) == (303, repeated.get_absolute_url())
    assert (repeated.image_id, repeated.sender) == (prediction.image_id, prediction.sender)
    assert (repeated.file_name, repeated.source) == ("Anna.png", Prediction.Source.PAGE)
    work_off()
    repeated.refresh_from_db()
    assert (repeated.state, repeated.model_version) == ("done", "fake-net@2")
    assert Image.objects.count() == 1


def test_is_offered_while_another_version_is_active(
    sender: Client, prediction: Prediction, fake_classifier: FakeClassifier
) -> None:
    address = prediction.get_absolute_url()
    assert "Classify again" not in sender.get(address).text, "the active version has answered"
    fake_classifier.version = "fake-net@2"
    assert AGAIN in sender.get(address).text
    assert "Classify again" not in Client().get(address).text, "not to somebody else"


def test_is_not_offered_without_an_active_version(
    sender: Client, prediction: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifiers, "active_name", lambda: "")
    assert "Classify again" not in sender.get(prediction.get_absolute_url()).text


@pytest.mark.parametrize(
    ("changes", "is_offered"),
    [
        ({"state": "expired"}, True),
        ({"state": "cancelled"}, True),
        ({"state": "failed", "error_code": "classification-failed"}, True),
        ({"state": "failed", "error_code": "undecodable"}, False),
        ({"state": "queued"}, False),
    ],
)
def test_a_picture_without_an_answer_can_be_sent_again(
    sender: Client, prediction: Prediction, changes: dict[str, str], is_offered: bool
) -> None:
    unanswered = stored_prediction(prediction.image, sender=prediction.sender, **changes)
    assert ("Try again" in sender.get(unanswered.get_absolute_url()).text) == is_offered


def test_other_people_and_sites_cannot_do_it(sender: Client, prediction: Prediction) -> None:
    address = f"{prediction.get_absolute_url()}again/"
    stranger = Client()
    stranger.post("/", {"file": upload()})
    Prediction.objects.exclude(pk=prediction.pk).delete()
    for client in (stranger, Client(), sender):  # the sender without a token
        assert client.post(address).status_code == 403
    assert Prediction.objects.count() == 1


def test_a_deleted_picture_is_not_classified_again(sender: Client, prediction: Prediction) -> None:
    sender.get(prediction.get_absolute_url())
    token = sender.cookies["csrftoken"].value
    Prediction.objects.update(erased_at=timezone.now())
    response = sender.post(f"{prediction.get_absolute_url()}again/", {"csrfmiddlewaretoken": token}, follow=True)
    assert response.status_code == 410
    assert "This picture was deleted, so it can&#x27;t be classified again." in response.text
    assert Prediction.objects.count() == 1


def test_says_that_the_file_is_gone(sender: Client, prediction: Prediction) -> None:
    prediction.image.file.storage.delete(str(prediction.image.file.name))
    _assert_rejected(_press(sender, prediction), 410, "The picture is no longer stored.")


def test_the_limits_of_uploads_apply(sender: Client, prediction: Prediction, settings: Settings) -> None:
    settings.RATE_LIMIT_PREDICTIONS = 1
    sender.post("/", {"file": b""})  # uses up the limit
    response = _press(sender, prediction)
    _assert_rejected(response, 429, "Please try again in")
    assert int(response["Retry-After"]) > 0


def test_a_full_queue_accepts_no_picture(sender: Client, prediction: Prediction, settings: Settings) -> None:
    queues.enqueue(str(prediction.id))
    settings.QUEUE_MAX_LENGTH = 1
    _assert_rejected(_press(sender, prediction), 503, "The queue is full.")


def test_loading_its_address_leads_to_the_result_page(sender: Client, prediction: Prediction) -> None:
    response = sender.get(f"{prediction.get_absolute_url()}again/")
    assert (response.status_code, response["Location"]) == (303, prediction.get_absolute_url())
    assert sender.get(f"/predictions/{'0' * 8}-0000-4000-8000-{'0' * 12}/again/").status_code == 404
