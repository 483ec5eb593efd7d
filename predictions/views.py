"""The pages on which people upload a picture and see its answer."""

from datetime import timedelta
from functools import cache
from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from predictions import erasing, labels, queues, submission, visitors
from predictions.admission import backpressure
from predictions.api.prefer import is_minimal
from predictions.client_address import client_network
from predictions.delays import DELAYED_SECONDS, QUEUE_UNREACHABLE, delay
from predictions.erasing import Kept
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.uploads import display, thumbnails
from predictions.uploads import validation as images

# The result page waits this long for the answer, so that most pages show it at once. A page without an answer reloads.
PAGE_WAIT_SECONDS = 3

UNDECODABLE = frozenset({"truncated", "undecodable", "too-many-pixels"})  # error codes of `UndecodableImage`


DELETED = {
    Kept.NOTHING: "Your picture was deleted, with its file name and everything that was said about it.",
    Kept.FOR_OTHERS: "Your prediction was deleted, with the file name and everything you said about it. Somebody else "
    "has sent the same picture, so the picture itself stays for them.",
    Kept.FOR_TRAINING: "Your prediction was deleted, with the file name and everything you said about it. A reviewer "
    "has decided what the picture shows, so the picture itself stays for training, without anything about you.",
}

DELETED_PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="192" height="192" viewBox="0 0 192 192">
<rect width="192" height="192" fill="#767676"/>
<text x="96" y="103" text-anchor="middle" font-family="sans-serif" font-size="24" fill="#fff">Deleted</text>
</svg>
"""


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
            upload=images.only_file(request),
            source=Prediction.Source.PAGE,
            client=client_network(request),
            sender=visitors.visitor(request),
        )
    except RequestRejected as rejection:
        if rejection.code != "no-file":
            return upload_page(request, rejection)
        messages.error(request, "Please choose a picture first.")
        return redirect("predictions:upload")
    response = _accepted(request, prediction.get_absolute_url())
    visitors.remember(request, response)
    return response


def _accepted(request: HttpRequest, address: str) -> HttpResponse:
    """Redirects to the result page. The page's script gets its address only: `fetch` would follow a redirect."""
    if is_minimal(request.headers.get("Prefer", "")):
        return HttpResponse(status=HTTPStatus.CREATED, headers={"Location": address})
    return HttpResponseSeeOther(address)


def upload_page(request: HttpRequest, rejection: RequestRejected | None = None) -> HttpResponse:
    if rejection is None and request.COOKIES.keys() <= {visitors.COOKIE} and not settings.DEBUG:
        # A request with other cookies may have a message to show, so caches must keep the two pages apart.
        page = _page_without_messages(settings.UPLOAD_MAX_BYTES, len(labels.index()), _delay_notice())
        return HttpResponse(page, headers={"Vary": "Cookie"})
    # The context gets the message, not the exception: the exception's traceback holds the upload, and the context stays
    # in memory until the garbage collector next runs.
    context = {
        "rejection": rejection.message if rejection else "",
        **_context(settings.UPLOAD_MAX_BYTES, len(labels.index()), _delay_notice()),
    }
    response = render(request, "predictions/upload.html", context, status=rejection.status if rejection else 200)
    for name, value in rejection.headers.items() if rejection else ():
        response[name] = value
    return response


@cache
def _page_without_messages(max_bytes: int, number_of_labels: int, delay_notice: str) -> str:
    """The page for requests without cookies. It is the same for all of them, so it is rendered once."""
    return render_to_string("predictions/upload.html", _context(max_bytes, number_of_labels, delay_notice))


def _context(max_bytes: int, number_of_labels: int, delay_notice: str) -> dict[str, object]:
    return {
        "delay_notice": delay_notice,
        "number_of_labels": f"{number_of_labels:,}" if number_of_labels else "",
        "formats": ", ".join(Image.Format.values),
        "accept": ",".join(f"image/{kind.lower()}" for kind in Image.Format.values),
        "max_megabytes": max_bytes / 2**20,
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


@require_safe
@never_cache
def result(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    backpressure.load.refresh()
    try:
        # While the queue cannot be reached, no answer comes.
        seconds = PAGE_WAIT_SECONDS if backpressure.load.is_known else 0
        prediction = submission.prediction_wait(prediction_id, seconds, client=client_network(request))
    except Prediction.DoesNotExist as error:
        raise Http404("There is no such prediction.") from error
    if prediction.is_erased:
        return render(request, "predictions/deleted.html", status=HTTPStatus.GONE)
    context: dict[str, object] = {
        "prediction": prediction,
        "is_animation": display.is_animation(prediction.image),
    }
    if prediction.is_waiting:
        waited = prediction.age_seconds
        is_queued = prediction.state == Prediction.State.QUEUED and backpressure.load.is_known
        position = queues.position(prediction.id) if is_queued else None
        context |= {
            "waited": timedelta(seconds=int(waited)),
            "ahead": None if position is None else position - 1,
            "is_delayed": waited > DELAYED_SECONDS or bool(delay.reason),
            "reload_seconds": backpressure.reload_seconds(waited),
        }
    return render(request, "predictions/result.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def delete(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """GET asks whether to delete the picture; POST deletes it. Only the visitor who sent it may do so."""
    prediction = get_object_or_404(Prediction, pk=prediction_id)
    visitor = visitors.known_visitor(request)
    if prediction.is_erased:
        return HttpResponseSeeOther(prediction.get_absolute_url())
    if not erasing.is_sender(prediction, visitor):
        raise PermissionDenied
    if request.method != "POST":
        return render(request, "predictions/delete_confirmation.html", {"prediction": prediction})
    try:
        messages.success(request, DELETED[erasing.prediction_delete(prediction_id, visitor=visitor)])
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    return HttpResponseSeeOther(prediction.get_absolute_url())


@require_safe
def picture(request: HttpRequest, prediction_id: UUID) -> FileResponse | HttpResponse:
    """Serves the picture that the model saw, at a size for screens.

    Anyone who knows the prediction's address may see it. The uploaded file, with its metadata, is served to nobody.
    """
    image = _image(request, prediction_id)
    if image is None:
        return _deleted_picture()
    try:
        shown = display.display_picture(image, client=client_network(request))
    except FileNotFoundError as error:
        raise Http404("The picture is no longer stored.") from error
    except display.NoPicture as error:
        raise Http404("The picture cannot be decoded.") from error
    return _cached(FileResponse(shown.file, content_type=shown.content_type))


@require_safe
def thumbnail(request: HttpRequest, prediction_id: UUID) -> FileResponse | HttpResponse:
    """Serves a small version for the lists of the admin.

    Only staff may request it, because making one costs a full decode. Others get 404, as for an unknown picture: a
    redirect to the login form is of no use to an `<img>`.
    """
    if not _is_staff(request):
        raise Http404("There is no thumbnail of this picture.")
    image = _image(request, prediction_id)
    if image is None:
        return _deleted_picture()
    try:
        return _cached(FileResponse(thumbnails.thumbnail(image).open("rb"), content_type=thumbnails.CONTENT_TYPE))
    except (FileNotFoundError, thumbnails.NoThumbnail) as error:
        raise Http404("There is no thumbnail of this picture.") from error


def _image(request: HttpRequest, prediction_id: UUID) -> Image | None:
    """Returns the image of a prediction, or `None` if it was deleted.

    If only the prediction was deleted, staff still see the picture: somebody else has sent it too, or a decision needs
    it. Raises `Http404`.
    """
    prediction = get_object_or_404(Prediction.objects.select_related("image"), pk=prediction_id)
    if prediction.error_code in UNDECODABLE:  # a worker has tried: another attempt would cost a full decode
        raise Http404("The picture cannot be decoded.")
    is_gone = not prediction.image.file or (prediction.is_erased and not _is_staff(request))
    return None if is_gone else prediction.image


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff


def _cached(response: FileResponse) -> FileResponse:
    """Lets the browser keep a picture for a day. It never changes."""
    patch_cache_control(response, private=True, max_age=86_400, immutable=True)
    return response


def _deleted_picture() -> HttpResponse:
    """Returns 410 with a placeholder, which browsers show in place of the picture."""
    response = HttpResponse(DELETED_PICTURE, status=HTTPStatus.GONE, content_type="image/svg+xml")
    patch_cache_control(response, no_store=True)
    return response
