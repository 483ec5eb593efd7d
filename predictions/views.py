"""The pages on which people upload a picture and see its answer."""

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
from predictions.uploads import display, thumbnails
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
        prediction = submission.prediction_request(upload=images.only_file(request), source=Prediction.Source.PAGE)
    except RequestRejected as rejection:
        if rejection.code != "no-file":
            return upload_page(request, rejection)
        messages.error(request, "Please choose a picture first.")
        return redirect("predictions:upload")
    return HttpResponseSeeOther(prediction.get_absolute_url())


def upload_page(request: HttpRequest, rejection: RequestRejected | None = None) -> HttpResponse:
    if rejection is None and not request.COOKIES and not settings.DEBUG:
        # A request with cookies may have a message to show, so caches must keep the two pages apart.
        return HttpResponse(_page_without_messages(settings.UPLOAD_MAX_BYTES), headers={"Vary": "Cookie"})
    # The context gets the message, not the exception: the exception's traceback holds the upload, and the context stays
    # in memory until the garbage collector next runs.
    context = {"rejection": rejection.message if rejection else "", **_limits(settings.UPLOAD_MAX_BYTES)}
    response = render(request, "predictions/upload.html", context, status=rejection.status if rejection else 200)
    for name, value in rejection.headers.items() if rejection else ():
        response[name] = value
    return response


@cache
def _page_without_messages(max_bytes: int) -> str:
    """The page for requests without cookies. It is the same for all of them, so it is rendered once."""
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
    context: dict[str, object] = {
        "prediction": prediction,
        "is_animation": display.is_animation(prediction.image),
    }
    if prediction.is_waiting:
        context["reload_seconds"] = backpressure.reload_seconds(prediction.age_seconds)
    return render(request, "predictions/result.html", context)


@require_safe
@cache_control(private=True, max_age=86_400, immutable=True)
def picture(request: HttpRequest, prediction_id: UUID) -> FileResponse:
    """Serves the picture that the model saw, at a size for screens.

    Anyone who knows the prediction's address may see it. The uploaded file, with its metadata, is served to nobody.
    """
    image = _image(prediction_id)
    try:
        shown = display.display_picture(image)
    except FileNotFoundError as error:
        raise Http404("The picture is no longer stored.") from error
    except display.NoPicture as error:
        raise Http404("The picture cannot be decoded.") from error
    return FileResponse(shown.file, content_type=shown.content_type)


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
