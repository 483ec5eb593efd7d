"""Rejects requests whose body the web server has not received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from mlsite import errors
from predictions.admission.middleware import DECISION


class UnreceivedBodyMiddleware:
    """Responds to requests whose body is too large or has not arrived, before a view reads it.

    It follows `AdmissionMiddleware`, which responds to those of the paths that it has a rule for.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        rejection = request.META.get(DECISION)
        return errors.rejection_response(request, rejection) if rejection else None
