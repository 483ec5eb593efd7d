"""Identifies the author of feedback: enough to tell an author's second statement from another person's first."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from predictions.client_address import client_address, client_network

COOKIE = "visitor"
COOKIE_SECONDS = 365 * 24 * 3600
_SALT = "feedback.author"


def known_visitor(request: HttpRequest) -> str:
    """Returns the author id of a visitor who has given feedback before; an empty string for any other visitor."""
    known = request.get_signed_cookie(COOKIE, default="", salt=_SALT)
    return _author("visitor", known) if known else ""


def visitor(request: HttpRequest) -> str:
    """Returns the author id of a visitor. After `remember`, the same browser gets the same id again."""
    known = request.get_signed_cookie(COOKIE, default="", salt=_SALT)
    if not known:
        # Kept on the request, so that the statement and the cookie set afterwards name the same visitor.
        known = getattr(request, "new_visitor", "") or secrets.token_urlsafe(16)
        request.new_visitor = known  # type: ignore[attr-defined]
    return _author("visitor", known)


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Sets the cookie by which a new visitor is recognized. Call it after they gave feedback."""
    if new := getattr(request, "new_visitor", ""):
        response.set_signed_cookie(
            COOKIE, new, salt=_SALT, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=settings.HTTPS
        )


def api_client(request: HttpRequest, name: str = "") -> str:
    """Returns the author id of an API client: from the name it gives, else its visitor cookie, else its address."""
    if name:
        return _author("key", name)
    if request.get_signed_cookie(COOKIE, default="", salt=_SALT):
        return visitor(request)
    return _author("address", client_address(request))


def api_sender(request: HttpRequest, name: str = "") -> str:
    """Returns whose statements count as one sender's: those of an API client's network, whatever names it gives.

    Visitors are recognized by their cookie, so for them it is empty.
    """
    if not name and request.get_signed_cookie(COOKIE, default="", salt=_SALT):
        return ""
    return _author("network", client_network(request))


def _author(kind: str, value: str) -> str:
    """Returns 64 hexadecimal digits. The value cannot be found from them without the site's secret key."""
    return salted_hmac(_SALT, f"{kind}:{value}", algorithm="sha256").hexdigest()
