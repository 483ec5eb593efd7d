"""Charsets that requests name for their bodies."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def ignore_other_codecs(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. Ignores a charset that is not a text encoding, as Django ignores one that Python does not know.

    Python has codecs that are not for text (`bz2`), or that cannot replace malformed bytes (`idna`). Django fails with
    500 when it decodes a form by one of them.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.encoding is not None and not _is_text_encoding(request.encoding):
            request.encoding = settings.DEFAULT_CHARSET
        return get_response(request)

    return middleware


def _is_text_encoding(name: str) -> bool:
    """Whether bytes can be decoded by this codec with replacements for what is malformed."""
    try:
        b"-".decode(name, "replace")
    except (LookupError, UnicodeError):
        return False
    return True
