"""`/feedback` keeps the contract of the original course service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from feedback.models import Feedback

pytestmark = pytest.mark.django_db(transaction=True)


def _post(report: str | None = None) -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post("/feedback", {} if report is None else {"report": report})


def _lines(settings: Settings) -> list[str]:
    path = Path(settings.FEEDBACK_FILE)
    return path.read_bytes().decode().split("\n")[:-1] if path.exists() else []


def test_appends_each_report_as_a_line(settings: Settings) -> None:
    assert _post("That was no Eskimo dog.").status_code == 200
    assert _lines(settings) == ["That was no Eskimo dog."]
    assert _post(" another one ").status_code == 200
    assert _lines(settings) == ["That was no Eskimo dog.", " another one "]
    assert [feedback.comment for feedback in Feedback.objects.order_by("pk")] == _lines(settings)


def test_get_shows_the_form(client: Client) -> None:
    response = client.get("/feedback")
    assert response.status_code == 200 and 'name="report"' in response.text


@pytest.mark.parametrize("report", [None, ""])
def test_accepts_request_without_report(report: str | None, settings: Settings) -> None:
    assert _post(report).status_code == 200
    assert _lines(settings) == []
    assert not Feedback.objects.exists()


@pytest.mark.parametrize(
    ("report", "line"),
    [
        ("one\ntwo", "one two"),
        ("one\r\ntwo\rthree", "one two three"),
        ("NUL\x00 inside", "NUL inside"),
        ("déjà vu 😀 \u2028", "déjà vu 😀 \u2028"),
        ("\x1b[2J\x1b[31mgone \x85 \x0b \x7f \x9b", "\ufffd[2J\ufffd[31mgone \ufffd \ufffd \ufffd \ufffd"),
        ("tab\tstop", "tab\tstop"),
        ("x" * 100_000, "x" * 100_000),
        ('{"verdict": "right"}', '{"verdict": "right"}'),
    ],
    ids=["newline", "all newlines", "NUL", "unicode", "controls", "tab", "100 kB", "JSON"],
)
def test_every_report_is_one_line(report: str, line: str, settings: Settings) -> None:
    assert _post("before").status_code == _post(report).status_code == _post("after").status_code == 200
    assert _lines(settings) == ["before", line, "after"]


def test_report_of_only_nul_is_empty(settings: Settings) -> None:
    assert _post("\x00").status_code == 200
    assert _lines(settings) == []


def test_replaces_undecodable_text(client: Client, settings: Settings) -> None:
    response = client.post("/feedback", b"report=%ff%fe", content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200
    assert _lines(settings) == ["\ufffd\ufffd"]


def test_rejects_json(client: Client, settings: Settings) -> None:
    assert client.post("/feedback", {"report": "x"}, content_type="application/json").status_code == 415
    assert _lines(settings) == []


def test_rejects_other_methods(client: Client) -> None:
    assert client.put("/feedback").status_code == 405
