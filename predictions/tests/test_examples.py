"""Example pictures, which visitors send with one click."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import Settings
from rq import Queue

from predictions import examples
from predictions.examples import EXAMPLES, Example
from predictions.models import Image, Prediction
from predictions.tests.fakes import FakeClassifier
from predictions.uploads import parser

pytestmark = pytest.mark.django_db(transaction=True)


def _click(client: Client, name: str):
    return client.post("/", f"example={name}", content_type=parser.URLENCODED)


def _file(path: str) -> Path:
    found = finders.find(path)
    assert found is not None
    return Path(found)


def _is_stored(prediction: Prediction) -> bool:
    return Path(prediction.image.file.path).exists()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_files_are_small_and_have_no_metadata(example: Example) -> None:
    for path, max_side, max_bytes in ((example.path, 640, 60_000), (example.preview_path, 320, 16_000)):
        assert _file(path).stat().st_size <= max_bytes
        with PIL.Image.open(_file(path)) as picture:
            assert max(picture.size) <= max_side
            assert not picture.getexif() and "icc_profile" not in picture.info and "comment" not in picture.info


def test_each_example_is_credited_beside_its_file() -> None:
    credits = _file("examples/CREDITS.md").read_text()
    assert [example.name for example in EXAMPLES if f"`{example.file_name}`" not in credits] == []
    assert [example.name for example in EXAMPLES if example.credit not in credits] == []


def test_upload_page_offers_the_examples(client: Client) -> None:
    page = client.get("/").text
    for example in EXAMPLES:
        assert f'name="example" value="{example.name}"' in page
        assert f'src="/static/{example.preview_path}" alt="{example.description}"' in page


def test_hidden_examples_are_unknown(client: Client, settings: Settings) -> None:
    assert "examples-title" in client.get("/").text
    settings.EXAMPLES = False
    response = _click(client, "coffee")
    assert response.status_code == 400 and "There is no example picture of that name." in response.text
    for page in (client.get("/").text, response.text):
        assert "examples-title" not in page and 'name="example"' not in page
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_submitted_like_an_upload_of_its_file(client: Client, queue: Queue, example: Example) -> None:
    response = _click(client, example.name)
    prediction = Prediction.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/predictions/{prediction.id}/")
    assert (prediction.source, prediction.file_name) == ("page", example.file_name)
    assert prediction.sender and "visitor" in response.cookies
    with prediction.image.file.open() as stored:
        assert stored.read() == _file(example.path).read_bytes()
    assert queue.job_ids == [str(prediction.id)]


def test_rejects_an_unknown_example(client: Client, queue: Queue) -> None:
    response = _click(client, "../coffee")
    assert response.status_code == 400
    assert "There is no example picture of that name." in response.text
    assert '<form class="card upload"' in response.text
    assert not Prediction.objects.exists() and queue.is_empty()


def test_a_form_that_names_no_example_has_no_file(client: Client) -> None:
    assert _click(client, "").status_code == 302
    assert client.post("/", "other=1", content_type=parser.URLENCODED).status_code == 302


def test_rejects_a_long_form(client: Client) -> None:
    assert _click(client, "x" * examples.BODY_MAX_BYTES).status_code == 413


def test_an_example_counts_towards_the_limits_of_a_client(client: Client, queue: Queue, settings: Settings) -> None:
    settings.RATE_LIMIT_PREDICTIONS = 1
    assert _click(client, "coffee").status_code == 303
    response = _click(client, "coffee")
    assert response.status_code == 429 and "Retry-After" in response


def test_an_example_is_rejected_while_the_queue_is_full(client: Client, queue: Queue, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 1
    assert _click(client, "coffee").status_code == 303
    response = _click(client, "cat")
    assert response.status_code == 503 and "Retry-After" in response


def test_visitors_delete_only_their_own_prediction_of_an_example(queue: Queue) -> None:
    first, second = Client(), Client()
    _click(first, "coffee")
    _click(second, "coffee")
    theirs = Prediction.objects.latest("created_at")
    mine = Prediction.objects.exclude(pk=theirs.pk).get()
    assert first.delete(f"/api/predictions/{theirs.id}").status_code == 403
    assert first.delete(f"/api/predictions/{mine.id}").status_code in {200, 204}
    theirs.refresh_from_db()
    assert not theirs.is_erased and _is_stored(theirs)


def test_an_example_can_be_sent_again_after_everybody_has_deleted_it(worker: FakeClassifier) -> None:
    client = Client()
    _click(client, "coffee")
    assert client.delete(f"/api/predictions/{Prediction.objects.get().id}").status_code in {200, 204}
    assert not Image.objects.filter(erased_at=None).exists()
    assert _click(client, "coffee").status_code == 303
    prediction = Prediction.objects.latest("created_at")
    assert _is_stored(prediction)
