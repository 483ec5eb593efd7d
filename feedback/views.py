from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from feedback import authors
from feedback.forms import FeedbackForm
from feedback.services import feedback_give
from predictions.models import Prediction
from predictions.refusals import Refusal


@require_POST
def give(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    prediction = get_object_or_404(Prediction.objects.select_related("image"), pk=prediction_id)
    form = FeedbackForm(request.POST)
    if not form.is_valid():
        return render(request, "predictions/result.html", {"prediction": prediction, "form": form}, status=400)
    try:
        feedback_give(prediction=prediction, author=authors.visitor(request), **form.cleaned_data)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, "Thank you. A reviewer will look at it.")
    response = redirect(prediction)
    authors.remember(request, response)
    return response
