"""The pages on which people upload a picture and see its answer."""

from datetime import timedelta
from functools import cache
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from predictions import labels, queues, submission
from predictions.admission import backpressure
from predictions.client_address import client_network
from predictions.delays import DELAYED_SECONDS, delay
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.uploads import thumbnails
from predictions.uploads import validation as images

# The result page waits this long for the answer, so that most pages show it at once. A page without an answer reloads.
PAGE_WAIT_SECONDS = 3


class HttpResponseSeeOther(HttpResponseRedirect):
    """Redirects with GET after a form was processed (RFC 9110, 15.4.4)."""

    status_code = 303


@csrf_exempt  # the view acts for no user: another site gains nothing by posting to it
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return upload_page(request)
    try:
        prediction = submission.prediction_request(
            upload=images.only_file(request), source=Prediction.Source.PAGE, client=client_network(request)
        )
    except RequestRejected as rejection:
        if rejection.code != "no-file":
            return upload_page(request, rejection)
        messages.error(request, "Please choose a picture first.")
        return redirect("predictions:upload")
    return HttpResponseSeeOther(prediction.get_absolute_url())


def upload_page(request: HttpRequest, rejection: RequestRejected | None = None) -> HttpResponse:
    if rejection is None and not request.COOKIES and not settings.DEBUG:
        # A request with cookies may have a message to show, so caches must keep the two pages apart.
        page = _page_without_messages(settings.UPLOAD_MAX_BYTES, len(labels.index()), is_delayed=bool(delay.reason))
        return HttpResponse(page, headers={"Vary": "Cookie"})
    # The context gets the message, not the exception: the exception's traceback holds the upload, and the context stays
    # in memory until the garbage collector next runs.
    context = {
        "rejection": rejection.message if rejection else "",
        **_context(settings.UPLOAD_MAX_BYTES, len(labels.index()), is_delayed=bool(delay.reason)),
    }
    response = render(request, "predictions/upload.html", context, status=rejection.status if rejection else 200)
    for name, value in rejection.headers.items() if rejection else ():
        response[name] = value
    return response


@cache
def _page_without_messages(max_bytes: int, number_of_labels: int, *, is_delayed: bool) -> str:
    """The page for requests without cookies. It is the same for all of them, so it is rendered once."""
    return render_to_string("predictions/upload.html", _context(max_bytes, number_of_labels, is_delayed=is_delayed))


def _context(max_bytes: int, number_of_labels: int, *, is_delayed: bool) -> dict[str, object]:
    return {
        "is_delayed": is_delayed,
        "number_of_labels": f"{number_of_labels:,}" if number_of_labels else "",
        "formats": ", ".join(Image.Format.values),
        "accept": ",".join(f"image/{kind.lower()}" for kind in Image.Format.values),
        "max_megabytes": max_bytes / 2**20,
    }


@require_safe
@never_cache
def result(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    backpressure.load.refresh()
    try:
        # While the queue cannot be reached, no answer comes.
        prediction = submission.prediction_wait(prediction_id, PAGE_WAIT_SECONDS if backpressure.load.is_known else 0)
    except Prediction.DoesNotExist as error:
        raise Http404("There is no such prediction.") from error
    context: dict[str, object] = {"prediction": prediction}
    if prediction.is_waiting:
        waited = prediction.age_seconds
        position = queues.position(prediction.id) if prediction.state == Prediction.State.QUEUED else None
        context |= {
            "waited": timedelta(seconds=int(waited)),
            "ahead": None if position is None else position - 1,
            "is_delayed": waited > DELAYED_SECONDS or bool(delay.reason),
            "reload_seconds": backpressure.reload_seconds(waited),
        }
    return render(request, "predictions/result.html", context)


@require_safe
@cache_control(private=True, max_age=86_400, immutable=True)
def picture(request: HttpRequest, prediction_id: UUID) -> FileResponse:
    """Serves the image as it was sent. Anyone who knows the prediction's address may see it."""
    image = _image(prediction_id)
    try:
        return FileResponse(image.file.open("rb"), content_type=image.content_type)
    except FileNotFoundError as error:
        raise Http404("The picture is no longer stored.") from error


@require_safe
@cache_control(private=True, max_age=86_400, immutable=True)
def thumbnail(request: HttpRequest, prediction_id: UUID) -> FileResponse:
    """Serves a small version for the lists of the admin.

    Only staff may request it, because making one costs a full decode. Others get 404, as for an unknown picture: a
    redirect to the login form is of no use to an `<img>`.
    """
    if not (request.user.is_active and request.user.is_staff):
        raise Http404("There is no thumbnail of this picture.")
    image = _image(prediction_id)
    try:
        return FileResponse(thumbnails.thumbnail(image).open("rb"), content_type=thumbnails.CONTENT_TYPE)
    except (FileNotFoundError, thumbnails.NoThumbnail) as error:
        raise Http404("There is no thumbnail of this picture.") from error


def _image(prediction_id: UUID) -> Image:
    return get_object_or_404(Image, predictions=prediction_id)
