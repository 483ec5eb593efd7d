from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from review.statistics.report import CLASSES, TABLES
from review.statistics.tests.rows import answer, case, decided, statement

pytestmark = pytest.mark.django_db
URL = "/admin/review/case/statistics/"
URLS = [URL, *(f"{URL}{name}.csv" for name in TABLES)]


def _page(client: Client, query: str = "") -> str:
    response = client.get(URL + query)
    assert response.status_code == 200
    return " ".join(response.text.split())


def _table(client: Client, name: str, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"{URL}{name}.csv{query}")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response.content.startswith(b"\xef\xbb\xbf"), "Excel takes a file without this mark for another encoding"
    return list(csv.DictReader(response.content.decode("utf-8-sig").splitlines()))


@pytest.fixture
def rows() -> None:
    now = timezone.now()
    for verdict in ("wrong", "wrong", "right", "unsure", ""):
        statement(verdict, now)
    statement("wrong", now, answer(model_version="other@2"))
    decided("espresso", "espresso", in_audit=True)
    decided("espresso", "cup", is_disputed=True)
    decided("espresso", "cup", is_disputed=True, model_version="other@2")
    decided("red_wine", "red_wine", is_disputed=True)
    decided("red_wine", "")
    case("red_wine", in_audit=True, age=timedelta(days=3))


def test_page_shows_counts_and_estimates(lead: Client, rows: None) -> None:
    page = _page(lead)
    for text in (
        " 5 statements, including those that",
        "Not shown: 1 report from legacy clients, which names no answer.",
        "Estimated from 3 decided cases in which somebody says that the answer is wrong.",
        "Confirmed (corrected by a reviewer): 2.",
        " 1 case open now, by the time since",
        "Estimated from 4 decided cases, 1 of them in the audit sample. Left out because the picture is unusable: 1.",
        "Undecided: 1 of the sample",
        "the precision is 50.0%; if it is right in all, 100.0%",
        "in 2 corrected of 4 decided cases",
        "red wine",
    ):
        assert text in page
    assert page.count('<svg class="plot"') == 2 * 6
    assert "style=" not in page


def test_plots_are_well_formed(lead: Client, rows: None) -> None:
    for drawing in _page(lead).split('<svg class="plot"')[1:]:
        ElementTree.fromstring(f'<svg class="plot"{drawing.partition("</svg>")[0]}</svg>')


@pytest.mark.parametrize("url", URLS)
def test_only_leads_may_read(reviewer: Client, url: str) -> None:
    assert reviewer.get(url).status_code == 403
    response = Client().get(url)
    assert response.status_code == 302 and response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("url", URLS)
def test_rejects_post(lead: Client, url: str) -> None:
    assert lead.post(url).status_code == 405


def test_empty_site_has_messages_instead_of_plots(lead: Client) -> None:
    page = _page(lead)
    for text in (
        "No statements yet.",
        "No complaint has been decided yet.",
        "No cases are waiting.",
        "Nothing has been decided yet.",
        "Nothing has been corrected yet.",
    ):
        assert text in page
    assert 'class="plot' not in page
    for name in TABLES:
        rows = _table(lead, name)
        assert name in {"statements", "queue", "precision"} or not rows


def test_unknown_version_has_no_cases(lead: Client, rows: None) -> None:
    page = _page(lead, "?model_version=gone@1")
    assert "Nothing in this selection has been decided yet." in page
    assert "<option selected>gone@1</option>" in page


def test_model_version_narrows_all_but_the_comparison(lead: Client, rows: None) -> None:
    page = _page(lead, "?days=all&model_version=other%402")
    assert " 1 statement about answers from other@2, including" in page
    assert "Estimated from 1 decided case in which somebody says" in page
    assert "?days=all&amp;model_version=fake-net%401" in page, "the other versions are still there to compare"
    assert [row["model_version"] for row in _table(lead, "versions", "?model_version=other%402")] == [
        "fake-net@1",
        "other@2",
    ]


def test_selects_cases_by_the_time_they_were_opened(lead: Client) -> None:
    decided("espresso", "espresso", age=timedelta(days=100))
    assert "Nothing in this selection has been decided yet." in _page(lead)
    assert "Estimated from 1 decided case," in _page(lead, "?days=365")
    assert "All statements and cases up to" in _page(lead, "?days=all")


def test_confused_pairs_link_to_their_cases(lead: Client, rows: None) -> None:
    case_list = "/admin/review/case/?state=decided&amp;predicted_label=espresso&amp;label=cup"
    assert f'href="{case_list}"' in _page(lead)
    assert f'href="{case_list}&amp;model_version=other%402"' in _page(lead, "?model_version=other%402")
    listed = lead.get(case_list.replace("&amp;", "&"))
    assert listed.status_code == 200
    assert listed.context["cl"].result_count == 2


def test_page_states_the_sample_rate(lead: Client, rows: None, settings: Settings) -> None:
    settings.REVIEW_SAMPLE_RATE = 0.025
    assert "Currently 2.5% of all pictures are drawn." in _page(lead)
    settings.REVIEW_SAMPLE_RATE = 0
    assert "Currently none are drawn" in _page(lead)


def test_page_limits_the_classes_and_the_file_has_all(lead: Client) -> None:
    for number in range(CLASSES + 5):
        decided(f"class_{number}", f"class_{number}")
    page = _page(lead)
    assert f"Shown: the {CLASSES} classes with the most decided cases, of {CLASSES + 5}." in page
    assert "The file has 5 more rows." in page
    assert len(_table(lead, "precision")) == CLASSES + 6  # with the overall row


def test_number_of_queries_does_not_grow_with_the_data(lead: Client) -> None:
    counts = []
    for total in (1, 20):
        for number in range(total):
            decided(f"class {number}", "cup", is_disputed=True, model_version=f"net@{number}")
            statement("wrong", timezone.now())
        with CaptureQueriesContext(connection) as queries:
            _page(lead)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 9  # session, user, two for permissions, four counts, and the label sets


# --- Files ----------------------------------------------------------------------------------------


def test_every_table_has_a_csv_file(lead: Client, rows: None) -> None:
    today = timezone.now().date().isoformat()
    assert _table(lead, "statements")[0] == {
        "day": today,
        "wrong": "3",
        "right": "1",
        "not_sure": "1",
        "total": "5",
        "legacy_reports": "1",
    }
    assert len(_table(lead, "statements", "?days=30")) == 30
    assert [(row["model_version"], row["complaints_decided"]) for row in _table(lead, "complaints")] == [
        ("all", "3"),
        ("fake-net@1", "2"),
        ("other@2", "1"),
    ]
    assert [row["open"] for row in _table(lead, "queue")] == ["0", "0", "1", "0", "0"]
    first, second, _third = _table(lead, "precision")
    assert (first["predicted_label"], first["decided"], first["right"], first["precision"]) == (
        "all",
        "4",
        "2",
        "0.500000",
    )
    assert (second["predicted_label"], second["audited"], second["audited_precision"]) == ("espresso", "1", "1.000000")
    assert [(row["predicted_label"], row["label"], row["cases"]) for row in _table(lead, "confusions")] == [
        ("espresso", "cup", "2")
    ]
    assert [row["model_version"] for row in _table(lead, "versions")] == ["fake-net@1", "other@2"]


def test_share_without_cases_is_empty_in_the_file(lead: Client) -> None:
    decided("espresso", "espresso")
    row = _table(lead, "versions")[0]
    assert row["audited_precision"] == row["audited_precision_low_95"] == row["audited_precision_high_95"] == ""


def test_file_neutralizes_spreadsheet_formulas(lead: Client) -> None:
    decided("=1+1", '@SUM("A1")', model_version="+net@1")
    (row,) = _table(lead, "confusions")
    assert (row["predicted_label"], row["label"]) == ("'=1+1", '\'@SUM("A1")')
    assert _table(lead, "versions")[0]["model_version"] == "'+net@1"


def test_page_escapes_labels(lead: Client) -> None:
    decided("<b>&", "</svg><script>", is_disputed=True, model_version="<i>")
    page = _page(lead)
    assert "<b>" not in page and "<script>" not in page.partition("<main")[2] and "<i>" not in page


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "statistics-queue-90.csv"),
        ("?days=all&model_version=net@1", "statistics-queue-all-net@1.csv"),
        ("?model_version=../%22%0d%0aX: é", "statistics-queue-90-.._X_.csv"),
    ],
)
def test_file_names_contain_the_filter(lead: Client, query: str, name: str) -> None:
    response = lead.get(f"{URL}queue.csv{query}")
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'


def test_unknown_table_is_404(lead: Client) -> None:
    assert lead.get(f"{URL}users.csv").status_code == 404


def test_queue_links_to_the_statistics_for_leads_only(lead: Client, reviewer: Client) -> None:
    def links(client: Client) -> Any:
        return f'href="{URL}"' in client.get("/admin/review/case/").text

    assert links(lead) and not links(reviewer)
