"""Charsets in the `Content-Type` of requests, and characters in their cookies."""

import codecs
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters


def ignore_other_codecs(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. Ignores a charset that is not for forms, as Django ignores an unknown charset.

    Python has codecs that are not for text (`bz2`) or that cannot replace malformed bytes (`idna`). Django answers 500
    when it decodes a form with one of them. The time of `punycode` grows with the square of the length: a form of
    256 KB takes seconds, and one of 2 MB minutes.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not _is_for_forms(request.encoding or "ascii"):
            request.encoding = settings.DEFAULT_CHARSET
        return get_response(request)

    return middleware


def ignore_cookies_with_nul(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. Drops cookies with the character NUL, which a quoted cookie can express.

    PostgreSQL rejects a query with one, such as the one for the session.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\\000" in request.META.get("HTTP_COOKIE", ""):
            for name in [name for name, value in request.COOKIES.items() if "\x00" in value]:
                del request.COOKIES[name]
        return get_response(request)

    return middleware


def _is_for_forms(charset: str) -> bool:
    try:
        b"-".decode(charset, "replace")
        return codecs.lookup(charset).name != "punycode"
    except (LookupError, UnicodeError):
        return False


def drop_unreadable_content_type(environ: dict[str, Any]) -> None:
    """Drops a `Content-Type` with a parameter in an unusable charset (`name*=charset''text`, RFC 2231).

    Django raises when it creates a request with one, before any middleware runs.
    """
    if "*" not in environ.get("CONTENT_TYPE", ""):
        return
    try:
        parse_header_parameters(environ["CONTENT_TYPE"])
    except ValueError:
        environ["CONTENT_TYPE"] = ""
