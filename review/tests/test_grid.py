"""The grid: a preview, then one verdict for many cases."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from feedback.models import Feedback
from feedback.services import feedback_give
from review.bulk import cases_plan
from review.claims import claim
from review.decisions import DecisionRequest, case_decide
from review.models import Case, Decision
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import key

pytestmark = pytest.mark.django_db
URL = "/admin/review/case/grid/"


def _preview(client: Client, cases: list[Case], kind: str = "accept", label: str = "") -> Any:
    return client.post(f"{URL}preview/", {"case": [case.pk for case in cases], "kind": kind, "verdict_label": label})


def _decide(client: Client, preview: Any) -> str:
    """Sends the form of the preview; returns the page that follows."""
    return str(client.post(f"{URL}decide/", _fields(preview.text), follow=True).text)


def _fields(page: str) -> dict[str, list[str]]:
    """Returns the hidden fields of a page."""
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page):
        fields.setdefault(name, []).append(value)
    return fields


def _undo_address(page: str) -> str:
    found = re.search(r'formaction="([^"]+/undo/)"', page)
    assert found
    return found[1]


@pytest.fixture
def cases() -> list[Case]:
    return [open_case() for _ in range(3)]


def test_decides_selected_cases_after_a_preview_and_undoes_them(reviewer: Client, cases: list[Case]) -> None:
    page = reviewer.get(URL).text
    assert all(f'name="case" value="{case.pk}"' in page for case in cases)
    preview = _preview(reviewer, cases[:2])
    assert preview.text.count("→ Corrected: cup") == 2 and not Decision.objects.exists()
    page = _decide(reviewer, preview)
    assert "2 cases decided." in page
    assert list(Case.objects.order_by("pk").values_list("label", flat=True)) == ["cup", "cup", ""]
    assert Decision.objects.values("bulk").distinct().count() == 1
    page = reviewer.post(_undo_address(page), key(), follow=True).text
    assert "2 cases open again" in page
    assert Case.objects.open().count() == 3 and Decision.objects.count() == 4


def test_shows_who_has_claimed_a_case(reviewer: Client, cases: list[Case]) -> None:
    claim(cases[1], reviewer_named("grace"))
    assert re.findall(r"Case (\d+): claimed by grace", reviewer.get(URL).text) == [str(cases[1].pk)]


@pytest.mark.parametrize(
    ("kind", "label", "expected"),
    [("right", "", "espresso"), ("corrected", "coffee_mug", "coffee_mug"), ("unusable", "", "")],
)
def test_every_verdict_can_be_given(reviewer: Client, cases: list[Case], kind: str, label: str, expected: str) -> None:
    _decide(reviewer, _preview(reviewer, cases, kind, label))
    assert set(Case.objects.values_list("state", "label")) == {("decided", expected)}


@pytest.mark.parametrize(
    ("kind", "label", "message"),
    [
        ("corrected", "no such thing", "We have no label"),
        ("corrected", "", "Which label is it?"),
        ("undo", "", "is not a verdict"),
        ("flagged", "", "needs a note"),
    ],
)
def test_rejects_invalid_verdicts(reviewer: Client, cases: list[Case], kind: str, label: str, message: str) -> None:
    response = _preview(reviewer, cases, kind, label)
    assert response.status_code == 400 and message in response.text
    # The selection and the typed label are kept.
    assert (
        response.text.count('name="case"') == len(re.findall(r'name="case" value="\d+" checked>', response.text)) == 3
    )
    assert f'name="verdict_label" value="{label}"' in response.text
    # The page is at the form's address, so none of its links may be relative to it.
    assert re.findall(r'(?:href|action)="\?', response.text) == []


@pytest.mark.usefixtures("two_versions")
def test_preview_names_cases_whose_version_lacks_the_label(reviewer: Client, cases: list[Case]) -> None:
    earlier = open_case(label="whippet", top=[["whippet", 0.9]], model_version="other-net@1")
    page = _preview(reviewer, [*cases, earlier], "corrected", "unicorn")
    assert "Decide 1 case" in page.text and "Unchanged: 3" in page.text and "We have no label “unicorn”." in page.text
    _decide(reviewer, page)
    assert list(Case.objects.filter(state="decided").values_list("pk", "label")) == [(earlier.pk, "unicorn")]


def test_preview_names_cases_that_stay_unchanged(reviewer: Client, cases: list[Case]) -> None:
    grace = reviewer_named("grace")
    claim(cases[0], grace)
    nobody_expects = open_case(expected="")
    page = _preview(reviewer, [*cases, nobody_expects])
    assert "Decide 2 cases" in page.text and "Unchanged: 2" in page.text
    assert "grace is looking at this case now." in page.text and "Nobody has said what it is." in page.text


def test_case_decided_by_somebody_else_after_the_preview_stays_unchanged(reviewer: Client, cases: list[Case]) -> None:
    preview = _preview(reviewer, cases)
    case_decide(case_id=cases[1].pk, reviewer=reviewer_named("grace"), verdict=DecisionRequest("unusable"))
    page = _decide(reviewer, preview)
    assert "2 cases decided." in page and f"Case {cases[1].pk} is unchanged." in page and "grace" in page
    assert Case.objects.get(pk=cases[1].pk).verdict == "unusable"


def test_others_cannot_undo_a_bulk(reviewer: Client, lead: Client, cases: list[Case]) -> None:
    undo = _undo_address(_decide(reviewer, _preview(reviewer, cases)))
    assert "nothing left to undo" in lead.post(undo, key(), follow=True).text
    assert Case.objects.get(pk=cases[0].pk).state == "decided"


def test_lead_can_reopen_many(lead: Client, reviewer: Client, cases: list[Case]) -> None:
    _decide(reviewer, _preview(reviewer, cases[:2]))
    assert _preview(reviewer, cases, "reopen").status_code == 403
    preview = _preview(lead, cases, "reopen")
    assert "Reopen 2 cases" in preview.text and "is already open" in preview.text
    assert "2 cases reopened." in _decide(lead, preview)
    assert Case.objects.open().count() == 3


def test_asks_for_a_selection(reviewer: Client) -> None:
    response = reviewer.post(f"{URL}preview/", {"kind": "right"})
    assert response.status_code == 400 and "Select some cases first." in response.text


@pytest.mark.parametrize("tokens", [["", "x:y:z", "1:2", "9" * 30 + ":0:0"], []])
def test_rejects_malformed_forms(reviewer: Client, tokens: list[str]) -> None:
    page = reviewer.post(f"{URL}decide/", {"case": tokens, "kind": "right"}, follow=True)
    assert page.status_code == 200 and ("The form does not say what you saw." in page.text) == bool(tokens)
    response = reviewer.post(f"{URL}preview/", {"case": ["x", "-1", "9" * 40], "kind": "right"})
    assert "Select some cases first." in response.text


def test_pages_follow_the_filters(reviewer: Client, cases: list[Case]) -> None:
    page = reviewer.get(f"{URL}?predicted_label=espresso&p=999").text
    assert "Page 1 of 1, 3 cases" in page
    assert "No cases here." in reviewer.get(f"{URL}?predicted_label=cup").text


def test_label_of_a_verdict_is_not_a_filter(reviewer: Client, cases: list[Case]) -> None:
    """Both have a field for a label."""
    page = _decide(reviewer, _preview(reviewer, cases[:1], "corrected", "coffee_mug"))
    assert "1 case decided." in page and page.count('name="case"') == 2
    chosen = {"case": [cases[1].pk], "kind": "unusable", "label": "coffee_mug"}
    assert 'name="label" value="coffee_mug"' in reviewer.post(f"{URL}preview/", chosen).text


def test_returns_to_the_same_page(reviewer: Client) -> None:
    cases = [open_case(statements=0) for _ in range(62)]
    chosen = {"case": [cases[0].pk], "kind": "right", "p": "2", "order": "oldest"}
    preview = reviewer.post(f"{URL}preview/", chosen)
    assert f'href="{URL}?order=oldest&amp;p=2"' in preview.text
    page = _decide(reviewer, preview)
    assert "1 case decided." in page and "Page 2 of 2, 61 cases" in page


def test_number_of_queries_is_bounded(reviewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    many = [open_case(statements=0) for _ in range(60)]
    with django_assert_max_num_queries(8):
        reviewer.get(URL)
    with django_assert_max_num_queries(6):
        _preview(reviewer, many, "right")


def test_forms_sent_after_logging_out_lead_back_to_the_grid(reviewer: Client, cases: list[Case]) -> None:
    """The login page redirects to the address of the form with GET."""
    query = "?predicted_label=espresso"
    text = reviewer.get(URL + query).text
    preview = re.search(r'action="([^"]+/preview/[^"]*)"', text)
    assert preview
    text = reviewer.post(
        preview[1].replace("&amp;", "&"), {"case": cases[0].pk, "kind": "right", "predicted_label": "espresso"}
    ).text
    decide = re.search(r'action="([^"]+/grid/decide/[^"]*)"', text)
    assert decide
    decided = reviewer.post(decide[1].replace("&amp;", "&"), _fields(text), follow=True).text
    undo = re.search(r'formaction="([^"]+/undo/[^"]*)"', decided)
    assert undo
    for address in (preview[1], decide[1], undo[1]):
        login = Client().post(address.replace("&amp;", "&"))["Location"]
        assert login.startswith("/admin/login/?next=")
        response = reviewer.get(unquote(login.partition("next=")[2]))
        assert (response.status_code, response["Location"].partition("&")[0]) == (303, URL + query)
        assert "You had been logged out, so nothing was saved." in reviewer.get(response["Location"]).text


def test_grid_needs_permissions(cases: list[Case]) -> None:
    onlooker = Client()
    onlooker.force_login(User.objects.create_user("onlooker", is_staff=True))
    assert onlooker.get(URL).status_code == 403
    assert _preview(onlooker, cases).status_code == 403
    assert onlooker.post(f"{URL}decide/", {"kind": "right"}).status_code == 403
    assert Client().get(URL).status_code == 302


@pytest.mark.parametrize("form", ["preview/", "decide/", "00000000-0000-4000-8000-000000000000/undo/"])
def test_addresses_of_forms_lead_to_the_grid_without_a_form(reviewer: Client, form: str) -> None:
    """A login page redirects to the form's address, without what the form held."""
    response = reviewer.get(f"{URL}{form}?predicted_label=cup")
    assert (response.status_code, response["Location"]) == (303, f"{URL}?predicted_label=cup")
    assert "so nothing was saved" in reviewer.get(URL).text


def test_preview_of_a_label_that_people_expect_takes_as_many_queries_for_many_cases(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    cases = [open_case(expected="cup", statements=number) for number in (1, 2, 3)]
    for case in cases:
        feedback_give(prediction=case.prediction, author="z", verdict="wrong", expected_label="coffee_mug")
    Feedback.objects.filter(expected_label="coffee_mug").update(expected_label="of_another_version")
    verdict = DecisionRequest("corrected", "of_another_version")
    ada = reviewer_named()
    with django_assert_max_num_queries(3):
        plans = cases_plan(case_ids=[case.pk for case in cases], reviewer=ada, verdict=verdict)
    assert [plan.after for plan in plans] == ["Corrected: of another version"] * 3
