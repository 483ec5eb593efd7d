"""Deleting a picture on the pages, without JavaScript."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from rq import Queue

from predictions import visitors
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction, upload

pytestmark = pytest.mark.django_db(transaction=True)

DELETE = "Delete this picture"


@pytest.fixture
def sender(queue: Queue) -> Client:
    """A browser that has sent a picture."""
    client = Client(enforce_csrf_checks=True)
    client.post("/", {"file": upload(name="Anna.png")})
    return client


@pytest.fixture
def address(sender: Client) -> str:
    """The address of that picture's result page."""
    return Prediction.objects.get().get_absolute_url()


def _csrf_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]


def _delete(client: Client, address: str) -> str:
    """Presses the buttons. Returns the page that follows."""
    confirmation = client.get(f"{address}delete/").text
    data = {"csrfmiddlewaretoken": _csrf_token(confirmation)}
    response = client.post(f"{address}delete/", data)
    assert (response.status_code, response["Location"]) == (303, address)
    return client.get(address).text


def test_sender_deletes_the_picture(sender: Client, address: str) -> None:
    assert DELETE in sender.get(address).text
    confirmation = sender.get(f"{address}delete/")
    assert "Anna.png" in confirmation.text and confirmation["X-Robots-Tag"] == "noindex"
    page = _delete(sender, address)
    assert "This result was deleted" in page and "Your picture was deleted, with its file name" in page
    assert "Anna.png" not in page
    assert Prediction.objects.get().is_erased


def test_result_page_is_gone_for_everybody(sender: Client, address: str) -> None:
    _delete(sender, address)
    for client in (sender, Client()):
        response = client.get(address)
        assert (response.status_code, DELETE in response.text) == (410, False)
        assert "This result was deleted" in response.text


def test_strangers_cannot_delete_it(address: str) -> None:
    stranger = Client()
    stranger.post("/", {"file": upload()})
    assert DELETE not in stranger.get(address).text
    for client in (stranger, Client()):
        assert client.get(f"{address}delete/").status_code == client.post(f"{address}delete/").status_code == 403
    assert not Prediction.objects.get(pk=address.split("/")[2]).is_erased


def test_picture_of_an_unknown_sender_cannot_be_deleted_on_its_page(sender: Client) -> None:
    for source in Prediction.Source:
        address = stored_prediction(source=source).get_absolute_url()
        assert DELETE not in sender.get(address).text
        assert sender.get(f"{address}delete/").status_code == 403


def test_other_sites_cannot_delete_it(sender: Client, address: str) -> None:
    assert sender.post(f"{address}delete/").status_code == 403
    assert not Prediction.objects.get().is_erased


def test_says_if_somebody_else_has_sent_it_too(sender: Client, address: str) -> None:
    Client().post("/", {"file": upload()})
    assert "the picture itself stays for them" in _delete(sender, address)


def test_deleting_again_leads_to_the_result_page(sender: Client, address: str) -> None:
    _delete(sender, address)
    assert sender.get(f"{address}delete/")["Location"] == address
    assert sender.get(f"/predictions/{'0' * 8}-0000-4000-8000-{'0' * 12}/delete/").status_code == 404


def test_feedback_on_a_deleted_picture_is_refused(sender: Client, address: str) -> None:
    token = _csrf_token(sender.get(f"{address}delete/").text)
    _delete(sender, address)
    response = sender.post(f"{address}feedback/", {"verdict": "wrong", "csrfmiddlewaretoken": token})
    assert response["Location"] == address
    assert "This result was deleted" in sender.get(address).text


def test_pictures_are_replaced_by_a_placeholder(sender: Client, address: str, reviewer: Client) -> None:
    _delete(sender, address)
    for client, name in ((sender, "picture"), (reviewer, "picture"), (reviewer, "thumbnail")):
        response = client.get(address + name)
        assert (response.status_code, response["Content-Type"], response["Cache-Control"]) == (
            410,
            "image/svg+xml",
            "no-store",
        )
        assert "Deleted" in response.text


def test_staff_still_see_a_picture_that_somebody_else_has_sent(sender: Client, address: str, reviewer: Client) -> None:
    Client().post("/", {"file": upload()})
    _delete(sender, address)
    assert sender.get(f"{address}picture").status_code == 410
    for name in ("picture", "thumbnail"):
        response = reviewer.get(address + name)
        assert response.status_code == 200 and response.getvalue()


def test_upload_gives_a_cookie_once(sender: Client) -> None:
    assert sender.cookies[visitors.COOKIE]["httponly"]
    second = sender.post("/", {"file": upload()})
    assert visitors.COOKIE not in second.cookies
    assert Prediction.objects.values("sender").distinct().count() == 1


def test_upload_page_says_what_is_kept(client: Client) -> None:
    page = client.get("/").text
    assert "Your picture is stored, and reviewers see it." in page and DELETE in page


@pytest.mark.parametrize("character", ["\x00", "\n", "\t", "\x7f", "\x85"])
def test_leads_to_no_address_with_control_characters(sender: Client, address: str, character: str) -> None:
    for next_page in (f"/history/{character}", f"/{character}history/", f"/history/?q={character}a"):
        confirmation = sender.get(f"{address}delete/", {"next": next_page})
        assert confirmation.context["next_page"] == address
    data = {"csrfmiddlewaretoken": _csrf_token(confirmation.text), "next": next_page}
    assert sender.post(f"{address}delete/", data)["Location"] == address


def test_leads_to_the_page_that_asked(sender: Client, address: str) -> None:
    confirmation = sender.get(f"{address}delete/", {"next": "/history/?q=tür"})
    assert confirmation.context["next_page"] == "/history/?q=tür"
