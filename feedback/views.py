from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from feedback import authors
from feedback.forms import FeedbackForm
from feedback.services import feedback_give
from predictions.admission import rate_limits
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.views.redirects import HttpResponseSeeOther
from predictions.views.result import result_page
from predictions.views.robots import not_indexed

# Rejections that the page shows at the field `expected`.
_ABOUT_EXPECTED = frozenset({"label-is-the-answer", "words-too-long"})


@require_http_methods(["GET", "HEAD", "POST"])
@not_indexed
def give(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """Stores the submitted feedback form of the result page, and redirects to that page.

    A form with errors is shown again at this address. Loading it again without the form redirects, too.
    """
    if request.method != "POST":
        return HttpResponseSeeOther(reverse("predictions:result", args=[prediction_id]))
    prediction = get_object_or_404(Prediction.objects.select_related("image"), pk=prediction_id)
    if prediction.is_erased:
        return HttpResponseSeeOther(prediction.get_absolute_url())  # which says that the picture was deleted
    form = FeedbackForm.submitted(request.POST, request.FILES)
    if not form.is_valid():
        return _show_errors(request, prediction, form)
    try:
        rate_limits.feedback.require(request)
        feedback_give(prediction=prediction, author=authors.visitor(request), **form.cleaned_data)
    except RequestRejected as rejection:
        if rejection.code in _ABOUT_EXPECTED:
            form.add_error("expected", ValidationError(rejection.message, code=rejection.code))
            return _show_errors(request, prediction, form)
        if rejection.code == rate_limits.TOO_MANY_REQUESTS:
            form.add_error(None, rejection.message)
            return _show_errors(request, prediction, form, rejection)
        messages.error(request, rejection.message)
        response = redirect(prediction)
    else:
        response = redirect(f"{prediction.get_absolute_url()}#feedback")  # which thanks the visitor
    authors.remember(request, response)
    return response


def _show_errors(
    request: HttpRequest, prediction: Prediction, form: FeedbackForm, rejection: RequestRejected | None = None
) -> HttpResponse:
    """Renders the result page with the submitted form and its errors."""
    if rejection is None:
        return result_page(request, prediction, status=HTTPStatus.BAD_REQUEST, form=form)
    return result_page(request, prediction, status=rejection.status, headers=rejection.headers, form=form)
