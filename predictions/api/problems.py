"""Errors of the API as problem details (RFC 9457): `application/problem+json` with a stable `code`."""

import traceback
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import Http404, JsonResponse
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback

from predictions.exceptions import RequestRejected

CONTENT_TYPE = "application/problem+json"

_CODES = {
    exceptions.ParseError: "malformed",
    exceptions.UnsupportedMediaType: "unsupported-media-type",
    exceptions.MethodNotAllowed: "method-not-allowed",
    exceptions.NotFound: "not-found",
    exceptions.NotAcceptable: "not-acceptable",
    exceptions.ValidationError: "invalid",
    exceptions.PermissionDenied: "forbidden",
}


class ProblemSerializer(serializers.Serializer[dict[str, Any]]):
    """An error of the API."""

    type = serializers.CharField(help_text="always `about:blank`; see `code`")
    title = serializers.CharField(help_text="the HTTP status in words")
    status = serializers.IntegerField(help_text="the HTTP status")
    code = serializers.CharField(help_text="stable; for programs")
    detail = serializers.CharField(help_text="what went wrong; for people")


def problem(status: int, code: str, detail: str, **extra: object) -> dict[str, object]:
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **extra}


def rejection_response(rejection: RequestRejected) -> JsonResponse:
    """Returns problem details outside REST framework's views."""
    return JsonResponse(
        problem(rejection.status, rejection.code, rejection.message),
        status=rejection.status,
        content_type=CONTENT_TYPE,
        headers=rejection.headers,
    )


def problem_response(error: Exception, context: dict[str, Any] | None = None) -> Response | None:
    """Returns the response to an exception, or `None` for a defect. This is REST framework's `EXCEPTION_HANDLER`."""
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        error = RequestRejected("too-large", "The request is too large.", status=413)
    elif isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        error = RequestRejected("too-many-fields", "The form has more fields than are accepted.")
    headers = {}
    if isinstance(error, RequestRejected):
        body, status, headers = problem(error.status, error.code, error.message), error.status, error.headers
    elif isinstance(error, exceptions.APIException):
        status = error.status_code
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "error")
        if isinstance(error, exceptions.ValidationError):
            body = problem(status, code, "Some fields are not valid.", errors=error.get_full_details())
        else:
            body = problem(status, code, _detail(error, context or {}))
    else:
        # REST framework raises the error again from a frame that holds it. This reference cycle would keep the upload
        # in memory until the garbage collector next runs.
        traceback.clear_frames(error.__traceback__)
        return None
    set_rollback()
    return Response(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def _detail(error: exceptions.APIException, context: dict[str, Any]) -> str:
    if not isinstance(error, exceptions.UnsupportedMediaType) or "view" not in context:
        return str(error.detail)
    accepted = " or ".join(parser.media_type for parser in context["view"].parser_classes)
    return f"{error.detail} Please send {accepted}."
