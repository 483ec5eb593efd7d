"""The page of an error: what has happened, in plain words, and what the visitor can do."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.http import escape_leading_slashes

SEND_AGAIN = "Go back in your browser, and send it again."


@dataclass(frozen=True)
class ErrorText:
    """The heading of an error page, and the advice below its message."""

    title: str
    advice: str = ""


TEXTS = {
    400: ErrorText("This request can't be read", SEND_AGAIN),
    403: ErrorText(
        "Not allowed",
        "Only the browser that has sent a picture can delete it, and the reviewers' pages need an account with the "
        "right permission.",
    ),
    404: ErrorText("Page not found", "Check the address for a wrong character, or start with a new picture."),
    405: ErrorText("There is no page here"),
    408: ErrorText("This took too long", SEND_AGAIN),
    413: ErrorText("Too large", "Go back in your browser, and send less at once."),
    415: ErrorText("This can't be read"),
    429: ErrorText("Too many requests"),
    500: ErrorText("Sorry, this has failed", "Try it again. If that doesn't help, tell the people who run this site."),
    503: ErrorText("Not available at the moment"),
}


def error_page(
    request: HttpRequest,
    status: int,
    message: str,
    *,
    text: ErrorText | None = None,
    code: str = "",
    retry_after: int | None = None,
) -> HttpResponse:
    """Renders the page. A page that was requested with GET loads itself again after `retry_after` seconds."""
    text = text or TEXTS.get(status) or ErrorText(HTTPStatus(status).phrase)
    can_load_again = request.method in {"GET", "HEAD"} and status in {429, 500, 503}
    context = {
        "status": status,
        "title": text.title,
        "message": message,
        "advice": text.advice or (SEND_AGAIN if retry_after and not can_load_again else ""),
        "code": code,
        "address": escape_leading_slashes(request.get_full_path()) if can_load_again else "",
        "retry_after": retry_after if can_load_again else None,
        "is_admin": request.path.startswith("/admin/"),
    }
    # Rendered without the request: its session may be the cause of the error.
    return HttpResponse(render_to_string("error.html", context), status=status)
