"""The `/feedback` endpoint of the original course service, for clients that were written for it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from feedback.report_form import read_report
from feedback.services import report_take
from predictions.admission import rate_limits
from predictions.exceptions import RequestRejected


@csrf_exempt  # the view acts for no user: there is no session that another site could misuse
@require_http_methods(["GET", "HEAD", "POST"])
def feedback(request: HttpRequest) -> HttpResponse:
    """GET shows a form. POST stores the text of the form field `report`, and answers 200 even if it is empty.

    A body that cannot be read as a form is rejected with 400, 413 or 415, and a client that has sent too many
    requests with 429; the page gives the reason.
    """
    try:
        report = _report(request) if request.method == "POST" else ""
    except RequestRejected as rejection:
        context = {"rejection": rejection}
        response = render(request, "feedback/report.html", context, status=rejection.status)
        for name, value in rejection.headers.items():
            response[name] = value
        return response
    if report:
        report_take(text=report)
    return render(request, "feedback/report.html", {"is_stored": bool(report)})


def _report(request: HttpRequest) -> str:
    rate_limits.feedback.require(request)
    return read_report(request).replace("\x00", "")  # PostgreSQL cannot store NUL
