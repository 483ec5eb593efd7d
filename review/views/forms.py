"""Parses what the forms of the desk send."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest

from predictions.exceptions import RequestRejected


def reviewer(request: HttpRequest) -> User:
    """Returns the user who is logged in."""
    assert isinstance(request.user, User)  # noqa: S101 - the admin lets nobody else in
    return request.user


def sent_key(request: HttpRequest) -> UUID:
    """Returns the key of the write that a form asks for. A form that is sent again has the same key.

    Raises `RequestRejected`: `malformed`; `other-reviewer`, see `require_same_reviewer`.
    """
    require_same_reviewer(request)
    try:
        return UUID(request.POST["key"])
    except (KeyError, ValueError) as error:
        raise RequestRejected("malformed", "The form has no key. Please reload the page.") from error


def require_same_reviewer(request: HttpRequest) -> None:
    """Raises `RequestRejected` `other-reviewer` if somebody else has logged in since the page of the form was made."""
    user = reviewer(request)
    if request.POST.get("reviewer", str(user.pk)) != str(user.pk):
        message = f"You are logged in as {user} now, and this is the page of somebody else. Nothing was saved."
        raise RequestRejected("other-reviewer", message, status=409)


def row_ids(texts: Iterable[str]) -> list[int]:
    """Returns the ids among `texts`; ignores what cannot be the id of a row."""
    return [int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 19]
