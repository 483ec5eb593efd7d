"""The key that every form of the desk carries."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest

from predictions.exceptions import RequestRejected


def sent_key(request: HttpRequest) -> UUID:
    """The key of the write that a form asks for. A form that is sent again has the same one.

    Raises `RequestRejected` `malformed`.
    """
    try:
        return UUID(request.POST["key"])
    except (KeyError, ValueError) as error:
        raise RequestRejected("malformed", "The form has no key. Please load the page again.") from error
