"""The site as a WSGI application, for a production web server."""

import gc
import os
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

from predictions.uploads import parser

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlsite.settings")

# A page has half a dozen static files. They are answered before Django begins with the request.
_HASHED = r"\.[0-9a-f]{12}\.[^/]+$"  # such a name stands for its content, for ever


def _no_sniffing(headers: Any, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


_site = WhiteNoise(
    get_wsgi_application(),
    root=settings.STATIC_ROOT,
    prefix=settings.STATIC_URL,
    allow_all_origins=False,
    immutable_file_test=_HASHED,
    add_headers_function=_no_sniffing,
)

# What is loaded by now stays until the end: the collector need not walk through it again and again. Requests leave few
# cycles behind; with the usual threshold of 700 the collector took a tenth of the web server's time.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The site; what is complete is handed over as a list, which Granian sends in one piece."""
    response: Any = _site(environ, start_response)
    if environ.get("CONTENT_LENGTH", "0") not in {"", "0"} or environ.get("HTTP_TRANSFER_ENCODING"):
        # A server that answers before it has read everything closes the connection, and to a sender in the middle of an
        # upload that is "connection reset" instead of "busy, come again in 3 s".
        parser.discard_rest(environ["wsgi.input"])
    if getattr(response, "streaming", True):
        return response  # type: ignore[no-any-return]
    try:
        return [response.content]
    finally:
        response.close()
