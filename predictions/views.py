"""The pages: upload a picture, see its answer."""

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

from predictions import submission
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.uploads import thumbnails
from predictions.uploads import validation as images

# The result page holds its own loading back for this long, so that it mostly comes with the answer in it; after that
# it says "in the queue" and loads itself again.
PAGE_WAIT_SECONDS = 3


class HttpResponseSeeOther(HttpResponseRedirect):
    """After a form: go there, with GET (RFC 9110, 15.4.4)."""

    status_code = 303


@csrf_exempt  # it acts for nobody: a foreign page gains nothing that it could not do by itself
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _upload_page(request)
    try:
        backpressure.require_room(wait_limit=settings.PREDICT_WAIT_SECONDS, takes_place=False)
        file = images.only_file(request)
    except RequestRejected as rejection:
        if rejection.code != "no-file":
            return _upload_page(request, rejection)
        messages.error(request, "Please choose a picture first.")
        return redirect("predictions:upload")
    try:
        prediction = submission.prediction_request(upload=file, source=Prediction.Source.PAGE)
    except RequestRejected as rejection:
        return _upload_page(request, rejection)
    return HttpResponseSeeOther(prediction.get_absolute_url())


def _upload_page(request: HttpRequest, rejection: RequestRejected | None = None) -> HttpResponse:
    if rejection is None and not request.COOKIES and not settings.DEBUG:
        # With cookies there may be something to say: no cache may take the one page for the other.
        return HttpResponse(_first_page(settings.UPLOAD_MAX_BYTES), headers={"Vary": "Cookie"})
    # The message and not the exception: its traceback holds the upload, and the context outlives the request until the
    # garbage collector next runs.
    context = {"refusal": rejection.message if rejection else "", **_limits(settings.UPLOAD_MAX_BYTES)}
    response = render(request, "predictions/upload.html", context, status=rejection.status if rejection else 200)
    for name, value in rejection.headers.items() if rejection else ():
        response[name] = value
    return response


@cache
def _first_page(max_bytes: int) -> str:
    """The page for who comes without cookies, to whom there is nothing to say: the same for all, written once."""
    return render_to_string("predictions/upload.html", _limits(max_bytes))


def _limits(max_bytes: int) -> dict[str, object]:
    return {
        "formats": ", ".join(Image.Format.values),
        "accept": ",".join(f"image/{kind.lower()}" for kind in Image.Format.values),
        "max_megabytes": max_bytes / 2**20,
    }


@require_safe
@never_cache
def result(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    try:
        prediction = submission.prediction_wait(prediction_id, PAGE_WAIT_SECONDS)
    except Prediction.DoesNotExist as error:
        raise Http404("There is no such prediction.") from error
    context: dict[str, object] = {"prediction": prediction}
    if prediction.is_waiting:
        context["look_again_seconds"] = backpressure.look_again_seconds(prediction.age_seconds)
    return render(request, "predictions/result.html", context)


@require_safe
@cache_control(private=True, max_age=86_400, immutable=True)
def picture(request: HttpRequest, prediction_id: UUID) -> FileResponse:
    """The image as it was sent. Who knows the prediction's address may see its picture."""
    image = _image(prediction_id)
    try:
        return FileResponse(image.file.open("rb"), content_type=image.content_type)
    except FileNotFoundError as error:
        raise Http404("The picture is no longer stored.") from error


@require_safe
@cache_control(private=True, max_age=86_400, immutable=True)
def thumbnail(request: HttpRequest, prediction_id: UUID) -> FileResponse:
    """For the lists of the admin, and for those who may see them: making one costs a whole decode.

    Anybody else gets 404, as for an unknown picture: it is an image in a page, where a login form is of no use.
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
