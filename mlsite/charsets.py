"""Charsets in the `Content-Type` of requests."""

import codecs
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


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


def _is_for_forms(charset: str) -> bool:
    try:
        b"-".decode(charset, "replace")
        return codecs.lookup(charset).name != "punycode"
    except (LookupError, UnicodeError):
        return False
