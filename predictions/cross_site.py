"""Recognizes requests that another web site has made a browser send.

Such a request comes without the visitor's cookie (`SameSite=Lax`), so it looks like one of a new visitor.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import is_same_domain


def is_cross_site(request: HttpRequest) -> bool:
    """Returns whether a page of another site has sent the request. Programs send neither header, and are no site."""
    # Browsers send the first header to secure addresses only.
    if fetch_site := request.headers.get("Sec-Fetch-Site"):
        return fetch_site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return bool(origin) and not _is_ours(request, str(origin))


def _is_ours(request: HttpRequest, origin: str) -> bool:
    """Whether this is the origin of our pages. The scheme may differ: a proxy may receive HTTPS and send HTTP."""
    scheme, _, host = origin.partition("://")
    if is_same_domain(host, request.get_host()):
        return True
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        trusted_scheme, _, pattern = trusted.partition("://")
        if scheme == trusted_scheme and is_same_domain(host, pattern.lstrip("*")):
            return True
    return False
