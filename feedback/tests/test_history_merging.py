"""A merge of two histories is recorded: the merged visitor's cookies, links and requests lead to the merged history."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
import redis
from django.db import connections
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries
from rq import Queue

from feedback import services
from feedback.history import merging
from feedback.history.merging import histories_merge
from feedback.models import Feedback
from feedback.services import feedback_give
from feedback.tests.history_browser import HistoryBrowser, file_names, press
from predictions import queues, visitors
from predictions.group_commit import writer
from predictions.models import MergedVisitor, Prediction
from predictions.tests.fakes import upload

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "f" * 64


def _browser(name: str, number: int = 0) -> HistoryBrowser:
    """Returns a browser that has sent one picture, with its own name as the file name."""
    browser = HistoryBrowser(name)
    browser.send_picture(number, file_name=name)
    return browser


def _link(browser: Client) -> str:
    found = re.search(r'id="link" value="([^"]*)"', press(browser, "/history/link/").text)
    assert found
    return found[1]


def _open(browser: Client, link: str) -> Any:
    return press(browser, "/history/open/", link=link)


def _shown(browser: Client) -> list[str]:
    return sorted(file_names(browser.get("/history/").text))


def _with_cookie_of(browser: Client) -> Client:
    """Returns another browser with the cookie that `browser` has now."""
    copy = Client()
    copy.cookies[visitors.COOKIE] = browser.cookies[visitors.COOKIE].value
    return copy


def test_swapped_links_leave_both_devices_with_everything() -> None:
    phone, laptop = _browser("phone", 1), _browser("laptop", 2)
    of_phone, of_laptop = _link(phone), _link(laptop)
    _open(phone, of_laptop)
    assert _open(laptop, of_phone).status_code == 303
    assert "This browser shows these pictures already." in laptop.get("/history/").text
    assert _shown(phone) == _shown(laptop) == ["laptop", "phone"]


def test_device_stays_in_a_history_that_is_merged_by_another_one() -> None:
    first, second, third = _browser("first", 1), _browser("second", 2), _browser("third", 3)
    _open(second, _link(first))
    _open(second, _link(third))
    assert _shown(first) == _shown(second) == _shown(third) == ["first", "second", "third"]
    assert set(MergedVisitor.objects.values_list("into", flat=True)) == {third.visitor}
    fourth = Client(enforce_csrf_checks=True)
    _open(fourth, _link(first))
    assert _shown(fourth) == ["first", "second", "third"]


def test_link_from_before_a_merge_opens_the_merged_history() -> None:
    phone, laptop = _browser("phone", 1), _browser("laptop", 2)
    old_link, tablet = _link(phone), Client(enforce_csrf_checks=True)
    _open(phone, _link(laptop))
    _open(tablet, old_link)
    assert _shown(tablet) == ["laptop", "phone"]


@pytest.mark.parametrize("by_api", [True, False])
def test_cookie_of_a_merged_visitor_may_delete(by_api: bool) -> None:
    phone, laptop = _browser("phone", 1), _browser("laptop", 2)
    old = _with_cookie_of(phone)
    _open(phone, _link(laptop))
    for prediction in Prediction.objects.all():
        if by_api:
            assert old.delete(f"/api/predictions/{prediction.pk}").status_code == 204
        else:
            assert old.post(f"{prediction.get_absolute_url()}delete/").status_code == 303
    assert _shown(laptop) == [] and not Prediction.objects.not_erased().exists()


def test_opposite_merges_at_once_make_no_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second merge begins when the first one has resolved both visitors, but not written yet."""
    ada, ben = _browser("ada", 1), _browser("ben", 2)
    resolved: list[str] = []
    current = visitors.current

    def merge_back() -> None:
        histories_merge(ben.visitor, into=ada.visitor)
        connections.close_all()

    other = threading.Thread(target=merge_back)

    def current_slowly(visitor: str) -> str:
        found = current(visitor)
        if threading.current_thread() is not other:
            resolved.append(visitor)
            if len(resolved) == 2:
                other.start()
                other.join(0.5)  # long enough for a merge that no lock keeps waiting
        return found

    monkeypatch.setattr(visitors, "current", current_slowly)
    histories_merge(ada.visitor, into=ben.visitor)
    other.join()
    assert MergedVisitor.objects.count() == 1
    assert _shown(ada) == _shown(ben) == ["ada", "ben"]


@pytest.fixture
def merge_before_writing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Merges the visitors that a test puts into the list, each into the next, before a prediction is written."""
    chain: list[str] = []
    write = writer.write

    def merge_and_write(*arguments: Any) -> None:
        for visitor, into in zip(chain, chain[1:], strict=False):
            histories_merge(visitor, into=into)
        write(*arguments)

    monkeypatch.setattr(writer, "write", merge_and_write)
    return chain


@pytest.mark.parametrize("address", ["/", "/api/predict"])
def test_upload_during_a_merge_belongs_to_the_merged_history(
    queue: Queue, merge_before_writing: list[str], address: str
) -> None:
    phone, laptop = HistoryBrowser("phone"), HistoryBrowser("laptop")
    merge_before_writing += [phone.visitor, laptop.visitor, OTHER]
    response = phone.post(address, {"file": upload()}, headers={"Prefer": "respond-async"})
    assert response.status_code in {202, 303}
    assert Prediction.objects.get().sender == OTHER


def test_upload_that_cannot_be_queued_during_a_merge_belongs_to_the_merged_history(
    queue: Queue, merge_before_writing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_ids: str, **_options: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(queues, "enqueue", fail)
    phone = HistoryBrowser("phone")
    merge_before_writing += [phone.visitor, OTHER]
    assert phone.post("/", {"file": upload()}).status_code == 503
    assert list(Prediction.objects.values_list("state", "sender")) == [("failed", OTHER)]


def test_picture_sent_again_during_a_merge_belongs_to_the_merged_history(
    queue: Queue, merge_before_writing: list[str]
) -> None:
    phone = HistoryBrowser("phone")
    prediction = phone.send_picture(state="cancelled")
    merge_before_writing += [phone.visitor, OTHER]
    phone.handler.enforce_csrf_checks = False
    response = phone.post(f"{prediction.get_absolute_url()}again/")
    assert response.status_code == 303
    assert list(Prediction.objects.values_list("sender", flat=True)) == [OTHER, OTHER]


def test_statement_during_a_merge_belongs_to_the_merged_history(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = HistoryBrowser("phone")
    prediction, store = phone.send_picture(), services._store

    def merge_and_store(*arguments: Any) -> None:
        histories_merge(phone.visitor, into=OTHER)
        store(*arguments)

    feedback_give(prediction=prediction, author=OTHER, verdict="right")
    monkeypatch.setattr(services, "_store", merge_and_store)
    feedback_give(prediction=prediction, author=phone.visitor, verdict="wrong")
    assert list(Feedback.objects.current().values_list("author", "verdict")) == [(OTHER, "wrong")]


def test_statement_with_the_old_cookie_belongs_to_the_merged_history() -> None:
    phone, laptop = HistoryBrowser("phone"), HistoryBrowser("laptop")
    prediction = phone.send_picture()
    histories_merge(phone.visitor, into=laptop.visitor)
    response = phone.post("/api/feedback", {"prediction": str(prediction.pk), "verdict": "right"})
    assert response.status_code == 201
    assert Feedback.objects.get().author == laptop.visitor


def test_interrupted_merge_is_finished_by_the_same_link(monkeypatch: pytest.MonkeyPatch) -> None:
    phone, laptop = _browser("phone", 1), _browser("laptop", 2)
    link = _link(laptop)

    def interrupt(*_: str) -> None:
        raise RuntimeError("interrupted")

    with monkeypatch.context() as broken:
        broken.setattr(merging, "_move", interrupt)
        phone.raise_request_exception = False
        assert _open(phone, link).status_code == 500
    assert _open(phone, link).status_code == 303
    assert _shown(phone) == _shown(laptop) == ["laptop", "phone"]


def test_rows_follow_a_merge_that_overtakes_their_move(monkeypatch: pytest.MonkeyPatch) -> None:
    phone, laptop = _browser("phone", 1), _browser("laptop", 2)
    move = merging._move

    def be_overtaken(visitor: str, into: str) -> None:
        monkeypatch.setattr(merging, "_move", move)
        histories_merge(laptop.visitor, into=OTHER)
        phone.send_picture(3)  # one that the other merge has missed
        move(visitor, into)

    monkeypatch.setattr(merging, "_move", be_overtaken)
    histories_merge(phone.visitor, into=laptop.visitor)
    assert set(Prediction.objects.values_list("sender", flat=True)) == {OTHER}


def test_request_asks_once_for_its_visitor(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    phone, request = HistoryBrowser("phone"), RequestFactory().get("/")
    request.COOKIES[visitors.COOKIE] = phone.cookies[visitors.COOKIE].value
    visitors.merge(phone.visitor, into=OTHER)
    with django_assert_num_queries(1):
        assert visitors.known_visitor(request) == visitors.visitor(request) == OTHER


def test_question_names_the_other_devices() -> None:
    page = Client().get("/history/open/").text
    assert "Other devices that share one of the two histories show them too." in page
