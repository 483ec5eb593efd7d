"""The queue: the admin's list of cases."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from review.claims import claim
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named

pytestmark = pytest.mark.django_db
URL = "/admin/review/case/"


def _page(client: Client, query: str = "") -> str:
    response = client.get(URL + query)
    assert response.status_code == 200, response
    return str(response.text)


def _cases(client: Client, query: str = "") -> list[int]:
    """Returns the ids of the listed cases, in their order."""
    return [int(pk) for pk in re.findall(r'alt="Picture of case (\d+)"', _page(client, query))]


@pytest.fixture
def cup() -> Case:
    top = [["cup", 0.6], ["espresso", 0.5]]
    return open_case(statements=2, expected="espresso", label="cup", score=0.6, top=top, model_version="net@2")


@pytest.fixture
def espresso() -> Case:
    return open_case(statements=1, expected="cup")


def test_lists_cases_with_answers_and_feedback(reviewer: Client, cup: Case, espresso: Case) -> None:
    page = _page(reviewer)
    for text in (
        "60.0%",
        "espresso",
        "95.1%",
        "2 of 2 say wrong",
        "1 of 1 says wrong",
        "Feedback",
        "net@2",
        "Next for me",
        "0 min",
    ):
        assert text in page
    assert f'href="/admin/review/case/{cup.pk}/focus/"' in page
    assert f"/predictions/{cup.prediction_id}/thumbnail" in page


def test_list_follows_each_order(reviewer: Client, cup: Case, espresso: Case) -> None:
    assert _cases(reviewer) == _cases(reviewer, "?order=reported") == [cup.pk, espresso.pk]
    assert _cases(reviewer, "?order=confident") == [espresso.pk, cup.pk]
    assert _cases(reviewer, "?order=margin") == [cup.pk, espresso.pk]
    assert _cases(reviewer, "?order=oldest") == [cup.pk, espresso.pk]


def test_each_filter_narrows_the_list(reviewer: Client, cup: Case, espresso: Case) -> None:
    audit = open_case(statements=0)
    for query, expected in (
        ("?predicted_label=cup", {cup.pk}),
        ("?expected_label=cup", {espresso.pk}),
        ("?model_version=net@2", {cup.pk}),
        ("?source=audit", {audit.pk}),
        ("?age=hour", {cup.pk, espresso.pk, audit.pk}),
        ("?age=week&predicted_label=cup", {cup.pk}),
        ("?age=older", set()),
        ("?state=decided", set()),
        ("?predicted_label=no+such+label", set()),
        ("?state=nonsense&order=nonsense&age=nonsense&source=nonsense", {cup.pk, espresso.pk, audit.pk}),
    ):
        assert set(_cases(reviewer, query)) == expected, query


def test_long_filter_values_find_nothing(reviewer: Client, cup: Case) -> None:
    """Counts are cached by the filters, and a cache key may not be that long."""
    page = _page(reviewer, f"?predicted_label={'é' * 200}&model_version={'x' * 200}")
    assert "No cases here." in page


def test_each_state_lists_its_cases(reviewer: Client, cup: Case, espresso: Case) -> None:
    ada = reviewer_named("ada")
    flagged, right, claimed = open_case(), open_case(), open_case()
    case_decide(case_id=flagged.pk, reviewer=ada, verdict=DecisionRequest("flagged", "", "?"))
    case_decide(case_id=right.pk, reviewer=ada, verdict=DecisionRequest("right"))
    case_decide(case_id=cup.pk, reviewer=ada, verdict=DecisionRequest("accept"))
    claim(claimed, ada)
    for state, expected in (
        ("", {espresso.pk, claimed.pk}),
        ("open", {espresso.pk, claimed.pk}),
        ("claimed", {claimed.pk}),
        ("flagged", {flagged.pk}),
        ("decided", {right.pk, cup.pk}),
        ("right", {right.pk}),
        ("corrected", {cup.pk}),
        ("unusable", set()),
        ("all", {flagged.pk, right.pk, cup.pk, espresso.pk, claimed.pk}),
    ):
        assert set(_cases(reviewer, f"?state={state}")) == expected, state
    page = _page(reviewer, "?state=all")
    assert "Corrected: espresso" in page and "Claimed by ada" in page and "Confirmed right" in page
    assert re.search(r'href="\?state=decided"[^>]*>Decided <span class="count">2<', page)


def test_counts_beside_the_filters(reviewer: Client, cup: Case, espresso: Case) -> None:
    open_case(statements=0)

    def counts(query: str) -> dict[str, str]:
        page = _page(reviewer, query)
        return dict(re.findall(r'<a href="(\?[^"]*)"[^>]*>[^<]*</a> <span class="count">(\d+)</span>', page))

    everything = counts("")
    assert everything["?predicted_label=cup"] == "1" and everything["?predicted_label=espresso"] == "2"
    assert (everything["?source=feedback"], everything["?source=audit"]) == ("2", "1")
    assert everything["?age=hour"] == "3" and everything["?age=older"] == "0"
    # A count combines the choice with the filters that are set.
    assert counts("?source=audit")["?predicted_label=espresso&amp;source=audit"] == "1"


def test_every_model_version_can_be_chosen(reviewer: Client) -> None:
    """Unlike a label, a version cannot be typed."""
    for number in range(14):
        open_case(model_version=f"net@{number}")
    page = _page(reviewer)
    assert all(f"model_version=net%40{number}" in page for number in range(14))


def test_search_finds_labels_comments_and_hashes(reviewer: Client, cup: Case, espresso: Case) -> None:
    cup.feedback.filter(author="author 0").update(comment="A <b>mug</b>, 100% sure")
    for text, expected in (
        ("CUP", {cup.pk, espresso.pk}),
        (cup.image.sha256[:10], {cup.pk}),
        ("<b>mug</b>, 100%", {cup.pk}),
        ("nothing like it", set()),
        ("%", {cup.pk}),
    ):
        response = reviewer.get(URL, {"q": text})
        found = {int(pk) for pk in re.findall(r'alt="Picture of case (\d+)"', response.text)}
        assert found == expected, text


def test_search_without_a_result_offers_to_search_all_cases(reviewer: Client, cup: Case) -> None:
    case_decide(case_id=cup.pk, reviewer=reviewer_named("ada"), verdict=DecisionRequest("no-label", "tea & cake"))
    page = _page(reviewer, "?q=tea+%26+cake&source=audit")
    assert "No cases here." in page
    link = re.search(r'href="(\S+)">Search all cases', page)
    assert link and _cases(reviewer, unescape(link[1])) == [cup.pk]
    assert "Search all cases" not in _page(reviewer, "?state=all&q=nothing") + _page(reviewer, "?state=flagged")


def test_links_keep_the_filters(reviewer: Client, cup: Case) -> None:
    page = _page(reviewer, "?predicted_label=cup&order=margin")
    assert f'/admin/review/case/{cup.pk}/focus/?predicted_label=cup&amp;order=margin"' in page
    assert '/admin/review/case/grid/?predicted_label=cup&amp;order=margin"' in page


def test_start_page_links_to_permitted_pages(reviewer: Client, lead: Client) -> None:
    def links(client: Client) -> list[str]:
        page = client.get("/admin/").text
        return re.findall(r'(?:href|action)="/admin/(\S+?)/"', page.partition("object-tools")[2].partition("</ul>")[0])

    assert links(reviewer) == ["review/case/next", "review/case", "review/case/grid"]
    assert links(lead) == [
        *links(reviewer),
        "review/case/statistics",
        "status",
        "learning/installedmodel",
        "learning/export",
    ]
    other = Client()
    other.force_login(User.objects.create_user("other", is_staff=True))
    assert links(other) == []


def test_admin_links_redirect_to_the_focus_view(reviewer: Client, cup: Case) -> None:
    response = reviewer.get(f"{URL}{cup.pk}/change/")
    assert response["Location"] == f"{URL}{cup.pk}/focus/"


@pytest.mark.parametrize("cases", [1, 60])
def test_number_of_queries_is_bounded(
    reviewer: Client, cases: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ada = reviewer_named("ada")
    for number in range(cases):
        case = open_case(statements=0)
        if number % 2:
            claim(case, ada)
    with django_assert_max_num_queries(12):
        _page(reviewer)


def test_bulk_actions_show_a_preview_first(reviewer: Client, cup: Case, espresso: Case) -> None:
    chosen = [cup.pk, espresso.pk]
    for action, texts in (
        ("confirm", ("Confirmed right: cup", "Confirmed right: espresso")),
        ("accept", ("Corrected: espresso", "Corrected: cup")),
        ("unusable", ("→ Unusable",)),
    ):
        page = reviewer.post(URL, {"action": action, "_selected_action": chosen}).text
        assert "Decide 2 cases" in page and all(text in page for text in texts)
    assert set(Case.objects.values_list("state", flat=True)) == {"open"}
    everything = {"action": "accept", "_selected_action": [cup.pk], "select_across": "1"}
    assert "Decide 2 cases" in reviewer.post(URL, everything).text


def test_list_and_reopening_need_permissions(reviewer: Client, lead: Client, cup: Case) -> None:
    case_decide(case_id=cup.pk, reviewer=reviewer_named("ada"), verdict=DecisionRequest("right"))
    reopen = {"action": "reopen", "_selected_action": [cup.pk]}
    assert "Reopen 1 case" in lead.post(f"{URL}?state=all", reopen).text
    assert "Reopen 1 case" not in reviewer.post(f"{URL}?state=all", reopen, follow=True).text
    onlooker = Client()
    onlooker.force_login(User.objects.create_user("onlooker", is_staff=True))
    assert onlooker.get(URL).status_code == 403
    assert Client().get(URL).status_code == 302


def test_shows_the_age_of_an_old_case(reviewer: Client, cup: Case) -> None:
    Case.objects.update(opened_at=timezone.now() - timezone.timedelta(days=40))  # type: ignore[attr-defined]
    assert "40 d" in _page(reviewer) and _cases(reviewer, "?age=month") == [cup.pk]
