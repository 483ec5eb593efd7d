"""Compresses pages and other text."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

# Less than this fits into one packet, and most answers of the API are smaller: compressing them would only cost time.
MIN_BYTES = 1400

# Static files. A name with a hash always has the same content.
HASHED_NAME = r"\.[0-9a-f]{12}\.[^/]+$"
COMPRESSED_SUFFIXES = frozenset({".css", ".js", ".json", ".svg"})

COMPRESSED_TYPES = (
    *("text/html", "text/plain", "text/csv", "text/javascript", "image/svg+xml"),
    *("application/json", "application/problem+json", "application/vnd.oai.openapi"),
)


class CompressionMiddleware(GZipMiddleware):
    """Django's middleware for text of some size. Pictures and data sets are left as they are: they do not shrink."""

    def process_response(self, request: HttpRequest, response: Any) -> HttpResponseBase:
        is_text = response.get("Content-Type", "").startswith(COMPRESSED_TYPES)
        if response.streaming or len(response.content) < MIN_BYTES or not is_text:
            return response  # type: ignore[no-any-return]
        return super().process_response(request, response)
