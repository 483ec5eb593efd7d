"""Classifies a stored picture once more, for example with the model version that has been activated since."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods

from predictions import erasing, submission, visitors
from predictions.admission import backpressure, client_share, rate_limits
from predictions.client_address import client_network
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.views.redirects import HttpResponseSeeOther
from predictions.views.result import result_page
from predictions.views.robots import not_indexed


@require_http_methods(["GET", "HEAD", "POST"])
@not_indexed
def again(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """Submits the picture as a new prediction of the same visitor, and redirects to its page.

    Only the visitor who sent the picture may do so: with a prediction of somebody else, they could not delete it any
    more. GET, such as a reload of a rejection, redirects to the result page.
    """
    prediction = get_object_or_404(Prediction.objects.select_related("image"), pk=prediction_id)
    if request.method != "POST":
        return HttpResponseSeeOther(prediction.get_absolute_url())
    if prediction.is_erased:
        messages.error(request, "This picture was deleted, so it can't be classified again.")
        return HttpResponseSeeOther(prediction.get_absolute_url())
    visitor = visitors.known_visitor(request)
    if not erasing.is_sender(prediction, visitor):
        raise PermissionDenied
    try:
        _require_admission(request)
        repeated = submission.prediction_repeat(prediction, client=client_network(request), sender=visitor)
    except RequestRejected as rejection:
        status, headers = rejection.status, rejection.headers
        return result_page(request, prediction, status=status, headers=headers, rejection=rejection.message)
    return HttpResponseSeeOther(repeated.get_absolute_url())


def _require_admission(request: HttpRequest) -> None:
    """Applies the limits of an upload. The middleware does so for uploads only, before their bodies are read.

    Raises `RequestRejected`: `too-many-requests`, `too-many-waiting`, `busy`, `queue-unavailable`.
    """
    rate_limits.predictions.require(request)
    client_share.require_share(client_network(request))
    backpressure.require_capacity(wait_limit=float(settings.PREDICT_WAIT_SECONDS), holds_thread=False)
