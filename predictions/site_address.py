"""The address of this site as the visitor sees it, for links that must be absolute."""

from __future__ import annotations

from django.http import HttpRequest


def site_address(request: HttpRequest) -> str:
    """Returns the scheme and the host, without a slash at the end."""
    return f"{request.scheme}://{request.get_host()}"


def for_templates(request: HttpRequest) -> dict[str, str]:
    """Context processor: `site_address`."""
    return {"site_address": site_address(request)}
