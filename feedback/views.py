from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from feedback import authors
from feedback.forms import FeedbackForm
from feedback.models import Feedback
from feedback.services import feedback_give
from predictions import labels
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.views import HttpResponseSeeOther

MAX_SUGGESTIONS = 3


@require_http_methods(["GET", "HEAD", "POST"])
def give(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """Stores the submitted feedback form of the result page, and redirects to that page.

    A form with errors is shown again at this address. Loading it again without the form redirects, too.
    """
    if request.method != "POST":
        return HttpResponseSeeOther(reverse("predictions:result", args=[prediction_id]))
    prediction = get_object_or_404(Prediction.objects.select_related("image"), pk=prediction_id)
    form = FeedbackForm(request.POST, request.FILES)
    if not form.is_valid():
        return _show_errors(request, prediction, form)
    try:
        feedback = feedback_give(prediction=prediction, author=authors.visitor(request), **form.cleaned_data)
    except RequestRejected as rejection:
        if rejection.code == "unknown-label":
            text = form.cleaned_data["expected_label"]
            first = [label for label, _score in prediction.top]
            form.suggestions = tuple(labels.search(text, first=first, limit=MAX_SUGGESTIONS))
            form.add_error("expected_label", rejection.message)
            return _show_errors(request, prediction, form)
        messages.error(request, rejection.message)
    else:
        is_reviewed = feedback.verdict != Feedback.Verdict.RIGHT
        messages.success(request, "Thank you. A reviewer will look at it." if is_reviewed else "Thank you.")
    response = redirect(prediction)
    authors.remember(request, response)
    return response


def _show_errors(request: HttpRequest, prediction: Prediction, form: FeedbackForm) -> HttpResponse:
    """Renders the result page with the submitted form and its errors."""
    return render(request, "predictions/result.html", {"prediction": prediction, "form": form}, status=400)
