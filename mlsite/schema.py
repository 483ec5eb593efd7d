"""`/api/schema`: the OpenAPI description of the API."""

from __future__ import annotations

import threading

from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

_generating = threading.Lock()


class SchemaView(SpectacularAPIView):
    """Generates one description at a time: drf-spectacular resolves its extensions during the first, without a lock."""

    def _get_schema_response(self, request: Request) -> Response:
        with _generating:
            response: Response = super()._get_schema_response(request)  # type: ignore[no-untyped-call]
            return response
