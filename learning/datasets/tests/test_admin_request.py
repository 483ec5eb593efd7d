"""The form in which a lead requests a data set."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django import Settings
from rq import Queue

from learning.datasets import services
from learning.datasets.case_selection import CaseSelection
from learning.datasets.forms import ExportForm
from learning.datasets.tests.data import decided_case
from learning.models import Export
from review.tests.label_versions import install, mapped
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db
URL = "/admin/learning/export/add/"


def _page(client: Client, **query: Any) -> str:
    response = client.get(URL, query)
    assert response.status_code == 200
    return " ".join(response.text.split())


def _size(page: str) -> list[str]:
    """The numbers of cases, of pictures with a label, and of labels."""
    return re.findall(r"<dd>(.*?)</dd>", page)[:3]


def _payload(**changes: Any) -> dict[str, Any]:
    return {"format": "imagefolder"} | changes


@pytest.fixture
def repository(settings: Settings, tmp_path: Path) -> Repository:
    """Has `a@1` with the labels cup and dog, which is active."""
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    repository.activate(str(install(repository, "a", "1 cup", "2 dog")))
    return repository


@pytest.fixture
def five_cases() -> None:
    decided_case("cup", decided_at=datetime(2026, 1, 1, tzinfo=UTC))
    for label in ("cup", "espresso", "AC/DC & <co>"):
        decided_case(label)
    decided_case(verdict="unusable")


def test_says_that_cases_without_a_label_have_no_pictures(lead: Client, five_cases: None) -> None:
    decided_case(verdict="no-label", label="", proposed_label="unicorn")
    page = _page(lead, verdicts=["no-label", "unusable"])
    assert _size(page) == ["2", "0", "0"]
    assert "None of these cases has a label. The data set will have a manifest and no pictures." in page


def test_requests_what_was_previewed(
    lead: Client, exports: Queue, five_cases: None, django_capture_on_commit_callbacks: Any
) -> None:
    page = _page(lead, format="tfrecord", until="2026-12-31", verdicts=["corrected"], labels=["cup", "AC/DC & <co>"])
    assert _size(page) == ["3", "3", "2"]
    form = page.partition('<form method="post" action="')[2]
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="(.*?)">', form.partition("</form>")[0])
    data: dict[str, list[str]] = {}
    for name, value in hidden:
        data.setdefault(name, []).append(unescape(value))
    with django_capture_on_commit_callbacks(execute=True):
        response = lead.post(URL, data, follow=True)
    assert "The data set is being made." in response.text
    export = Export.objects.get()
    assert exports.job_ids == [str(export.pk)]
    assert (export.format, export.total) == ("tfrecord", 3)
    expected = CaseSelection(None, datetime(2026, 12, 31).date(), ("AC/DC & <co>", "cup"), ("corrected",))
    assert CaseSelection.from_json(export.selection) == expected.with_version()


def test_form_selects_all_cases_at_first(lead: Client, five_cases: None) -> None:
    page = _page(lead)
    assert _size(page) == ["5", "4", "3"]
    for label in ("cup (2)", "espresso (1)", "AC/DC &amp; &lt;co&gt; (1)"):
        assert label in page
    assert page.count(" checked") == 1, "the format"


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ({"since": "2026-01-02"}, ["4", "3", "3"]),
        ({"until": "2026-01-01"}, ["1", "1", "1"]),
        ({"verdicts": ["unusable"]}, ["1", "0", "0"]),
        ({"verdicts": ["right", "unusable"]}, ["2", "1", "1"]),
        ({"labels": ["cup"]}, ["2", "2", "1"]),
        ({"labels": ["cup"], "verdicts": ["right"]}, []),
    ],
)
def test_previews_the_size(lead: Client, five_cases: None, query: dict[str, Any], size: list[str]) -> None:
    page = _page(lead, **query)
    assert _size(page) == size
    assert ("No decided case matches this selection." in page) == (not size)
    assert ("Make this data set" in page) == bool(size)
    assert ("a manifest and no pictures" in page) == (size[1:] == ["0", "0"])


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            {"since": "2026-02-01", "until": "2026-01-01"},
            "The first day, 2026-02-01, is after the last one, 2026-01-01.",
        ),
        ({"since": "soon"}, "Enter a valid date."),
        ({"labels": ["<b>"]}, "&lt;b&gt; is not one of the available choices."),
        ({"verdicts": ["wrong"]}, "wrong is not one of the available choices."),
        ({"format": "gif"}, "gif is not one of the available choices."),
        ({"labels": ["cup"], "verdicts": ["unusable"]}, "Unusable pictures have no label"),
    ],
)
def test_rejects_invalid_selection(lead: Client, five_cases: None, query: dict[str, Any], text: str) -> None:
    page = _page(lead, **query)
    assert text in page and "Make this data set" not in page
    response = lead.post(URL, _payload(**query))
    assert response.status_code == 400 and text in response.text
    assert not Export.objects.exists()


def test_labels_of_another_version_can_be_chosen(lead: Client, repository: Repository) -> None:
    decided_case("cup", model_version="a@1")
    assert 'name="labels_of"' not in _page(lead).partition('id="size"')[0], "there is nothing to choose"
    install(repository, "b", "1 mug", "2 dog")
    install(repository, "b", "2 dog", "1 mug")
    page = _page(lead)
    options = re.findall(r'<option value="(.*?)"( selected)?>(.*?)</option>', page)
    assert options == [("a@1", " selected", "a@1 (active)"), ("b@2", "", "b@2")], "one for each label set"
    assert "cup (1)" in page and "Selected: all decided cases, in the labels of a@1." in page
    page = _page(lead, labels_of="b@2")
    assert "mug (1)" in page and '<input type="hidden" name="labels_of" value="b@2">' in page
    assert "Selected: all decided cases, in the labels of b@2." in page
    assert "Left out:" not in page
    mapped(repository.get("a@1"), repository.get("b@2"), "drop cup")
    assert "Left out: 1 decided case waits for a new label, because" in _page(lead, labels_of="b@2")


@pytest.mark.parametrize("name", ["a@2", "a", "c@1", "<b>", "@", "x" * 256, "../a@1", "a@1/..", "a" * 5000])
def test_labels_of_a_missing_version_are_refused_by_the_form(lead: Client, repository: Repository, name: str) -> None:
    install(repository, "a", "1 mug", "2 dog")
    decided_case("cup", model_version="a@1")
    assert "in the labels of a@2." in _page(lead, labels_of="a@2")
    repository.remove("a@2")
    message = f"The labels of the model version “{name[:100]}” are needed"
    page = unescape(_page(lead, labels_of=name))
    assert message in page and "Make this data set" not in page
    response = lead.post(URL, _payload(labels_of=name))
    assert response.status_code == 400 and message in unescape(response.text)


def test_version_may_be_removed_while_the_page_is_made(
    lead: Client, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(repository, "b", "1 mug", "2 dog")
    decided_case("cup", model_version="a@1")
    preview = services.export_preview

    def after_removal(selection: CaseSelection) -> Any:
        repository.remove("b@1")
        return preview(selection)

    monkeypatch.setattr(services, "export_preview", after_removal)
    response = lead.get(URL, {"labels_of": "b@1"})
    assert response.status_code == 200 and "“b@1” are needed" in response.text


def test_rejects_request_without_decided_cases(lead: Client) -> None:
    page = _page(lead)
    assert "No case has been decided with a label yet." in page and "No decided case matches this selection." in page
    response = lead.post(URL, _payload())
    assert response.status_code == 400 and not Export.objects.exists()


def test_rejects_equal_export_in_progress(lead: Client, exports: Queue, five_cases: None) -> None:
    assert lead.post(URL, _payload()).status_code == 302
    response = lead.post(URL, _payload())
    assert response.status_code == 409 and "This data set is already being made." in response.text
    assert Export.objects.count() == 1


def test_export_fails_if_the_queue_is_unreachable(
    lead: Client, no_queue: None, five_cases: None, django_capture_on_commit_callbacks: Any
) -> None:
    """In a test, the response precedes the commit, so the list shows the failure and not the message."""
    with django_capture_on_commit_callbacks(execute=True):
        lead.post(URL, _payload())
    assert Export.objects.get().error == services.UNREACHABLE
    assert services.UNREACHABLE in lead.get("/admin/learning/export/").text


def test_offers_no_request_without_disk_space(lead: Client, five_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 4_000

    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage)
    page = _page(lead)
    assert "Not enough disk space: only 4.0 kB free." in page and "Make this data set" not in page


def test_number_of_queries_is_constant(lead: Client) -> None:
    counts = []
    for number in (3, 30):
        for label in range(number):
            decided_case(f"label {label}")
        with CaptureQueriesContext(connection) as queries:
            _page(lead)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8  # session, user, permissions (2), labels, size, the label sets of both


def test_many_chosen_labels_take_one_more_query(lead: Client) -> None:
    labels = [f"label {number}" for number in range(30)]
    for label in labels:
        decided_case(label)
    with CaptureQueriesContext(connection) as queries:
        assert _size(_page(lead, labels=labels)) == ["30", "30", "30"]
    assert len(queries) <= 10  # the additional queries check the labels


def test_last_of_two_days_counts() -> None:
    fields = ExportForm(QueryDict("since=0&since=")).fields_in_use
    assert [field for field in fields if field[0] != "labels_of"] == [("format", "imagefolder")]


class TestAnyQuery(TestCase):
    @given(
        query=st.dictionaries(
            st.sampled_from(["format", "since", "until", "verdicts", "labels"]),
            st.lists(st.text(max_size=12) | st.sampled_from(["cup", "right", "unusable", "2026-01-01"]), max_size=3),
        )
    )
    def test_form_is_valid_or_has_errors_and_round_trips(self, query: dict[str, list[str]]) -> None:
        data = QueryDict(mutable=True)
        for name, values in query.items():
            data.setlist(name, values)
        form = ExportForm(data)
        assert form.is_valid() != bool(form.errors)
        if form.is_valid():
            again = QueryDict(mutable=True)
            for name, value in form.fields_in_use:
                again.appendlist(name, value)
            second = ExportForm(again)
            assert second.is_valid() and second.selection == form.selection
