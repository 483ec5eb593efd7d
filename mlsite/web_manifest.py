"""The web app manifest, with which visitors add the site to their home screen."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

CONTENT_TYPE = "application/manifest+json"
CACHE_SECONDS = 3600  # the addresses of the icons change with a new release


@require_safe
@cache_control(public=True, max_age=CACHE_SECONDS)
def web_manifest(_request: HttpRequest) -> JsonResponse:
    start = reverse("predictions:upload")
    manifest = {
        "id": start,
        "name": "mlsite",
        "short_name": "mlsite",
        "description": "Send a photo, and see what a neural network recognizes in it.",
        "start_url": start,
        "scope": start,
        "display": "standalone",
        "background_color": "#f5f6f8",
        "theme_color": "#ffffff",
        "icons": [
            _icon("icon.svg", "any", "image/svg+xml"),
            _icon("icons/icon-192.png", "192x192"),
            _icon("icons/icon-512.png", "512x512"),
            _icon("icons/maskable-192.png", "192x192", purpose="maskable"),
            _icon("icons/maskable-512.png", "512x512", purpose="maskable"),
        ],
    }
    return JsonResponse(manifest, content_type=CONTENT_TYPE)


def _icon(name: str, sizes: str, content_type: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"src": static(name), "sizes": sizes, "type": content_type, **more}
