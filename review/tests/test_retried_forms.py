"""Forms that a browser sends again because the response was lost: each is carried out once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from review.bulk import cases_decide
from review.decisions import DecisionRequest, case_decide
from review.models import Case, Decision, Skip
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import UNDO, fields, key, page, send, url

pytestmark = pytest.mark.django_db
RIGHT = DecisionRequest("right")
GRID = "/admin/review/case/grid/"
HIDDEN_KEY = re.compile(r'<input type="hidden" name="key" value="([^"]+)">')
FORM = re.compile(r'<form[^>]* method="post".*?</form>', re.DOTALL)


@pytest.fixture
def cases() -> list[Case]:
    return [open_case() for _ in range(3)]


def _open() -> list[int]:
    return list(Case.objects.open().order_by("pk").values_list("pk", flat=True))


def _twice(client: Client, address: str, sent: dict[str, Any]) -> str:
    """Sends a form twice; returns the response, which must be the same both times."""
    answers = []
    for _ in range(2):
        response = client.post(address, sent, headers={"Accept": "application/json"})
        location = response.get("Location", "")
        answers.append((response.status_code, location, response.text or page(client, location)))
    keyless = [(status, location, HIDDEN_KEY.sub("", _without_token(text))) for status, location, text in answers]
    assert keyless[0] == keyless[1]
    return answers[0][2]


def _without_token(text: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_undo_form_sent_twice_undoes_once(reviewer: Client, cases: list[Case]) -> None:
    for case in cases:
        send(reviewer, case, verdict="right")
    assert f"Case {cases[2].pk}: undone" in _twice(reviewer, UNDO, key())
    assert _open() == [cases[2].pk]
    named = Decision.objects.get(case=cases[0])
    assert f"Case {cases[0].pk}: undone" in _twice(reviewer, UNDO, key() | {"decision": named.pk})
    assert _open() == [cases[0].pk, cases[2].pk]


@pytest.mark.parametrize("verdict", ["right", "skip"])
def test_decide_form_sent_twice_decides_once(reviewer: Client, cases: list[Case], verdict: str) -> None:
    _twice(reviewer, url(cases[0], "decide"), fields(cases[0], verdict=verdict))


def test_reopen_form_sent_twice_reopens_once(reviewer: Client, lead: Client, cases: list[Case]) -> None:
    send(reviewer, cases[0], verdict="right")
    _twice(lead, url(cases[0], "reopen"), key())
    assert Decision.objects.filter(kind="reopen").count() == 1


def test_grid_forms_sent_twice_change_cases_once(lead: Client, cases: list[Case]) -> None:
    tokens = [f"{case.pk}:0:{case.prediction_id}" for case in cases]
    text = _twice(lead, f"{GRID}decide/", key() | {"case": tokens, "kind": "right"})
    assert "3 cases decided." in text and Decision.objects.count() == 3
    undo = re.search(r'formaction="([^"]+)"', text)
    assert undo and "3 cases open again." in _twice(lead, undo[1], key())
    case_decide(case_id=cases[0].pk, reviewer=reviewer_named("grace"), verdict=RIGHT)
    assert "1 case reopened." in _twice(lead, f"{GRID}decide/", key() | {"case": tokens, "kind": "reopen"})


def test_every_form_has_its_own_key(lead: Client, cases: list[Case]) -> None:
    preview = {"case": [cases[0].pk], "kind": "right"}
    send(lead, cases[1], verdict="right")
    pages = [
        page(lead, url(cases[0])),
        page(lead, url(cases[1])),
        page(lead, GRID),
        lead.post(f"{GRID}preview/", preview).text,
        page(lead, "/admin/review/case/nothing-left/?predicted_label=nothing"),
    ]
    keys = [found for text in pages for found in HIDDEN_KEY.findall(text)]
    forms = [form for text in pages for form in FORM.findall(text[text.index("<main") :])]
    writes = [form for form in forms if not re.search("/(preview|next|claim)/", form)]
    assert len(writes) == len(keys) == len(set(keys)) == 9


@pytest.mark.parametrize("sent", [{}, {"key": ""}, {"key": "x"}])
def test_a_form_without_a_key_changes_nothing(lead: Client, cases: list[Case], sent: dict[str, str]) -> None:
    send(lead, cases[0], verdict="right")
    bulk = cases_decide(seen={cases[1].pk: None}, reviewer=reviewer_named("grace"), verdict=RIGHT).bulk
    before = list(Decision.objects.values_list("pk")), _open()
    shown = {name: value for name, value in fields(cases[2]).items() if name != "key"}
    token = f"{cases[2].pk}:0:{cases[2].prediction_id}"
    for address, more in (
        (UNDO, {}),
        (url(cases[2], "decide"), shown | {"verdict": "right"}),
        (url(cases[2], "decide"), shown | {"verdict": "skip"}),
        (url(cases[0], "reopen"), {}),
        (f"{GRID}decide/", {"case": token, "kind": "right"}),
        (f"{GRID}decide/", {"case": f"{cases[0].pk}:1:{cases[0].prediction_id}", "kind": "reopen"}),
        (f"{GRID}{bulk}/undo/", {}),
    ):
        assert "The form has no key. Please reload the page." in lead.post(address, more | sent, follow=True).text
    assert (list(Decision.objects.values_list("pk")), _open()) == before and not Skip.objects.exists()
