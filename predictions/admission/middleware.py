"""Rejects requests that cannot be answered in time, before their body is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from predictions import legacy
from predictions.admission import backpressure, client_share, rate_limits
from predictions.api import problems
from predictions.api.prefer import wait_seconds
from predictions.client_address import client_network
from predictions.exceptions import RequestRejected
from predictions.views import upload

# The key of `request.META` with the decision about a request: a `RequestRejected` or `None`.
DECISION = "predictions.admission"


@dataclass(frozen=True)
class AdmissionRule:
    """How the `POST` requests of one path are admitted, and how a rejection is rendered.

    `wait_limit`: the seconds that the client waits for the answer, or `None`.
    `holds_thread`: whether the request itself waits for the answer.
    `is_early`: whether a rejection skips the middleware below, with its sessions and messages, which makes it cheaper.
    """

    render: Callable[[HttpRequest, RequestRejected], HttpResponse]
    wait_limit: Callable[[HttpRequest], float | None]
    holds_thread: bool = True
    is_early: bool = False


def _as_problem(_request: HttpRequest, rejection: RequestRejected) -> HttpResponse:
    return problems.rejection_response(rejection)


def _preferred_wait(request: HttpRequest) -> float | None:
    return _default_wait(request) if wait_seconds(request.headers.get("Prefer", "")) else None


def _default_wait(_request: HttpRequest) -> float:
    return float(settings.PREDICT_WAIT_SECONDS)


RULES = {
    "/": AdmissionRule(render=upload.rejection_response, wait_limit=_default_wait, holds_thread=False),
    "/predict": AdmissionRule(render=legacy.rejection_response, wait_limit=_default_wait),
    "/api/predict": AdmissionRule(render=_as_problem, wait_limit=_preferred_wait, is_early=True),
}


class AdmissionMiddleware:
    """Applies the rule of the request's path.

    Under overload nine of ten requests are rejected. A rejection must cost a fraction of an answer. Otherwise the
    rejections take all of the web process's time, and it serves no pages.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _rule(request) is None:
            return self.get_response(request)
        with client_share.in_progress.acquire(client_network(request)):
            return _rejection(request, is_early=True) or self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        return _rejection(request, is_early=False)


def decide(request: HttpRequest) -> RequestRejected | None:
    """Returns why the request is rejected, or `None`. The middleware then applies this decision.

    The web server asks before it receives a large body (`mlsite/web/`). After that, the middleware asks once more
    whether the client has its share.
    """
    rule, rejection = _rule(request), None
    if rule:
        try:
            rate_limits.predictions.require(request)
            _require_share(request, rule)
            backpressure.require_capacity(wait_limit=rule.wait_limit(request), holds_thread=rule.holds_thread)
        except RequestRejected as error:
            rejection = error.with_traceback(None)  # it would hold this frame, and with it the request
    request.META[DECISION] = rejection
    return rejection


def _require_share(request: HttpRequest, rule: AdmissionRule) -> None:
    """Raises `RequestRejected` `too-many-waiting`."""
    holds_thread = rule.holds_thread and rule.wait_limit(request) is not None
    client_share.require_share(client_network(request), holds_thread=holds_thread)


def _rejection(request: HttpRequest, *, is_early: bool) -> HttpResponse | None:
    rule = _rule(request)
    if rule is None or rule.is_early != is_early:
        return None
    if DECISION not in request.META:
        rejection = decide(request)
    elif (rejection := request.META[DECISION]) is None:
        # Decided before the body arrived. The client may have begun any number of uploads before the first one ended.
        try:
            _require_share(request, rule)
        except RequestRejected as error:
            rejection = error.with_traceback(None)
    return rule.render(request, rejection) if rejection else None


def _rule(request: HttpRequest) -> AdmissionRule | None:
    return RULES.get(request.path_info) if request.method == "POST" else None
