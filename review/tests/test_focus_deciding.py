"""The buttons of the focus view, as forms and as JSON, and the reasons for which a decision is rejected."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from review.bulk import cases_decide
from review.claims import claim
from review.decisions import DecisionRequest, case_decide
from review.history import NOTE_MAX_LENGTH
from review.models import Case, Decision
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import NEXT, NOTHING_LEFT, UNDO, fields, key, last, me, page, send, send_json, take, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def case() -> Case:
    return open_case()


@pytest.mark.parametrize(
    ("button", "decision", "said"),
    [
        ({"verdict": "right"}, ("right", "espresso", ""), "confirmed right"),
        ({"label": "cup"}, ("corrected", "cup", ""), "corrected to “cup”"),
        ({"label": "coffee_mug"}, ("corrected", "coffee_mug", ""), "corrected to “coffee mug”"),
        ({"label": "espresso"}, ("right", "espresso", ""), "confirmed right"),
        ({"verdict": "corrected", "label": " cup "}, ("corrected", "cup", ""), "corrected to “cup”"),
        ({"verdict": "unusable"}, ("unusable", "", ""), "unusable"),
        ({"verdict": "flagged", "note": " a\r\nb\x00 "}, ("flagged", "", "a\nb\ufffd"), "flagged"),
    ],
)
def test_each_button_decides_and_leads_to_the_next_case(
    reviewer: Client, case: Case, button: dict[str, str], decision: tuple[str, str, str], said: str
) -> None:
    following = open_case()
    response = send(reviewer, case, query="?order=oldest", **button)
    assert (response.status_code, response["Location"]) == (303, f"{url(following)}?order=oldest")
    following.refresh_from_db()
    assert following.claimed_by == me(reviewer)
    text = page(reviewer, response["Location"])
    assert f"Case {case.pk}: {said}." in text
    assert last() == decision and Decision.objects.count() == 1


def test_skipped_case_comes_back_when_no_other_is_left(reviewer: Client, case: Case) -> None:
    for _ in range(2):  # skipping again is allowed
        response = send(reviewer, case, verdict="skip")
        assert response["Location"] == NOTHING_LEFT
    assert "Nothing left to review" in page(reviewer, response["Location"])
    case.refresh_from_db()
    assert (case.state, case.claimed_by, case.skips.count()) == ("open", None, 1)
    assert reviewer.post(NEXT)["Location"] == url(case), "no other case is left"


def test_script_gets_json(reviewer: Client, case: Case) -> None:
    response = send_json(reviewer, case, label="cup")
    decision = Decision.objects.get()
    assert response.status_code == 200
    assert response.json() == {
        "case": case.pk,
        "said": f"Case {case.pk}: corrected to “cup”.",
        "decision": decision.pk,
        "address": NEXT,
        "left": 0,
    }
    assert "messages" not in reviewer.cookies, "a later page would repeat it"


def test_script_gets_rejections_as_json(reviewer: Client, case: Case) -> None:
    response = send_json(reviewer, case, label="a thing")
    assert response.status_code == 400
    assert response.json() == {"code": "unknown-label", "message": "We have no label “a thing”."}


@pytest.mark.parametrize(
    ("sent", "status", "message", "kept"),
    [
        ({"label": '<i>"thing"'}, 400, "We have no label", ""),
        ({"verdict": "corrected", "label": " "}, 400, "Which label is it?", ""),
        ({"verdict": "corrected"}, 400, "Which label is it?", ""),
        ({}, 400, "Which label is it?", ""),
        ({"verdict": "flagged", "note": " \n "}, 400, "A flag needs a note", ""),
        ({"verdict": "flagged", "note": "n" * 10_000}, 400, f"at most {NOTE_MAX_LENGTH} are allowed", "n" * 10_000),
        ({"verdict": "corrected", "label": "cup" + "p" * 197 + " or"}, 400, "is longer than any label", " or"),
        ({"verdict": "undo"}, 400, "“undo” is not a verdict", ""),
        ({"verdict": "right", "seen_decisions": "x"}, 400, "reload the page", ""),
        ({"verdict": "right", "seen_prediction": "x"}, 400, "reload the page", ""),
        ({"verdict": "right", "key": "x"}, 400, "The form has no key.", ""),
        ({"verdict": "right", "seen_prediction": uuid4()}, 409, "has changed since you opened it", ""),
        ({"verdict": "right", "seen_decisions": 7}, 409, "has changed since you opened it", ""),
    ],
)
def test_rejects_bad_input_and_shows_what_was_typed(
    reviewer: Client, case: Case, sent: dict[str, Any], status: int, message: str, kept: str
) -> None:
    take(reviewer, case)
    response = send(reviewer, case, **sent)
    text = response.content.decode()
    assert response.status_code == status
    alert = text.partition('<div class="review-alert" role="alert">')[2].partition("</div>")[0]
    assert message in alert and kept in text
    assert not Decision.objects.exists()
    case.refresh_from_db()
    assert case.claimed_by == me(reviewer)


def test_rejects_case_that_somebody_else_decided(reviewer: Client, case: Case) -> None:
    take(reviewer, case)
    sent = fields(case, verdict="flagged", note="my <note>")
    Case.objects.update(claimed_by=None, claimed_until=None)
    case_decide(case_id=case.pk, reviewer=reviewer_named("grace"), verdict=DecisionRequest("unusable"))
    response = reviewer.post(url(case, "decide"), sent)
    assert response.status_code == 409
    assert "Already decided by grace (Unusable)" in response.text
    assert "my &lt;note&gt;" in response.text, "the typed note is not lost"
    assert 'data-key="n"' in response.text and Decision.objects.count() == 1


def test_rejects_case_that_somebody_else_claimed(reviewer: Client, case: Case) -> None:
    take(reviewer, case)
    Case.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    case.refresh_from_db()
    assert claim(case, reviewer_named("grace"))
    response = send(reviewer, case, verdict="right")
    assert response.status_code == 409 and "grace is looking at this case now" in response.content.decode()
    assert not Decision.objects.exists()


def test_expired_claim_does_not_prevent_a_decision(reviewer: Client, case: Case) -> None:
    take(reviewer, case)
    Case.objects.update(claimed_until=timezone.now() - timedelta(hours=1))
    assert send(reviewer, case, verdict="right").status_code == 303


@pytest.mark.parametrize(
    "button",
    [{"label": "cup"}, {"verdict": "right"}, {"verdict": "flagged", "note": "a\r\nb "}, {"verdict": "unusable"}],
)
def test_form_sent_twice_is_one_decision(reviewer: Client, case: Case, button: dict[str, str]) -> None:
    sent = fields(case, **button)
    for _ in range(2):
        assert reviewer.post(url(case, "decide"), sent).status_code == 303
    assert Decision.objects.count() == 1
    other = fields(case, seen_decisions=0, verdict="right" if button != {"verdict": "right"} else "unusable")
    assert reviewer.post(url(case, "decide"), other).status_code == 409


def test_undo_goes_back_decision_by_decision(reviewer: Client) -> None:
    first, second = open_case(), open_case()
    send(reviewer, first, label="cup")
    send(reviewer, second, verdict="unusable")
    for case, words in ((second, "unusable"), (first, "corrected to “cup”")):
        response = reviewer.post(f"{UNDO}?order=margin", key() | {"case": first.pk})
        assert (response.status_code, response["Location"]) == (303, f"{url(case)}?order=margin")
        assert f"Case {case.pk}: undone ({words})." in page(reviewer, response["Location"])
    response = reviewer.post(UNDO, key() | {"case": first.pk})
    assert response.status_code == 409 and "There is nothing to undo." in response.text
    assert f"Case {first.pk}" in response.text
    assert reviewer.post(UNDO, key()).status_code == 409


def test_undo_of_a_named_decision(reviewer: Client, lead: Client) -> None:
    first, second = open_case(), open_case()
    send(reviewer, first, label="cup")
    decision = Decision.objects.get()
    send(reviewer, second, verdict="unusable")
    assert lead.post(UNDO, key() | {"decision": decision.pk}).status_code == 403
    assert reviewer.post(UNDO, key() | {"decision": decision.pk})["Location"] == url(first)
    for nonsense in ("x", "-1", "9" * 30, "٣"):
        assert reviewer.post(UNDO, key() | {"decision": nonsense}).status_code == 404
    assert Case.objects.get(pk=second.pk).state == "decided"


@pytest.mark.parametrize("is_case", [True, False])
def test_undo_leaves_decisions_made_after_the_page(reviewer: Client, is_case: bool) -> None:
    """The page waits with an undo until the server can be reached; meanwhile the reviewer goes on in another tab."""
    first, *others = [open_case() for _ in range(4)]
    send(reviewer, first, label="cup")
    address = url(others[0]) if is_case else NOTHING_LEFT
    made_at = re.findall('name="page_made_at" value="([^"]+)"', page(reviewer, address))
    bulk = {case.pk: None for case in others}
    cases_decide(seen=bulk, reviewer=me(reviewer), verdict=DecisionRequest("right"))
    assert reviewer.post(UNDO, key() | {"page_made_at": made_at})["Location"] == url(first)
    assert reviewer.post(UNDO, key() | {"page_made_at": made_at}).status_code == 409, "nothing else was decided before"
    assert list(Case.objects.open()) == [first]
    assert "and 2 more" in reviewer.post(UNDO, key(), headers={"Accept": "application/json"}).json()["said"]


@pytest.mark.parametrize("made_at", ["", "x", "0001-01-01T00:00:00+23:00"])
def test_rejects_undo_with_an_invalid_time(reviewer: Client, case: Case, made_at: str) -> None:
    send(reviewer, case, label="cup")
    assert reviewer.post(UNDO, key() | {"page_made_at": made_at}).status_code == 400
    assert Decision.objects.count() == 1


def test_undo_of_a_bulk_says_how_many(reviewer: Client) -> None:
    cases = [open_case() for _ in range(3)]
    cases_decide(seen={case.pk: None for case in cases}, reviewer=me(reviewer), verdict=DecisionRequest("right"))
    response = reviewer.post(UNDO, key(), headers={"Accept": "application/json"})
    assert "and 2 more that were decided with it." in response.json()["said"]


def test_lead_can_reopen(reviewer: Client, lead: Client, case: Case) -> None:
    send(reviewer, case, label="cup")
    assert reviewer.post(url(case, "reopen")).status_code == 403
    response = lead.post(url(case, "reopen"), key() | {"note": "look \x00 again"})
    assert (response.status_code, response["Location"]) == (303, url(case))
    assert last() == ("reopen", "", "look \ufffd again")
    response = lead.post(url(case, "reopen"), {"note": "n" * (NOTE_MAX_LENGTH + 1)} | key())
    assert response.status_code == 400 and f"at most {NOTE_MAX_LENGTH} are allowed" in response.text
    assert Decision.objects.count() == 2, "a shortened note could have another meaning"
    response = lead.post(url(case, "reopen"), key())
    assert response.status_code == 409 and "already open" in response.text


@pytest.mark.parametrize("name", ["decide", "reopen"])
def test_404_for_missing_case(lead: Client, case: Case, name: str) -> None:
    sent = fields(case, verdict="right")
    for verdict in ("right", "skip"):
        response = lead.post(url(Case(pk=case.pk + 1), name), sent | {"verdict": verdict})
        assert response.status_code == 404 and "This case no longer exists" in response.text


def test_form_sent_after_logging_out_saves_nothing(client: Client, reviewer: Client, case: Case) -> None:
    """The login page redirects to the address of the form with GET."""
    address = client.post(url(case, "decide"), fields(case, verdict="right"))["Location"].partition("next=")[2]
    response = reviewer.get(address)
    assert (response.status_code, response["Location"]) == (302, url(case))
    assert "You had been logged out, so nothing was saved." in page(reviewer, url(case))
    assert reviewer.get(UNDO).status_code == 302
    assert not Decision.objects.exists()


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_form_of_another_reviewer_saves_nothing(reviewer: Client, lead: Client, case: Case, accept: str) -> None:
    """Two people share a browser: the form of one is sent after the other has logged in."""
    sent = fields(case, verdict="right", reviewer=me(reviewer).pk)
    for address in (url(case, "decide"), UNDO, url(case, "reopen")):
        response = lead.post(address, sent, headers={"Accept": accept})
        assert response.status_code == 409
        assert "You are logged in as lead now" in response.text
    assert response.headers["Content-Type"].startswith(accept)
    assert not Decision.objects.exists()
    assert reviewer.post(url(case, "decide"), sent).status_code == 303


def test_other_sites_cannot_send_forms(case: Case) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(reviewer_named())
    for address in (url(case, "decide"), url(case, "claim"), UNDO, NEXT):
        assert client.post(address, fields(case, verdict="right")).status_code == 403
    assert not Decision.objects.exists()
