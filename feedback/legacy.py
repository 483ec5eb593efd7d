"""The `/feedback` endpoint of the original course service, for clients that were written for it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from feedback.report_form import read_report
from feedback.services import report_take
from predictions.exceptions import RequestRejected


@csrf_exempt  # the view acts for no user: there is no session that another site could misuse
@require_http_methods(["GET", "HEAD", "POST"])
def feedback(request: HttpRequest) -> HttpResponse:
    """GET shows a form. POST stores the text of the form field `report`, and answers 200 even if it is empty.

    A body that cannot be read as a form is rejected with 400, 413 or 415; the page gives the reason.
    """
    try:
        # PostgreSQL cannot store NUL.
        report = read_report(request).replace("\x00", "") if request.method == "POST" else ""
    except RequestRejected as rejection:
        return render(request, "feedback/report.html", {"rejection": rejection}, status=rejection.status)
    if report:
        report_take(text=report)
    return render(request, "feedback/report.html", {"is_stored": bool(report)})
