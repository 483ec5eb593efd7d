from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import PIL.Image
import pytest
from django.test import Client
from django.utils import timezone
from PIL import ExifTags
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue
from rq.job import Job
from rq.utils import now, utcformat

from devtools.running import eventually
from predictions import delays, queues
from predictions.admission import backpressure
from predictions.delays import delay
from predictions.models import Prediction
from predictions.prediction_worker import PredictionWorker
from predictions.templatetags.labels import duration, waiting_time
from predictions.tests.fakes import FakeClassifier, stored_image, stored_prediction, upload
from predictions.tests.pictures import picture
from predictions.uploads.validation import validate
from predictions.views import result

pytestmark = pytest.mark.django_db
REFRESH = '<meta http-equiv="refresh"'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "PAGE_WAIT_SECONDS", 0)


def _page(client: Client, prediction: Prediction) -> str:
    response = client.get(prediction.get_absolute_url())
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.text


def test_shows_the_answer(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    prediction = stored_prediction(label="Eskimo_dog", score=0.63942, top=[["Eskimo_dog", 0.63942], ["malamute", 0.2]])
    with django_assert_num_queries(2):  # the prediction; the decision on its image
        page = _page(client, prediction)
    assert "Eskimo dog</h1>" in page and "63.9% sure" in page
    assert "malamute" in page and 'width="20.0%"' in page
    assert "Answered by fake-net@1 in less than 1 ms." in page
    assert f'src="/predictions/{prediction.id}/picture"' in page
    assert f'action="/predictions/{prediction.id}/feedback/"' in page
    assert REFRESH not in page


@pytest.mark.parametrize("state", Prediction.WAITING)
def test_a_waiting_page_reloads(client: Client, state: str) -> None:
    page = _page(client, stored_prediction(state=state))
    assert REFRESH in page and 'role="status"' in page and "/feedback/" not in page


def test_a_waiting_page_reloads_when_backpressure_says(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "reload_seconds", lambda waited: 7 if 0 <= waited < 60 else 0)
    assert f'{REFRESH} content="7">' in _page(client, stored_prediction(state="queued"))


def test_shows_the_error_of_a_failed_prediction(client: Client) -> None:
    page = _page(client, stored_prediction(state="failed", error_code="undecodable", error="The pixels <are> corrupt."))
    assert "The pixels &lt;are&gt; corrupt." in page and REFRESH not in page and "/feedback/" not in page
    assert "/picture" not in page, "no browser could show it"


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_shows_that_a_prediction_expired_or_was_cancelled(client: Client, state: str) -> None:
    page = _page(client, stored_prediction(state=state))
    assert f"This prediction {'was' if state == 'cancelled' else 'has'} {state}" in page and REFRESH not in page


def test_escapes_file_names(client: Client) -> None:
    page = _page(client, stored_prediction(file_name='<script>"alert"</script>.png'))
    assert "<script>" not in page


@pytest.mark.parametrize(("score", "title"), [(0.499, "Perhaps espresso"), (0.5, "espresso")])
def test_says_perhaps_if_something_else_is_more_likely(client: Client, score: float, title: str) -> None:
    page = _page(client, stored_prediction(score=score))
    assert f'<h1 id="answer">{title}</h1>' in page and f"<title>{title} –" in page
    assert ("It may well be something else." in page) == (score < 0.5)


def test_says_when_the_picture_was_sent(client: Client) -> None:
    sent = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
    page = _page(client, stored_prediction(created_at=sent))
    assert '<time datetime="2026-03-01T12:30:05+00:00">2026-03-01 12:30 UTC</time>' in page


def test_explains_the_timings(client: Client) -> None:
    sent = timezone.now()
    times: dict[str, Any] = {
        "created_at": sent,
        "started_at": sent + timedelta(milliseconds=12),
        "finished_at": sent + timedelta(milliseconds=1450),
        "decode_ms": 0.4,
        "compute_ms": 8.9,
    }
    page = _page(client, stored_prediction(**times))
    assert "Answered by fake-net@1 in 1.4 s." in page
    assert "waited 12 ms in the queue, was decoded in less than 1 ms and computed by the network in 8 ms" in page


def test_says_that_an_earlier_answer_was_used(client: Client) -> None:
    page = _page(client, stored_prediction(decode_ms=None, compute_ms=None))
    assert "had classified the same picture before" in page


def test_reserves_the_space_of_the_picture(client: Client) -> None:
    assert 'width="32" height="24"' in _page(client, stored_prediction())


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "PNG"])
def test_reserves_the_space_of_a_turned_picture(client: Client, image_format: str) -> None:
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = stored_image(picture(image_format, exif=exif))
    image.format = image_format
    image.save()
    page = _page(client, stored_prediction(image))
    assert 'width="24" height="32"' in page


def test_reserves_the_space_of_a_turned_tiff(client: Client) -> None:
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = picture("TIFF", exif=exif)
    validated = validate(upload(content))
    image = stored_image(content)
    image.format, image.width, image.height = validated.format, validated.width, validated.height
    image.save()
    assert 'width="24" height="32"' in _page(client, stored_prediction(image))


def test_reserves_some_space_for_a_damaged_picture(client: Client) -> None:
    assert 'width="32" height="24"' in _page(client, stored_prediction(stored_image(b"no picture")))


def test_links_to_the_same_prediction_as_json(client: Client) -> None:
    prediction = stored_prediction()
    assert f'href="/api/predictions/{prediction.id}"' in _page(client, prediction)


@pytest.mark.parametrize("state", ["queued", "done", "failed"])
def test_is_not_indexed(client: Client, state: str) -> None:
    assert client.get(stored_prediction(state=state).get_absolute_url())["X-Robots-Tag"] == "noindex"


def test_a_deleted_prediction_is_not_indexed(client: Client) -> None:
    response = client.get(stored_prediction(erased_at=timezone.now()).get_absolute_url())
    assert (response.status_code, response["X-Robots-Tag"]) == (410, "noindex")


def test_does_not_round_a_score_up_to_100_percent(client: Client) -> None:
    assert "99.9% sure" in _page(client, stored_prediction(score=0.99999))


def test_unknown_predictions_are_404(client: Client) -> None:
    assert client.get(f"/predictions/{uuid4()}/").status_code == 404
    assert client.get("/predictions/1/").status_code == 404
    assert client.post(f"/predictions/{uuid4()}/").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_the_page_waits_for_the_answer(client: Client, worker: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "PAGE_WAIT_SECONDS", 20)
    page = client.post("/", {"file": upload()}, follow=True).text
    assert "espresso</h1>" in page and REFRESH not in page


def test_shows_how_many_pictures_are_before(client: Client, queue: Queue) -> None:
    first, second, third = (stored_prediction(state="queued") for _ in range(3))
    queues.enqueue(*(str(prediction.id) for prediction in (first, second, third)))
    assert "Your picture is next." in _page(client, first)
    assert "1 picture before yours." in _page(client, second)
    assert "2 pictures before yours." in _page(client, third)
    assert "A worker is classifying your picture." in _page(client, stored_prediction(state="running"))


def test_says_that_answers_are_delayed_if_no_worker_lives(client: Client, queue: Queue) -> None:
    prediction = stored_prediction(state="queued")
    assert "Answers are delayed." in _page(client, prediction)
    assert "Answers are delayed" in client.get("/").text


def _until_a_worker_is_ready() -> None:
    def is_ready() -> bool:
        delay.reset()
        return delay.reason == ""

    eventually(is_ready, "a worker with a model")


def test_says_that_answers_are_delayed_if_a_picture_waits_too_long(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = PredictionWorker([queue])
    monkeypatch.setattr(worker, "facts", lambda: {"model": "fake-net@1"})
    worker.register_birth()
    worker.heartbeat()
    prediction = stored_prediction(state="queued", created_at=timezone.now() - timedelta(minutes=3))
    queues.enqueue(str(prediction.id))
    assert delay.reason == ""
    queue.connection.hset(Job.key_for(str(prediction.id)), "enqueued_at", utcformat(now() - timedelta(seconds=180.5)))
    delay.reset()
    assert delay.reason.startswith("The next picture in the queue has waited for 18")
    page = _page(client, prediction)
    assert "Answers are delayed." in page and "Sent 3 minutes ago." in page
    assert f'{REFRESH} content="15">' in page, "a page that waits for long reloads less often"


@pytest.mark.parametrize("enqueued_at", ["", "yesterday", None])
def test_a_damaged_job_does_not_break_the_page(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch, enqueued_at: str | None
) -> None:
    monkeypatch.setattr(delays, "live_workers", lambda _queue: [SimpleNamespace(facts={"model": "fake-net@1"})])
    prediction = stored_prediction(state="queued")
    queues.enqueue(str(prediction.id))
    if enqueued_at is None:
        queue.connection.delete(Job.key_for(str(prediction.id)))
    else:
        queue.connection.hset(Job.key_for(str(prediction.id)), "enqueued_at", enqueued_at)
    assert "Answers are delayed" not in _page(client, prediction)


def test_says_nothing_of_a_delay_if_pictures_are_answered(client: Client, queue: Queue, worker: FakeClassifier) -> None:
    _until_a_worker_is_ready()
    assert "delayed" not in _page(client, stored_prediction(state="queued"))
    assert "delayed" not in client.get("/").text


def test_the_pages_work_without_the_queue(client: Client, no_queue: None) -> None:
    assert "Answers are delayed." in _page(client, stored_prediction(state="queued"))
    assert client.get("/").status_code == 200


def _refuses_pictures(client: Client) -> bool:
    text = client.get("/").text
    return "accepted at the moment" in text and "You can still send a picture" not in text


def test_the_upload_page_does_not_invite_pictures_without_the_queue(client: Client, no_queue: None) -> None:
    assert client.post("/", {"file": upload()}).status_code == 503
    assert _refuses_pictures(client)


def test_the_upload_page_does_not_invite_pictures_while_the_queue_is_full(
    client: Client, queue: Queue, settings: Settings
) -> None:
    queues.enqueue(str(stored_prediction(state="queued").id))
    assert "You can still send a picture" in client.get("/").text
    settings.QUEUE_MAX_LENGTH = 1
    assert client.post("/", {"file": upload()}).status_code == 503
    assert _refuses_pictures(client)


@pytest.mark.parametrize(
    ("waited", "text"),
    [(0, "0 seconds"), (1, "1 second"), (59.9, "59 seconds"), (60, "1 minute"), (7200, "2 hours"), (90_000, "1 day")],
)
def test_formats_waiting_times(waited: float, text: str) -> None:
    assert waiting_time(timedelta(seconds=waited)) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "less than 1 ms"),
        (1, "1 ms"),
        (999.9, "999 ms"),
        (1000, "1.0 s"),
        (59_999, "59.9 s"),
        (180_000, "3 minutes"),
    ],
)
def test_formats_durations(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text
