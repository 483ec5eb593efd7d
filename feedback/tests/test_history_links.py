"""Private links, which take a history to another device."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from feedback.history import links
from feedback.history.merging import histories_merge
from feedback.models import Feedback
from feedback.services import feedback_give
from feedback.signals import feedback_withdrawn
from feedback.tests.history_browser import HistoryBrowser, file_names, press
from predictions import visitors
from predictions.models import Prediction

pytestmark = pytest.mark.django_db(transaction=True)

NEW, OPEN = "/history/link/", "/history/open/"


@pytest.fixture
def desktop() -> HistoryBrowser:
    browser = HistoryBrowser("desktop")
    browser.send_picture(1, file_name="desktop.jpg")
    return browser


@pytest.fixture
def phone() -> Client:
    """A browser without a history."""
    return Client(enforce_csrf_checks=True)


def _new_link(browser: Client) -> str:
    found = re.search(r'id="link" value="([^"]*)"', press(browser, NEW).text)
    assert found
    return found[1]


def _open(browser: Client, link: str) -> Any:
    """Submits the form of the page that the link opens, with the link as people paste it."""
    return press(browser, OPEN, link=f" {link}\n")


def _shown(browser: Client) -> list[str]:
    return file_names(browser.get("/history/").text)


def test_link_shows_the_history_on_another_device(desktop: HistoryBrowser, phone: Client) -> None:
    link = _new_link(desktop)
    assert link.startswith(f"http://testserver{OPEN}#")
    response = _open(phone, link)
    assert (response.status_code, response["Location"]) == (303, "/history/")
    cookie = response.cookies[visitors.COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["max-age"] == visitors.COOKIE_SECONDS
    page = phone.get("/history/").text
    assert file_names(page) == ["desktop.jpg"] and "These are the pictures of the other device." in page


def test_opening_the_page_changes_nothing(desktop: HistoryBrowser, phone: Client) -> None:
    _new_link(desktop)
    assert visitors.COOKIE not in phone.get(OPEN).cookies
    assert _shown(phone) == []


def test_code_alone_is_enough(desktop: HistoryBrowser, phone: Client) -> None:
    assert _open(phone, _new_link(desktop).partition("#")[2]).status_code == 303


def test_link_works_once(desktop: HistoryBrowser, phone: Client) -> None:
    link = _new_link(desktop)
    _open(phone, link)
    stranger = Client(enforce_csrf_checks=True)
    response = _open(stranger, link)
    assert response.status_code == 410 and "This link was used already." in response.text
    assert _shown(stranger) == []


def test_a_lost_answer_is_repeated(desktop: HistoryBrowser, phone: Client) -> None:
    link = _new_link(desktop)
    _open(phone, link)
    del phone.cookies[visitors.COOKIE]
    assert _open(phone, link).status_code == 303
    assert _shown(phone) == ["desktop.jpg"]


def test_expired_link_says_so(desktop: HistoryBrowser, phone: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    link = _new_link(desktop)
    monkeypatch.setattr(links, "LINK_SECONDS", -1)
    response = _open(phone, link)
    assert response.status_code == 410 and "This link has expired." in response.text
    assert _shown(phone) == []


@pytest.mark.parametrize("link", ["", "#", "http://testserver/history/open/", "x:y:z", "\x00é" * 1000])
def test_forged_link_says_so(phone: Client, link: str) -> None:
    response = _open(phone, link)
    assert response.status_code == 400 and "This is not a whole link of this site." in response.text


def test_other_signatures_open_nothing(desktop: HistoryBrowser, phone: Client) -> None:
    """Neither the value of the cookie nor a link that another key has signed."""
    values = {"token": "desktop", "link": "x"}
    forged = signing.dumps(values, salt=links._SALT, key="another key")
    for code in (desktop.cookies[visitors.COOKIE].value, signing.dumps(values), forged):
        assert _open(phone, code).status_code == 400


def test_link_makes_no_cookie_by_itself(desktop: HistoryBrowser, phone: Client) -> None:
    phone.cookies[visitors.COOKIE] = _new_link(desktop).partition("#")[2]
    assert _shown(phone) == []


def test_browser_without_a_history_gets_no_link(client: Client) -> None:
    page = client.post(NEW).text
    assert "There are no pictures from this browser yet." in page and 'id="link"' not in page


def test_own_link_changes_nothing(desktop: HistoryBrowser) -> None:
    assert _open(desktop, _new_link(desktop)).status_code == 303
    page = desktop.get("/history/").text
    assert file_names(page) == ["desktop.jpg"] and "This browser shows these pictures already." in page


def test_other_sites_cannot_open_a_link(desktop: HistoryBrowser, phone: Client) -> None:
    assert phone.post(OPEN, {"link": _new_link(desktop)}).status_code == 403


def test_queue_away_is_no_defect(desktop: HistoryBrowser, phone: Client, no_queue: None) -> None:
    phone.raise_request_exception = False
    response = _open(phone, _new_link(desktop))
    assert response.status_code == 503 and response["Retry-After"]


def test_histories_of_both_are_merged(desktop: HistoryBrowser) -> None:
    phone = HistoryBrowser("phone")
    for number, state in enumerate(("done", "queued", "failed")):
        phone.send_picture(number, state=state, file_name=f"{state}.jpg", error_code="x" if state == "failed" else "")
    page = phone.get(OPEN).text
    assert "This browser has sent 3 pictures of its own." in page and "merged" in page
    _open(phone, _new_link(desktop))
    for browser in (desktop, phone):
        assert sorted(_shown(browser)) == ["desktop.jpg", "done.jpg", "failed.jpg", "queued.jpg"]
    assert not Prediction.objects.of_sender(HistoryBrowser("phone").visitor).exists()


def test_statements_move_with_the_pictures(desktop: HistoryBrowser) -> None:
    phone = HistoryBrowser("phone")
    for number in range(3):
        feedback_give(prediction=phone.send_picture(number), author=phone.visitor, verdict="right")
    _open(phone, _new_link(desktop))
    assert set(Feedback.objects.values_list("author", flat=True)) == {desktop.visitor}
    assert desktop.get("/history/").text.count("You said yes.") == 3


@pytest.mark.parametrize("desktop_is_later", [True, False])
def test_later_of_two_statements_counts(desktop: HistoryBrowser, desktop_is_later: bool) -> None:
    phone = HistoryBrowser("phone")
    prediction = Prediction.objects.get()
    first, second = (phone, desktop) if desktop_is_later else (desktop, phone)
    feedback_give(prediction=prediction, author=first.visitor, verdict="right")
    feedback_give(prediction=prediction, author=second.visitor, verdict="wrong")
    withdrawn: list[int] = []

    def receiver(image: Any, **_: Any) -> None:
        withdrawn.append(image.pk)

    feedback_withdrawn.connect(receiver)
    try:
        _open(phone, _new_link(desktop))
    finally:
        feedback_withdrawn.disconnect(receiver)
    assert withdrawn == [prediction.image_id]
    assert list(Feedback.objects.current().values_list("author", "verdict")) == [(desktop.visitor, "wrong")]
    assert Feedback.objects.filter(author=desktop.visitor).count() == 2


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads tables with so few rows as a whole")
def test_merging_reads_a_part_of_an_index(desktop: HistoryBrowser) -> None:
    with CaptureQueriesContext(connection) as queries:
        histories_merge(desktop.visitor, into="0" * 64)
    (query,) = (query["sql"] for query in queries if "DISTINCT" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {query}")
        assert "feedback_by_author" in str(cursor.fetchall())


def test_statements_are_moved_in_batches(desktop: HistoryBrowser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.history.merging.BATCH_SIZE", 2)
    phone = HistoryBrowser("phone")
    for number in range(5):
        feedback_give(prediction=phone.send_picture(number), author=phone.visitor, verdict="wrong")
    _open(phone, _new_link(desktop))
    assert Feedback.objects.filter(author=desktop.visitor).count() == 5
