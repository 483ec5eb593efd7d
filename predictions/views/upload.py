"""The page on which people upload a picture."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from predictions import erasing, examples, idempotency, labels, submission, visitors
from predictions.admission import backpressure
from predictions.api import problems
from predictions.api.serializers import PredictionSerializer
from predictions.client_address import client_network
from predictions.delays import QUEUE_UNREACHABLE, delay
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.site_address import site_address
from predictions.uploads import parser
from predictions.uploads import validation as images
from predictions.views.redirects import HttpResponseSeeOther

JSON = "application/json"


# Without a CSRF token, so that the page can be cached. What another site sends is stored as the picture of an unknown
# visitor: the browser leaves out its cookie, and `visitors.remember` does not replace it.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return upload_page(request)
    try:
        prediction = submission.prediction_request(
            upload=_picture(request),
            source=Prediction.Source.PAGE,
            client=client_network(request),
            sender=visitors.visitor(request),
            request_key=idempotency.key(request),
        )
        if _wants_json(request):
            erasing.require_not_erased(prediction)
    except RequestRejected as rejection:
        if rejection.code != "no-file" or _wants_json(request):
            return rejection_response(request, rejection)
        messages.error(request, "Please choose a picture first.")
        return redirect("predictions:upload")
    response = _accepted(request, prediction)
    visitors.remember(request, response)
    return response


def _picture(request: HttpRequest) -> UploadedFile[bytes]:
    """Returns the uploaded picture, or the example that the visitor has clicked."""
    name = examples.requested_name(request)
    return examples.upload(name) if name else images.only_file(request)


def _wants_json(request: HttpRequest) -> bool:
    """Whether the request is one of the page's script."""
    return request.get_preferred_type(["text/html", JSON]) == JSON


def _accepted(request: HttpRequest, prediction: Prediction) -> HttpResponse:
    """Redirects to the result page, or returns the prediction as JSON."""
    address = prediction.get_absolute_url()
    if not _wants_json(request):
        return HttpResponseSeeOther(address)
    body = PredictionSerializer(prediction, context={"request": request}).data
    return JsonResponse(body, status=HTTPStatus.CREATED, headers={"Location": address})


def rejection_response(request: HttpRequest, rejection: RequestRejected) -> HttpResponse:
    """Returns the page with the rejection, or problem details."""
    return problems.rejection_response(rejection) if _wants_json(request) else upload_page(request, rejection)


def upload_page(request: HttpRequest, rejection: RequestRejected | None = None) -> HttpResponse:
    if rejection is None and request.COOKIES.keys() <= {visitors.COOKIE} and not settings.DEBUG:
        # A request with other cookies may have a message to show, so caches must keep the two pages apart.
        address = site_address(request)
        page = _page_without_messages(
            address, settings.UPLOAD_MAX_BYTES, len(labels.index()), _delay_notice(), examples.offered()
        )
        return HttpResponse(page, headers={"Vary": "Cookie"})
    # The context gets the message, not the exception: the exception's traceback holds the upload, and the context stays
    # in memory until the garbage collector next runs.
    context = {
        "rejection": _message(request, rejection) if rejection else "",
        **_context(settings.UPLOAD_MAX_BYTES, len(labels.index()), _delay_notice(), examples.offered()),
    }
    response = render(request, "predictions/upload.html", context, status=rejection.status if rejection else 200)
    for name, value in rejection.headers.items() if rejection else ():
        response[name] = value
    return response


def _message(request: HttpRequest, rejection: RequestRejected) -> str:
    """The message for visitors. The web server rejects a large body without reading it, and calls it a request."""
    if rejection.code == "too-large" and parser.is_form(request):
        limit = settings.UPLOAD_MAX_BYTES / 2**20
        return f"This picture is too large. At most {limit:.3g} MB are accepted. Please choose a smaller one."
    return rejection.message


@lru_cache(maxsize=64)  # bounded, because ALLOWED_HOSTS may allow any number of host names
def _page_without_messages(
    address: str, max_bytes: int, number_of_labels: int, delay_notice: str, offered: tuple[examples.Example, ...]
) -> str:
    """The page for requests without cookies. It is the same for all of them, so it is rendered once."""
    context = _context(max_bytes, number_of_labels, delay_notice, offered)
    return render_to_string("predictions/upload.html", context | {"site_address": address})


def _context(
    max_bytes: int, number_of_labels: int, delay_notice: str, offered: tuple[examples.Example, ...]
) -> dict[str, object]:
    return {
        "delay_notice": delay_notice,
        "number_of_labels": f"{number_of_labels:,}" if number_of_labels else "",
        "formats": ", ".join(Image.Format.values),
        # Without HEIC: iPhones then send their photos as JPEG, which is smaller and decoded faster.
        "accept": ",".join(f"image/{kind.lower()}" for kind in Image.Format if kind != Image.Format.HEIC),
        "max_bytes": max_bytes,
        "max_megabytes": max_bytes / 2**20,
        "shrink_side": settings.UPLOAD_SHRINK_SIDE,
        "uncertain_below": Prediction.UNCERTAIN_BELOW,
        "examples": offered,
    }


def _delay_notice() -> str:
    """What visitors should know before they send a picture. Empty if pictures are answered at once."""
    if not delay.reason:
        return ""
    if delay.reason != QUEUE_UNREACHABLE:
        backpressure.load.refresh()
        if not backpressure.load.is_full:
            return "Answers are delayed at the moment. You can still send a picture: it is saved, and answered later."
    return "Pictures can't be accepted at the moment. Please try again in a few minutes."
