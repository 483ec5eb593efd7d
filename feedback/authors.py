"""Who says something of an answer: enough to know their second statement from somebody else's first, and no more."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

COOKIE = "visitor"
COOKIE_SECONDS = 365 * 24 * 3600
_SALT = "feedback.author"


def known_visitor(request: HttpRequest) -> str:
    """The author id of a visitor who has said something before; empty for one who has not."""
    known = request.get_signed_cookie(COOKIE, default="", salt=_SALT)
    return _author("visitor", known) if known else ""


def visitor(request: HttpRequest) -> str:
    """The author id of whoever says something; the same again from the same browser, once `remember` was called."""
    known = request.get_signed_cookie(COOKIE, default="", salt=_SALT)
    if not known:
        # Kept at the request, so that the statement and the cookie that follows it name the same visitor.
        known = getattr(request, "new_visitor", "") or secrets.token_urlsafe(16)
        request.new_visitor = known  # type: ignore[attr-defined]
    return _author("visitor", known)


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Lets the browser of a new visitor bring the same id next time. Call it when something was said."""
    if new := getattr(request, "new_visitor", ""):
        response.set_signed_cookie(
            COOKIE, new, salt=_SALT, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=settings.HTTPS
        )


def key(request: HttpRequest, given: str = "") -> str:
    """The author id of a client of the API: by the name it gives, else by the visitor's cookie, else by its address."""
    if given:
        return _author("key", given)
    if request.get_signed_cookie(COOKIE, default="", salt=_SALT):
        return visitor(request)
    return _author("address", request.META.get("REMOTE_ADDR", ""))


def _author(kind: str, value: str) -> str:
    """64 hexadecimal digits that say nothing of the value to who has only the database."""
    return salted_hmac(_SALT, f"{kind}:{value}", algorithm="sha256").hexdigest()
