"""Error responses: a page for people, problem details for the API."""

import logging
import sys
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse, JsonResponse

from mlsite.error_pages import ErrorText, error_page
from mlsite.outages import outage
from predictions import legacy
from predictions.api.problems import CONTENT_TYPE, problem
from predictions.exceptions import RequestRejected

logger = logging.getLogger(__name__)

MESSAGES = {
    400: "We couldn't understand the request.",
    403: "You may not do this.",
    404: "There is nothing at this address.",
    405: "This address accepts only what a form or a program sends.",
    500: "Something went wrong on our side. The error has been logged.",
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 2**20
        return _answer(request, 413, "too-large", f"The request is larger than the limit of {limit:.3g} MB.")
    if isinstance(exception, TooManyFieldsSent | TooManyFilesSent):
        return _answer(request, 400, "too-many-fields", "The form has more fields than are accepted.")
    return _answer(request, 400, "bad-request")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "forbidden")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, "not-found")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answers 503 with `Retry-After` if a part of the site is unavailable, and 500 for a defect.

    Django calls this while it handles an exception of a view or of a middleware.
    """
    try:
        if unavailable := outage(sys.exc_info()[1]):
            return rejection_response(request, unavailable)
        return _answer(request, 500, "internal-error")
    except Exception:
        logger.exception("The error page could not be rendered.")
        return HttpResponse(MESSAGES[500], status=500, content_type="text/plain")


def rejection_response(request: HttpRequest, rejection: RequestRejected) -> HttpResponse:
    response = _answer(request, rejection.status, rejection.code, rejection.message, rejection.retry_after)
    for name, value in rejection.headers.items():
        response[name] = value
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    message = (
        "The form has expired, or your browser does not send cookies. Please go back, load the page again and retry."
    )
    return error_page(request, 403, message, text=ErrorText("This form has expired"))


class RejectionMiddleware:
    """Answers a `RequestRejected` that no view has handled with an error page, instead of status 500."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return rejection_response(request, exception) if isinstance(exception, RequestRejected) else None


def page_for_wrong_method(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. Puts a page into a response with status 405, which Django leaves empty."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code == 405 and not response.content:
            response.content = error_page(request, 405, MESSAGES[405]).content
        return response

    return middleware


def _answer(
    request: HttpRequest, status: int, code: str, message: str = "", retry_after: int | None = None
) -> HttpResponse:
    message = message or MESSAGES[status]
    if request.path == legacy.PATH:
        return legacy.failure_response(status)
    if request.path.startswith("/api/"):
        return JsonResponse(problem(status, code, message), status=status, content_type=CONTENT_TYPE)
    return error_page(request, status, message, code=code, retry_after=retry_after)
