"""The page on which visitors delete a picture."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from predictions import erasing, visitors
from predictions.erasing import Kept
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.views.redirects import HttpResponseSeeOther
from predictions.views.robots import not_indexed

DELETED = {
    Kept.NOTHING: "Your picture was deleted, with its file name and everything that was said about it.",
    Kept.FOR_OTHERS: "Your prediction was deleted, with the file name and everything you said about it. Somebody else "
    "has sent the same picture, so the picture itself stays for them.",
    Kept.FOR_TRAINING: "Your prediction was deleted, with the file name and everything you said about it. A reviewer "
    "has decided what the picture shows, so the picture itself stays for training, without anything about you.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@not_indexed
def delete(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """GET asks whether to delete the picture; POST deletes it. Only the visitor who sent it may do so.

    Afterwards it redirects to the page of this site that `next` names, or else to the result page.
    """
    prediction = get_object_or_404(Prediction, pk=prediction_id)
    visitor = visitors.known_visitor(request)
    next_page = _next_page(request) or prediction.get_absolute_url()
    if prediction.is_erased:
        return HttpResponseSeeOther(next_page)
    if not erasing.is_sender(prediction, visitor):
        raise PermissionDenied
    if request.method != "POST":
        context = {"prediction": prediction, "next_page": next_page}
        return render(request, "predictions/delete_confirmation.html", context)
    try:
        messages.success(request, DELETED[erasing.prediction_delete(prediction_id, visitor=visitor)])
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    return HttpResponseSeeOther(next_page)


def _next_page(request: HttpRequest) -> str:
    """Returns the address in `next` if it is one of this site; otherwise an empty string."""
    address = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # The check above accepts control characters in most places.
    return address if is_ours and address.isprintable() else ""
