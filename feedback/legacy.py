"""`/feedback` as the original course service answered it, for the clients that were written for it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from feedback.report_form import read_report
from feedback.services import report_take
from predictions.exceptions import RequestRejected


@csrf_exempt  # it acts for nobody: there is no session that a foreign page could misuse
@require_http_methods(["GET", "HEAD", "POST"])
def feedback(request: HttpRequest) -> HttpResponse:
    """GET explains; POST takes the form field `report`, as text, and answers 200 also when it is empty.

    A body that cannot be read as a form is refused: 400, 413 or 415, with the reason in the page.
    """
    try:
        # A NUL is no text, and PostgreSQL could not store it.
        report = read_report(request).replace("\x00", "") if request.method == "POST" else ""
    except RequestRejected as rejection:
        return render(request, "feedback/report.html", {"refusal": rejection}, status=rejection.status)
    if report:
        report_take(text=report)
    return render(request, "feedback/report.html", {"taken": bool(report)})
