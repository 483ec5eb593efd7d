"""The page with a visitor's history."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from feedback.history.selectors import PAGE_SIZE, Cursor
from feedback.services import feedback_give
from feedback.tests.history_browser import HistoryBrowser, file_names, press
from predictions import visitors
from predictions.models import Prediction
from predictions.tests.fakes import stored_image, stored_prediction

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> HistoryBrowser:
    return HistoryBrowser("ada")


def _link(page: str, relation: str) -> str:
    """Returns the address of the link to the previous or next page; an empty string if there is none."""
    found = re.search(rf'rel="{relation}" href="([^"]*)"', page)
    return unescape(found[1]) if found else ""


def _shown(client: Client, query: str = "") -> list[str]:
    return file_names(client.get(f"/history/{query}").text)


def test_shows_what_this_browser_has_sent_newest_first(ada: HistoryBrowser) -> None:
    for number in (2, 0, 1):
        ada.send_picture(number, file_name=f"{number}.jpg")
    HistoryBrowser("ben").send_picture(file_name="ben.jpg")
    stored_prediction(file_name="nobody.jpg")
    assert _shown(ada) == ["0.jpg", "1.jpg", "2.jpg"]


@pytest.mark.parametrize("cookie", ["", "forged:signature"])
def test_a_browser_without_a_history_is_led_to_the_upload_page(client: Client, cookie: str) -> None:
    stored_prediction(file_name="nobody.jpg")
    if cookie:
        client.cookies[visitors.COOKIE] = cookie
    page = client.get("/history/").text
    assert "Nothing here yet" in page and 'href="/">Upload a picture' in page
    assert file_names(page) == []


def test_is_neither_cached_nor_indexed(ada: HistoryBrowser) -> None:
    for address in ("", "delete/", "link/", "open/"):
        response = ada.get(f"/history/{address}")
        assert response["X-Robots-Tag"] == "noindex"
        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "same-origin"


def test_shows_the_answer_and_what_the_visitor_said(ada: HistoryBrowser) -> None:
    said = {
        "You said yes.": {"verdict": "right"},
        "You were not sure.": {"verdict": "unsure"},
        "You said no.": {"verdict": "wrong"},
        "You said no, it is “coffee mug”.": {"verdict": "wrong", "expected_label": "coffee_mug"},
        "You said no, it is “Anna&#x27;s cup”.": {"verdict": "wrong", "expected_words": "Anna's cup"},
    }
    for number, statement in enumerate(said.values()):
        prediction = ada.send_picture(number)
        feedback_give(prediction=prediction, author=ada.visitor, **statement)
        feedback_give(prediction=prediction, author="another person", verdict="wrong", expected_words="Ben's words")
    page = ada.get("/history/").text
    assert [words for words in said if words in page] == list(said)
    assert "Ben" not in page
    assert page.count("<strong>espresso</strong>") == page.count("95.1%") == len(said)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "queued"}, "Waiting…"),
        ({"state": "running"}, "Looking at it…"),
        ({"state": "expired"}, "Expired"),
        ({"state": "cancelled"}, "Cancelled"),
        ({"state": "failed", "error_code": "queue-unavailable", "error": "It was not queued."}, "It was not queued."),
    ],
)
def test_pictures_without_an_answer_say_why(ada: HistoryBrowser, changes: dict[str, Any], words: str) -> None:
    prediction = ada.send_picture(**changes)
    page = ada.get("/history/").text
    assert words in page
    assert f'src="{prediction.get_absolute_url()}thumbnail" alt="coffee.jpg"' in page


def test_an_undecodable_picture_has_a_placeholder(ada: HistoryBrowser) -> None:
    ada.send_picture(state="failed", error_code="undecodable", error="The picture cannot be decoded.")
    page = ada.get("/history/").text
    assert "No picture to show" in page and "The picture cannot be decoded." in page
    assert "thumbnail" not in page


def test_filters_by_state(ada: HistoryBrowser) -> None:
    for number, state in enumerate(Prediction.State.values):
        ada.send_picture(number, state=state, file_name=f"{state}.jpg")
    assert _shown(ada, "?show=waiting") == ["queued.jpg", "running.jpg"]
    assert _shown(ada, "?show=answered") == ["done.jpg"]
    assert _shown(ada, "?show=failed") == ["failed.jpg", "expired.jpg", "cancelled.jpg"]
    assert _shown(ada, "?show=nonsense") == _shown(ada)


def test_finds_the_answers_that_the_visitor_called_wrong(ada: HistoryBrowser) -> None:
    for number, verdicts in enumerate((["wrong"], ["right"], ["wrong", "unsure"])):
        prediction = ada.send_picture(number, file_name=f"{verdicts[-1]}.jpg")
        for verdict in verdicts:
            feedback_give(prediction=prediction, author=ada.visitor, verdict=verdict)
        feedback_give(prediction=prediction, author="another person", verdict="wrong")
    assert _shown(ada, "?show=wrong") == ["wrong.jpg"]


@pytest.mark.parametrize("text", ["eskimo dog", "ESKIMO", "holiday", "husky", "  husky\x00"])
def test_searches_labels_file_names_and_corrections(ada: HistoryBrowser, text: str) -> None:
    prediction = ada.send_picture(label="Eskimo_dog", file_name="Holiday 1.jpg")
    feedback_give(prediction=prediction, author=ada.visitor, verdict="wrong", expected_words="my husky")
    ada.send_picture(1, file_name="other.jpg")
    response = ada.get("/history/", {"q": text})
    assert file_names(response.text) == ["Holiday 1.jpg"]


def test_says_if_nothing_matches(ada: HistoryBrowser) -> None:
    ada.send_picture()
    page = ada.get("/history/?show=failed&q=%25").text
    assert "None of your pictures match." in page and 'href="/history/">Show all' in page
    assert 'name="show" value="failed"' in page and 'name="q" value="%"' in page


def test_pages_lead_to_each_other_and_keep_the_filter(ada: HistoryBrowser) -> None:
    now = timezone.now()  # the same for all: the id then gives the order
    names = [f"{number:03}.jpg" for number in range(2 * PAGE_SIZE + 5)]
    image = stored_image()
    for name in names:
        stored_prediction(image, sender=ada.visitor, file_name=name, created_at=now)
        ada.send_picture(state="queued", created_at=now)
    forwards, address = [], "/history/?show=answered&q=.jpg"
    while address:
        forwards.append(ada.get(address).text)
        address = _link(forwards[-1], "next")
        assert not address or ("show=answered" in address and "q=.jpg" in address)
    assert [len(file_names(page)) for page in forwards] == [PAGE_SIZE, PAGE_SIZE, 5]
    assert sorted(name for page in forwards for name in file_names(page)) == names
    backwards = [forwards[-1]]
    while address := _link(backwards[-1], "prev"):
        backwards.append(ada.get(address).text)
    assert [file_names(page) for page in backwards] == [file_names(page) for page in reversed(forwards)]


def test_previous_page_is_never_almost_empty(ada: HistoryBrowser) -> None:
    predictions = [ada.send_picture(number, file_name=f"{number}.jpg") for number in range(5)]
    page = ada.get(f"/history/?newer={Cursor.of(predictions[2])}").text
    assert file_names(page) == [f"{number}.jpg" for number in range(5)]
    assert _link(page, "prev") == _link(page, "next") == ""


def test_page_whose_pictures_were_deleted_leads_to_the_first(ada: HistoryBrowser) -> None:
    oldest = ada.send_picture()
    response = ada.get(f"/history/?show=answered&older={Cursor.of(oldest)}")
    assert (response.status_code, response["Location"]) == (303, "/history/?show=answered")


@pytest.mark.parametrize("cursor", ["x", "20260230T000000000000-" + "0" * 32, "20260228T000000000000-" + "g" * 32])
def test_ignores_an_invalid_place(ada: HistoryBrowser, cursor: str) -> None:
    ada.send_picture()
    for name in ("older", "newer"):
        assert len(_shown(ada, f"?{name}={cursor}")) == 1


@pytest.mark.parametrize("query", ["", "?show=answered", "?show=wrong"])
def test_number_of_queries(ada: HistoryBrowser, query: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(4):
        feedback_give(prediction=ada.send_picture(number), author=ada.visitor, verdict="wrong")
    with django_assert_num_queries(3):  # whether the visitor was merged, predictions, statements
        assert len(_shown(ada, query)) == 4


def test_number_of_queries_of_other_pages(
    ada: HistoryBrowser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    newer, _older = ada.send_picture(0), ada.send_picture(1)
    with django_assert_num_queries(4):  # and whether there are newer ones
        assert len(_shown(ada, f"?older={Cursor.of(newer)}")) == 1
    with django_assert_num_queries(0):
        Client().get("/history/")


def test_reads_a_part_of_an_index(ada: HistoryBrowser) -> None:
    prediction = ada.send_picture()
    pages = Prediction.objects.of_sender(ada.visitor).order_by("-created_at", "-pk")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # with so few rows it would read the whole table
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    for page in (pages, pages.filter(Cursor.of(prediction).older)):
        plan = page[:PAGE_SIZE].explain()
        assert "prediction_by_sender" in plan and "TEMP B-TREE" not in plan and "Sort" not in plan


def test_deletes_one_picture_and_returns_to_the_same_page(ada: HistoryBrowser) -> None:
    prediction, _other = ada.send_picture(file_name="secret.jpg"), ada.send_picture(1)
    page = ada.get("/history/?show=answered").text
    assert f'formaction="{prediction.get_absolute_url()}delete/"' in page
    found = re.search(r'name="next" value="([^"]*)"', page)
    assert found
    response = press(ada, f"{prediction.get_absolute_url()}delete/", next=unescape(found[1]))
    assert (response.status_code, response["Location"]) == (303, "/history/?show=answered")
    page = ada.get(response["Location"]).text
    assert "Your picture was deleted" in page and file_names(page) == ["coffee.jpg"]


@pytest.mark.parametrize("address", ["https://example.com/", "//example.com/history/", "javascript:alert(1)"])
def test_deleting_leads_to_no_other_site(ada: HistoryBrowser, address: str) -> None:
    prediction = ada.send_picture()
    response: HttpResponse = press(ada, f"{prediction.get_absolute_url()}delete/", next=address)
    assert response["Location"] == prediction.get_absolute_url()


def test_every_page_links_to_the_history(client: Client) -> None:
    assert '<a href="/history/">History</a>' in client.get("/").text
