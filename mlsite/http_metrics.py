"""Prometheus metrics of the requests of this web process: rate, status and latency."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Histogram(
    "mlsite_http_request_seconds",
    "Seconds from the start of a request to its response, by method, route and status",
    ["method", "route", "status"],
    buckets=SECONDS,
    registry=None,  # `mlsite.metrics` registers it
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetricsMiddleware:
    """Observes each request. Its labels have few values, whatever a client sends: the route, not the path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        # A request that an early middleware answers, such as an upload to a busy site, is not resolved to a route.
        route = request.resolver_match.route if request.resolver_match else "unresolved"
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(method, route, response.status_code).observe(time.perf_counter() - started)
        return response
