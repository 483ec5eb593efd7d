"""Recognizes visitors by a signed cookie, without knowing who they are.

A visitor is stored as a keyed hash of a random token, which only their cookie holds. The histories of two visitors can
be merged (see `feedback.history`): from then on, the cookie of either of them stands for the same visitor.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from predictions import idempotency
from predictions.cross_site import is_cross_site
from predictions.models import MergedVisitor

COOKIE = "visitor"
COOKIE_SECONDS = 365 * 24 * 3600
_SALT = "feedback.author"


def known_visitor(request: HttpRequest) -> str:
    """Returns the id of a visitor whom this site has given a cookie; an empty string for any other visitor.

    For a merged visitor, it is the id of the visitor that they were merged into.
    """
    token = known_token(request)
    if not token:
        return ""
    known: str = getattr(request, "known_visitor", "") or current(visitor_of(token))
    request.known_visitor = known  # type: ignore[attr-defined] # kept: one query for each request
    return known


def known_token(request: HttpRequest) -> str:
    """Returns the token in the cookie of a visitor; an empty string for a visitor without a valid cookie."""
    if COOKIE not in request.COOKIES:
        return ""
    return str(request.get_signed_cookie(COOKIE, default="", salt=_SALT))


def visitor_of(token: str) -> str:
    """Returns the id of the visitor to whom the cookie with this token was given. They may be merged; see `current`."""
    return identity("visitor", token)


def current(visitor: str) -> str:
    """Returns the visitor that a visitor was merged into, or the same visitor if they were not merged."""
    return merged_into(visitor) or visitor


def merged_into(visitor: str) -> str:
    """Returns the visitor that a visitor was merged into; an empty string if they were not merged."""
    merges = MergedVisitor.objects.filter(visitor=visitor).values_list("into", flat=True)
    return (merges.first() or "") if visitor else ""


def merge(visitor: str, *, into: str) -> None:
    """Records that a visitor is another one from now on, and commits it. Rows of the visitor stay as they are.

    Every record names the last of a chain of merged visitors, so that one query finds it.
    """
    with transaction.atomic(durable=True):
        _lock_merges()
        visitor, into = current(visitor), current(into)
        if visitor == into:
            return
        MergedVisitor.objects.filter(into=visitor).update(into=into)
        MergedVisitor.objects.create(visitor=visitor, into=into)


def _lock_merges() -> None:
    """Lets one transaction after another record a merge: two opposite ones at once would make a circle."""
    if connection.vendor == "postgresql":  # on SQLite, a transaction holds the only write lock from its beginning
        table = connection.ops.quote_name(MergedVisitor._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")


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
