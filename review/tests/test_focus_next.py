"""The view "Next for me", and the query counts of the focus view."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from predictions.tests.fakes import FakeClassifier
from review.claims import claim, claim_next
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import NEXT, NOTHING_LEFT, RELEASE, UNDO, fields, key, me, page, url

pytestmark = pytest.mark.django_db


def test_redirects_to_a_claimed_case(reviewer: Client) -> None:
    case = open_case()
    for _ in range(2):
        response = reviewer.post(NEXT)
        assert (response.status_code, response["Location"]) == (303, url(case))
        assert "no-store" in response["Cache-Control"]
    assert Case.objects.get().claimed_by == me(reviewer)


def test_two_reviewers_get_different_cases(reviewer: Client, lead: Client) -> None:
    cases = {url(open_case()) for _ in range(2)}
    assert {reviewer.post(NEXT)["Location"], lead.post(NEXT)["Location"]} == cases


def test_next_follows_the_order_of_the_queue(reviewer: Client) -> None:
    sure, reported = open_case(score=0.9), open_case(statements=2, score=0.2)
    for order, case in (("", reported), ("nonsense", reported), ("confident", sure), ("oldest", sure)):
        Case.objects.update(claimed_by=None, claimed_until=None)
        assert url(case) in reviewer.post(f"{NEXT}?order={order}")["Location"]


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("predicted_label=airship", True),
        ("predicted_label=espresso", False),
        ("expected_label=coffee_mug&source=feedback&age=day&model_version=fake-net%401", True),
        ("age=older", False),
        ("label=cup&predicted_label=airship", True),  # undecided cases have no label, so that filter is ignored
        ("state=decided&predicted_label=airship", True),
        ("state=nonsense&source=%00", True),
    ],
)
def test_next_follows_the_filters_of_the_queue(reviewer: Client, query: str, finds: bool) -> None:
    case = open_case(label="airship", expected="coffee_mug")
    address = reviewer.post(f"{NEXT}?{query}")["Location"]
    if finds:
        assert address.startswith(url(case))
        kept = query.replace("state=nonsense&source=%00", "")
        assert all(part in address for part in kept.split("&"))
        assert all(part in page(reviewer, address) for part in kept.split("&"))
    else:
        assert address == f"{NOTHING_LEFT}?{query}"
        text = page(reviewer, address)
        assert "within these filters" in text and "<strong>1</strong> open" in text


def test_next_flagged_case(reviewer: Client, lead: Client) -> None:
    case = open_case()
    case_decide(case_id=case.pk, reviewer=me(reviewer), verdict=DecisionRequest("flagged", note="which?"))
    text = lead.post(NEXT, follow=True).text
    assert "Nothing left to review" in text and "?state=flagged" in text
    response = lead.post(f"{NEXT}?state=flagged")
    assert response["Location"] == f"{url(case)}?state=flagged"
    lead.post(url(case, "decide") + "?state=flagged", fields(case, label="cup"))
    assert Case.objects.get().state == "decided"


def test_leaves_out_cases_named_besides(reviewer: Client) -> None:
    first, second = open_case(), open_case()
    assert reviewer.post(NEXT, {"besides": [first.pk, "x", "9" * 40]})["Location"] == url(second)
    assert reviewer.post(NEXT, {"besides": [first.pk, second.pk]})["Location"] == NOTHING_LEFT


def test_nothing_left_names_cases_that_others_have_claimed(reviewer: Client) -> None:
    claim(open_case(), reviewer_named("grace"))
    text = reviewer.post(NEXT, follow=True).text
    assert "Others are looking" in text and "<strong>1</strong>" in text


def test_page_that_nothing_is_left_notices_new_cases(reviewer: Client) -> None:
    assert "Nothing left to review" in page(reviewer, NOTHING_LEFT)
    case = open_case()
    assert "There is more to review" in page(reviewer, NOTHING_LEFT)
    assert "Nothing left to review" in page(reviewer, f"{NOTHING_LEFT}?predicted_label=airship")
    reviewer.post(url(case, "decide"), fields(case, verdict="skip"))
    assert "Nothing left to review" in page(reviewer, NOTHING_LEFT), "the reviewer has skipped it"


def test_page_of_another_reviewer_claims_nothing(reviewer: Client, lead: Client) -> None:
    """Two people share a browser: the page of one is still open after the other has logged in."""
    case = open_case()
    claim_form = '<input type="hidden" name="reviewer" value="{}"><button type="submit" class="review-button">Claim it'
    assert claim_form.format(me(reviewer).pk) in page(reviewer, url(case))
    sent = {"reviewer": me(reviewer).pk}
    for address in (NEXT, url(case, "claim")):
        for accept in ("text/html", "application/json"):
            response = lead.post(address, sent, headers={"Accept": accept})
            assert response.status_code == 409 and "You are logged in as lead now" in response.text
        assert response.json()["code"] == "other-reviewer"
    assert Case.objects.get().claimed_by is None
    assert reviewer.post(NEXT, sent).status_code == 303
    assert Case.objects.get().claimed_by == me(reviewer)


def test_following_a_link_claims_nothing(reviewer: Client) -> None:
    """Browsers and extensions load links in advance, and not all of them say so. A login leads here, too."""
    open_case()
    for headers in ({}, {"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}):
        response = reviewer.get(f"{NEXT}?order=oldest", headers=headers)
        assert (response.status_code, response["Location"]) == (302, "/admin/review/case/?order=oldest")
        page(reviewer, response["Location"])
    assert reviewer.head(NEXT).status_code == 405
    assert Case.objects.get().claimed_by is None


# --- Query counts, including session, user and permissions -----------------------------------------


@pytest.fixture
def busy(settings: Settings) -> Case:
    """A case with much feedback, among many others. The active version has answered them all."""
    settings.MODEL = FakeClassifier.version
    for _ in range(4):
        done = open_case()
        case_decide(case_id=done.pk, reviewer=reviewer_named("grace"), verdict=DecisionRequest("right"))
    for _ in range(5):
        case = open_case(statements=6)
    return case


def test_queries_of_the_page(reviewer: Client, busy: Case, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(12):
        page(reviewer, url(busy))


@pytest.mark.parametrize("skipped", [False, True])
def test_queries_of_next(reviewer: Client, busy: Case, skipped: bool, django_assert_max_num_queries: Any) -> None:
    if skipped:
        for case in Case.objects.open():
            reviewer.post(url(case, "decide"), fields(case, verdict="skip"))
    with django_assert_max_num_queries(12):
        assert reviewer.post(NEXT).status_code == 303
    with django_assert_max_num_queries(12):
        assert reviewer.post(f"{NEXT}?predicted_label=nothing").status_code == 303
    with django_assert_max_num_queries(12):
        page(reviewer, f"{NOTHING_LEFT}?predicted_label=nothing")


@pytest.mark.parametrize(
    "button", [{"label": "cup"}, {"verdict": "right"}, {"verdict": "flagged", "note": "?"}, {"verdict": "skip"}]
)
def test_queries_of_deciding(
    reviewer: Client, busy: Case, button: dict[str, str], django_assert_max_num_queries: Any
) -> None:
    sent = fields(busy, **button)
    with django_assert_max_num_queries(13):
        assert reviewer.post(url(busy, "decide"), sent, headers={"Accept": "application/json"}).status_code == 200
    other = open_case()
    sent = fields(other, **button)
    with django_assert_max_num_queries(17):  # it also claims the next case
        assert reviewer.post(url(other, "decide"), sent).status_code == 303


def test_queries_of_undo(reviewer: Client, busy: Case, django_assert_max_num_queries: Any) -> None:
    reviewer.post(url(busy, "decide"), fields(busy, label="cup"))
    with django_assert_max_num_queries(13):
        assert reviewer.post(UNDO, key() | {"case": busy.pk}).status_code == 303


def test_releases_only_own_claims(reviewer: Client) -> None:
    ahead, others, opened = open_case(statements=3), open_case(), open_case()
    assert claim_next(me(reviewer), in_advance=True) == ahead
    claim(others, reviewer_named("grace"))
    claim(opened, me(reviewer))
    response = reviewer.post(RELEASE, {"case": [ahead.pk, others.pk, opened.pk, 0, "x", "9" * 30]})
    assert response.status_code == 204
    for case in (ahead, others, opened):
        case.refresh_from_db()
    assert ahead.claimed_by is None and ahead.claimed_until is None
    assert others.claimed_by is not None, "another reviewer's claim"
    assert opened.claimed_by is not None, "another tab shows it"
    assert reviewer.get(RELEASE).status_code == 405
