"""Recognizes visitors by a signed cookie, without knowing who they are.

A visitor is stored as a keyed hash of a random token, which only their cookie holds.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from predictions import idempotency
from predictions.cross_site import is_cross_site

COOKIE = "visitor"
COOKIE_SECONDS = 365 * 24 * 3600
_SALT = "feedback.author"


def known_visitor(request: HttpRequest) -> str:
    """Returns the id of a visitor whom this site has given a cookie; an empty string for any other visitor."""
    token = known_token(request)
    return visitor_of(token) if token else ""


def known_token(request: HttpRequest) -> str:
    """Returns the token in the cookie of a visitor; an empty string for a visitor without a valid cookie."""
    if COOKIE not in request.COOKIES:
        return ""
    return str(request.get_signed_cookie(COOKIE, default="", salt=_SALT))


def visitor_of(token: str) -> str:
    """Returns the id of the visitor whose cookie has this token."""
    return identity("visitor", token)


def visitor(request: HttpRequest) -> str:
    """Returns the id of a visitor. After `remember`, the same browser gets the same id again.

    A new visitor whose request comes again with the same key (see `idempotency`) is the same visitor, also if the first
    answer with the cookie was lost. Raises `RequestRejected` `invalid-idempotency-key`.
    """
    if known := known_visitor(request):
        return known
    # Kept on the request, so that the stored row and the cookie set afterwards name the same visitor.
    new = getattr(request, "new_visitor", "") or _new_token(idempotency.key(request))
    request.new_visitor = new  # type: ignore[attr-defined]
    return visitor_of(new)


def _new_token(request_key: str) -> str:
    return idempotency.visitor_token(request_key) if request_key else secrets.token_urlsafe(16)


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Sets the cookie by which a new visitor is recognized. Call it after their picture or feedback is stored.

    A request from another site sets none: it comes without the cookie of a known visitor, and would replace it.
    """
    new = getattr(request, "new_visitor", "")
    if new and not is_cross_site(request):
        set_token(response, new)


def set_token(response: HttpResponse, token: str) -> None:
    """Sets the cookie that makes a browser the visitor with this token."""
    response.set_signed_cookie(
        COOKIE, token, salt=_SALT, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=settings.HTTPS
    )


def identity(kind: str, value: str) -> str:
    """Returns 64 hexadecimal digits. The value cannot be found from them without the site's `IDENTITY_KEY`."""
    return salted_hmac(_SALT, f"{kind}:{value}", secret=settings.IDENTITY_KEY, algorithm="sha256").hexdigest()
