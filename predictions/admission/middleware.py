"""The API's refusals for want of room, given before Django has done anything else for the request."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from predictions.admission import backpressure
from predictions.api.problems import CONTENT_TYPE, problem
from predictions.api.views import wait_seconds
from predictions.exceptions import RequestRejected


class AdmissionMiddleware:
    """Middleware. When thousands come at once, nine of ten are refused: that has to cost a fraction of an answer, or
    the refusals take all time of the web process, and with them the pages that it could well serve.

    Forms and the old clients are refused in their views, in words of their own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and request.path == _predict():
            seconds = wait_seconds(request.headers.get("Prefer", ""))
            try:
                backpressure.require_room(wait_limit=settings.PREDICT_WAIT_SECONDS if seconds else None)
            except RequestRejected as rejection:
                return JsonResponse(
                    problem(rejection.status, rejection.code, rejection.message),
                    status=rejection.status,
                    content_type=CONTENT_TYPE,
                    headers=rejection.headers,
                )
        return self.get_response(request)


@cache
def _predict() -> str:
    return reverse("api:predict")
