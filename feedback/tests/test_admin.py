from __future__ import annotations

from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from feedback.models import Feedback
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db
URL = "/admin/feedback/feedback/"


def _page(reviewer: Client, query: str = "") -> str:
    response = reviewer.get(URL + query)
    assert response.status_code == 200
    return response.text


def _rows(page: str) -> int:
    return page.count('<th class="field-statement')


def test_shows_own_words(reviewer: Client) -> None:
    """In the list, in the statement, and found by the search; with a label, without one, and as text."""
    prediction = stored_prediction()
    alone = Feedback.objects.create(prediction=prediction, verdict="wrong", expected_words="<b>my</b> demitasse")
    Feedback.objects.create(prediction=prediction, verdict="wrong", expected_label="cup", expected_words="an “urn”")
    page = unescape(_page(reviewer))
    assert "“<b>my</b> demitasse”" in page and "cup “an “urn””" in page
    assert _rows(_page(reviewer, "?q=DEMITASSE")) == _rows(_page(reviewer, "?q=urn")) == 1
    assert "&lt;b&gt;my&lt;/b&gt; demitasse" in _page(reviewer, f"{alone.pk}/change/")


def test_writes_labels_as_the_desk_does(reviewer: Client) -> None:
    prediction = stored_prediction(label="Eskimo_dog")
    statement = Feedback.objects.create(prediction=prediction, verdict="wrong", expected_label="hot_dog")
    for url in ("", f"{statement.pk}/change/"):
        page = _page(reviewer, url)
        assert "Eskimo dog" in page and "hot dog" in page, url
        assert "Eskimo_dog" not in page and "hot_dog" not in page, url


@pytest.fixture
def feedback() -> Feedback:
    Feedback.objects.create(comment="a legacy client's <report>", mirrored_at=timezone.now())
    return Feedback.objects.create(
        prediction=stored_prediction(), verdict="wrong", expected_label="lungo", comment="c" * 100
    )


def test_lists_statements_and_reports(reviewer: Client, feedback: Feedback) -> None:
    page = _page(reviewer)
    assert _rows(page) == 2
    for text in ("Wrong", "lungo", "espresso", "95.1%", "fake-net@1", "c" * 79 + "…", "&lt;report&gt;"):
        assert text in page
    assert f'src="/predictions/{feedback.prediction_id}/thumbnail"' in page
    assert f'href="{URL}{feedback.pk}/change/' in page


def test_every_row_links_to_its_statement(reviewer: Client, feedback: Feedback) -> None:
    page = _page(reviewer)
    for row in Feedback.objects.all():
        link = f'href="{URL}{row.pk}/change/'
        text = page.partition(link)[2].partition("</a>")[0].partition(">")[2]
        assert text, "a link without text cannot be clicked"


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("?verdict__exact=wrong", 1),
        ("?prediction__model_version=fake-net%401", 1),
        ("?mirrored_at__isempty=1", 1),
        ("?mirrored_at__isempty=0", 1),
        ("?q=LUNGO", 1),
        ("?q=espresso", 1),
        ("?q=report", 1),
        ("?q=nothing+like+it", 0),
        ("?o=4.5.6", 2),
        (f"?created_at__year={timezone.now().year}", 2),
        ("?created_at__year=2001", 0),
    ],
)
def test_filters_search_and_order(reviewer: Client, feedback: Feedback, query: str, rows: int) -> None:
    assert _rows(_page(reviewer, query)) == rows


def test_shows_one_statement(reviewer: Client, feedback: Feedback) -> None:
    page = _page(reviewer, f"{feedback.pk}/change/")
    assert "c" * 100 in page and f'href="/predictions/{feedback.prediction_id}/"' in page
    assert 'name="_save"' not in page and "deletelink" not in page
    report = Feedback.objects.exclude(pk=feedback.pk).get()
    assert "a legacy client&#x27;s &lt;report&gt;" in _page(reviewer, f"{report.pk}/change/")


def test_number_of_queries_does_not_depend_on_rows(reviewer: Client) -> None:
    counts = []
    for total in (5, 50):
        while Feedback.objects.count() < total:
            Feedback.objects.create(prediction=stored_prediction(), verdict="right")
        with CaptureQueriesContext(connection) as queries:
            assert _rows(_page(reviewer)) == total
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10


def test_nothing_can_be_changed(reviewer: Client, admin_client: Client, feedback: Feedback) -> None:
    for client in (reviewer, admin_client):
        assert client.get(f"{URL}add/").status_code == 403
        assert client.post(f"{URL}{feedback.pk}/change/", {"comment": "x"}).status_code == 403
        assert client.post(f"{URL}{feedback.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Feedback.objects.count() == 2
