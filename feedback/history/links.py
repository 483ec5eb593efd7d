"""Private links, which take a history to another browser.

A link holds the token of the visitor's cookie, signed for this use only: after `LINK_SECONDS` it is worthless, because
a cookie needs another signature. It opens the history once. The token stands after the `#`, which browsers keep to
themselves, so that no log and no preview of a messenger has it.
"""

from __future__ import annotations

import secrets

import segno
from django.core import signing
from django.utils.safestring import SafeString, mark_safe

from predictions import queues
from predictions.exceptions import RequestRejected

LINK_SECONDS = 15 * 60

_SALT = "feedback.history.link"


def link_code(token: str) -> str:
    """Returns the part of a new link that stands after the `#`."""
    return signing.dumps({"token": token, "link": secrets.token_urlsafe(9)}, salt=_SALT)


def qr_code(link: str) -> SafeString:
    """Returns a link as a QR code: an SVG element without styles, for cameras of phones."""
    svg = segno.make_qr(link, error="m").svg_inline(omitsize=True, lineclass=None, svgclass="qr-code")
    return mark_safe(svg)  # noqa: S308 - the library draws squares; it copies nothing from the link


def link_token(code: str) -> str:
    """Returns the visitor's token in a code, or in a whole link.

    Raises `RequestRejected`: `link-expired`, `invalid-link`.
    """
    return _loaded(code)["token"]


def link_use(code: str, browser: str) -> None:
    """Marks a link as used by a browser, which may use it again: after a double click, or if the answer was lost.

    Raises `RequestRejected` as `link_token`, `used-link`; `redis.RedisError`.
    """
    key, server = f"history-link:{_loaded(code)['link']}", queues.connection()
    if not server.set(key, browser, nx=True, ex=LINK_SECONDS) and server.get(key) != browser.encode():
        message = "This link was used already. Each link works once: please make a new one on the other device."
        raise RequestRejected("used-link", message, status=410)


def _loaded(code: str) -> dict[str, str]:
    try:
        loaded: dict[str, str] = signing.loads(code.strip().rpartition("#")[2], salt=_SALT, max_age=LINK_SECONDS)
    except signing.SignatureExpired as error:
        message = "This link has expired. Links are valid for 15 minutes: please make a new one on the other device."
        raise RequestRejected("link-expired", message, status=410) from error
    except signing.BadSignature as error:
        message = "This is not a whole link of this site. Please copy all of it, to its last character."
        raise RequestRejected("invalid-link", message) from error
    return loaded
