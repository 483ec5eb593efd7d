"""The addresses that monitoring asks for: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class HostCheckMiddleware(CommonMiddleware):
    """Django's `CommonMiddleware`, which rejects unknown hosts, except for probes.

    Orchestrators and Prometheus send the address of the container or machine as `Host`.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in PATHS else super().process_request(request)
