"""Next for me: within the filters, never the same for two, and what is said when nothing is left. And what it costs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from review.claims import claim
from review.decisions import Verdict, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import NEXT, RELEASE, UNDO, fields, key, me, page, url

pytestmark = pytest.mark.django_db


def test_it_works(reviewer: Client) -> None:
    case = open_case()
    for response in (reviewer.get(NEXT), reviewer.post(NEXT)):
        assert (response.status_code, response["Location"]) == (303, url(case))
        assert "no-store" in response["Cache-Control"]
    assert Case.objects.get().claimed_by == me(reviewer)


def test_two_reviewers_never_get_the_same(reviewer: Client, lead: Client) -> None:
    cases = {url(open_case()) for _ in range(2)}
    assert {reviewer.get(NEXT)["Location"], lead.get(NEXT)["Location"]} == cases


def test_the_order_is_that_of_the_queue(reviewer: Client) -> None:
    sure, reported = open_case(score=0.9), open_case(statements=2, score=0.2)
    for order, case in (("", reported), ("nonsense", reported), ("confident", sure), ("oldest", sure)):
        Case.objects.update(claimed_by=None, claimed_until=None)
        assert url(case) in reviewer.get(f"{NEXT}?order={order}")["Location"]


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("predicted_label=airship", True),
        ("predicted_label=espresso", False),
        ("expected_label=coffee_mug&source=feedback&age=day&model_version=fake-net%401", True),
        ("age=older", False),
        ("label=cup&predicted_label=airship", True),  # what is undecided has no label: that filter is not for it
        ("state=decided&predicted_label=airship", True),
        ("state=nonsense&source=%00", True),
    ],
)
def test_the_filters_are_those_of_the_queue(reviewer: Client, query: str, finds: bool) -> None:
    case = open_case(label="airship", expected="coffee_mug")
    response = reviewer.get(f"{NEXT}?{query}")
    if finds:
        address = response["Location"]
        assert address.startswith(url(case))
        kept = query.replace("state=nonsense&source=%00", "")
        assert all(part in address for part in kept.split("&"))
        assert all(part in page(reviewer, address) for part in kept.split("&"))
    else:
        assert "within these filters" in response.text and "<strong>1</strong> open" in response.text


def test_flagged_ones_have_a_next_too(reviewer: Client, lead: Client) -> None:
    case = open_case()
    case_decide(case_id=case.pk, reviewer=me(reviewer), verdict=Verdict("flagged", note="which?"))
    text = page(lead, NEXT)
    assert "Nothing left to review" in text and "?state=flagged" in text
    response = lead.get(f"{NEXT}?state=flagged")
    assert response["Location"] == f"{url(case)}?state=flagged"
    lead.post(url(case, "decide") + "?state=flagged", fields(case, label="cup"))
    assert Case.objects.get().state == "decided"


def test_besides(reviewer: Client) -> None:
    first, second = open_case(), open_case()
    assert reviewer.post(NEXT, {"besides": [first.pk, "x", "9" * 40]})["Location"] == url(second)
    assert "Nothing left" in reviewer.post(NEXT, {"besides": [first.pk, second.pk]}).text


def test_nothing_left(reviewer: Client) -> None:
    claim(open_case(), reviewer_named("grace"))
    text = page(reviewer, NEXT)
    assert "Others are looking" in text and "<strong>1</strong>" in text


def test_a_browser_that_only_guesses_gets_nothing(reviewer: Client) -> None:
    open_case()
    for header in ("Sec-Purpose", "Purpose"):
        assert reviewer.get(NEXT, headers={header: "prefetch"}).status_code == 503
    assert reviewer.head(NEXT).status_code == 405
    assert Case.objects.get().claimed_by is None


# --- What it costs: twelve queries, session, user and permissions among them -----------------------


@pytest.fixture
def busy() -> Case:
    """A case with much said of it, among many others."""
    for _ in range(4):
        done = open_case()
        case_decide(case_id=done.pk, reviewer=reviewer_named("grace"), verdict=Verdict("right"))
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
        page(reviewer, f"{NEXT}?predicted_label=nothing")


@pytest.mark.parametrize(
    "button", [{"label": "cup"}, {"verdict": "right"}, {"verdict": "flagged", "note": "?"}, {"verdict": "skip"}]
)
def test_queries_of_deciding(
    reviewer: Client, busy: Case, button: dict[str, str], django_assert_max_num_queries: Any
) -> None:
    page(reviewer, url(busy))
    sent = fields(busy, **button)
    with django_assert_max_num_queries(12):
        assert reviewer.post(url(busy, "decide"), sent).status_code == 303


def test_queries_of_undo(reviewer: Client, busy: Case, django_assert_max_num_queries: Any) -> None:
    reviewer.post(url(busy, "decide"), fields(busy, label="cup"))
    with django_assert_max_num_queries(12):
        assert reviewer.post(UNDO, key() | {"case": busy.pk}).status_code == 303


def test_who_leaves_gives_back_what_was_claimed_beforehand(reviewer: Client) -> None:
    ahead, others = open_case(), open_case()
    claim(ahead, me(reviewer))
    claim(others, reviewer_named("grace"))
    response = reviewer.post(RELEASE, {"case": [ahead.pk, others.pk, 0, "x", "9" * 30]})
    assert response.status_code == 204
    ahead.refresh_from_db()
    others.refresh_from_db()
    assert ahead.claimed_by is None and ahead.claimed_until is None
    assert others.claimed_by is not None, "which is not his to give back"
    assert reviewer.get(RELEASE).status_code == 405
