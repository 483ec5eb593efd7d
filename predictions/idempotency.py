"""The `Idempotency-Key` header: a picture that is sent again gets the prediction of the first time.

A client that got no answer cannot know whether its picture was accepted, so it sends the request again with the same
key. The id of the prediction is derived from the key, and so is the visitor if the request has no cookie yet: no table
of keys is needed. The header is described in draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from predictions.exceptions import RequestRejected
from predictions.models import Prediction

HEADER = "Idempotency-Key"
_SALT = "predictions.idempotency"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")


def key(request: HttpRequest) -> str:
    """Returns the request's key, or an empty string. Raises `RequestRejected` `invalid-idempotency-key`.

    A key has to be a UUID, because anyone who knows it gets the prediction, and simple keys are easily guessed.
    """
    value = request.headers.get(HEADER, "")
    if not value:
        return ""
    text = value.strip('" ')
    if not _UUID.fullmatch(text):  # `UUID` takes other texts too, such as "0x" with 30 digits
        raise RequestRejected("invalid-idempotency-key", f"The header {HEADER} has to be a UUID.")
    return str(UUID(text))


def prediction_id(request_key: str, attempt: int = 0) -> UUID:
    """Returns the id of the prediction that belongs to a key.

    `attempt`: how many predictions with this key have failed because the queue could not be reached.
    """
    purpose = f"prediction:{attempt}" if attempt else "prediction"
    return UUID(bytes=_digest(purpose, request_key)[:16], version=4)


def visitor_token(request_key: str) -> str:
    """Returns the token of the visitor whom a first request with this key introduces; see `visitors`."""
    return _digest("visitor", request_key)[:16].hex()


def require_same_picture(earlier: Prediction, sha256: str) -> None:
    """Raises `RequestRejected` `idempotency-key-reused` if a key comes again with another picture."""
    if not earlier.is_erased and earlier.image.sha256 != sha256:
        message = f"The header {HEADER} has been used for another picture. Please send each picture with its own key."
        raise RequestRejected("idempotency-key-reused", message, status=422)


def _digest(purpose: str, request_key: str) -> bytes:
    return salted_hmac(_SALT, f"{purpose}:{request_key}", secret=settings.IDENTITY_KEY, algorithm="sha256").digest()
