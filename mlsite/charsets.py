"""Charsets in the `Content-Type` of requests."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def ignore_other_codecs(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. Ignores a charset that cannot decode malformed text, as Django ignores an unknown charset.

    Python has codecs that are not for text (`bz2`) or that cannot replace malformed bytes (`idna`). Django answers 500
    when it decodes a form with one of them.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            b"-".decode(request.encoding or "ascii", "replace")
        except (LookupError, UnicodeError):
            request.encoding = settings.DEFAULT_CHARSET
        return get_response(request)

    return middleware
