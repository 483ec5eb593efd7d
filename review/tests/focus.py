"""Sends the forms of the focus view as a browser without JavaScript does."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client

from review.models import Case, Decision

NEXT = "/admin/review/case/next/"
UNDO = "/admin/review/case/undo/"
NOTHING_LEFT = "/admin/review/case/nothing-left/"
RELEASE = "/admin/review/case/release/"


def url(case: Case, name: str = "focus") -> str:
    return f"/admin/review/case/{case.pk}/{name}/"


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, (response.status_code, response.get("Location"))
    return response.text


def fields(case: Case, **changes: Any) -> dict[str, Any]:
    """Returns the hidden fields of a case's current page, with those of a button."""
    case.refresh_from_db()
    return key() | {"seen_decisions": case.decision_count, "seen_prediction": case.prediction_id} | changes


def key() -> dict[str, Any]:
    """Returns the hidden key of a newly loaded form."""
    return {"key": uuid4()}


def take(client: Client, case: Case) -> None:
    """Claims a case, as the button of its page does."""
    assert client.post(url(case, "claim")).status_code == 303


def send(client: Client, case: Case, *, query: str = "", **changes: Any) -> Any:
    return client.post(url(case, "decide") + query, fields(case, **changes))


def send_json(client: Client, case: Case, **changes: Any) -> Any:
    return client.post(url(case, "decide"), fields(case, **changes), headers={"Accept": "application/json"})


def me(client: Client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def last() -> tuple[str, str, str]:
    """Returns kind, label and note of the newest decision."""
    decision = Decision.objects.order_by("-id")[0]
    return decision.kind, decision.label, decision.note
