"""Deleting everything that a browser has sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from feedback.history import views
from feedback.services import feedback_give
from feedback.tests.history_browser import HistoryBrowser, file_names, press
from predictions import erasing
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.signals import picture_needed

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "/history/delete/"


@pytest.fixture
def ada() -> HistoryBrowser:
    return HistoryBrowser("ada")


@pytest.fixture
def needed() -> Iterator[set[int]]:
    """The ids of images that a decision needs."""
    ids: set[int] = set()

    def is_needed(image: Image, **_: Any) -> bool:
        return image.pk in ids

    picture_needed.connect(is_needed)
    yield ids
    picture_needed.disconnect(is_needed)


def _message(client: Client) -> str:
    found = re.search(r'class="notice[^>]*>([^<]*)', client.get("/history/").text)
    return found[1] if found else ""


def test_asks_first_and_says_how_many(ada: HistoryBrowser) -> None:
    for number in (0, 0, 1):
        ada.send_picture(number)
    page = ada.get(ADDRESS).text
    assert "All 2 pictures" in page and "Delete all 2" in page and "A picture itself stays" in page
    assert Prediction.objects.of_sender(ada.visitor).count() == 3


def test_deletes_everything_of_this_browser_only(ada: HistoryBrowser) -> None:
    mine = [ada.send_picture(number) for number in range(3)]
    feedback_give(prediction=mine[0], author=ada.visitor, verdict="wrong", comment="My words.")
    other = HistoryBrowser("ben").send_picture(7, file_name="ben.jpg")
    assert press(ada, ADDRESS)["Location"] == "/history/"
    assert _message(ada) == "Your 3 pictures were deleted, with file names and everything you said about them."
    assert "Nothing here yet" in ada.get("/history/").text
    assert list(Prediction.objects.not_erased()) == [other]
    assert list(Image.objects.exclude(file="")) == [other.image]
    assert not mine[0].feedback.exclude(comment="").exists()


def test_says_how_many_pictures_stay_and_why(ada: HistoryBrowser, needed: set[int]) -> None:
    needed.update(ada.send_picture(number).image_id for number in (1, 2))
    shared = ada.send_picture(3)
    HistoryBrowser("ben").send_picture(3)
    ada.send_picture(4)
    press(ada, ADDRESS)
    assert "Your 4 pictures were deleted" in (message := _message(ada))
    assert "Somebody else has sent 1 of them too: the picture itself stays for them." in message
    assert "A reviewer has decided what 2 of them shows: these pictures themselves stay for training" in message
    assert Image.objects.exclude(file="").filter(pk__in=[shared.image_id, *needed]).count() == 3


def test_bounded_steps_go_on_with_every_press(ada: HistoryBrowser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "DELETED_AT_ONCE", 2)
    for number in range(5):
        ada.send_picture(number)
    address = press(ada, ADDRESS)["Location"]
    page = ada.get(address).text
    assert "2 are deleted, 3 are left." in page and "Delete the rest" in page
    address = press(ada, address)["Location"]
    assert "4 are deleted, 1 is left." in ada.get(address).text
    assert press(ada, address)["Location"] == "/history/"
    assert _message(ada).startswith("Your 5 pictures were deleted")


def test_numbers_so_far_cannot_be_forged(ada: HistoryBrowser) -> None:
    ada.send_picture()
    assert "Delete all your pictures?" in ada.get(f"{ADDRESS}?done=eyIiOjk5OTl9:1:forged").text


def test_rejection_keeps_the_rest(ada: HistoryBrowser, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise RequestRejected("busy", "This picture is being sent all the time.", status=503, retry_after=1)

    ada.send_picture()
    monkeypatch.setattr(erasing, "prediction_delete", busy)
    address = press(ada, ADDRESS)["Location"]
    assert address.startswith(ADDRESS)
    assert "is being sent all the time" in ada.get(address).text
    assert Prediction.objects.of_sender(ada.visitor).exists()


def test_waiting_pictures_are_cancelled(ada: HistoryBrowser) -> None:
    prediction = ada.send_picture(state="queued")
    press(ada, ADDRESS)
    prediction.refresh_from_db()
    assert (prediction.state, prediction.is_erased) == ("cancelled", True)


def test_browser_without_a_history_has_nothing_to_delete(client: Client) -> None:
    HistoryBrowser("ben").send_picture()
    assert "Nothing to delete" in client.get(ADDRESS).text
    assert client.post(ADDRESS)["Location"] == "/history/"
    assert Prediction.objects.not_erased().exists()


def test_other_sites_cannot_delete(ada: HistoryBrowser) -> None:
    ada.send_picture(file_name="mine.jpg")
    assert ada.post(ADDRESS).status_code == 403
    assert file_names(ada.get("/history/").text) == ["mine.jpg"]
