"""The pictures that pages show: at a size for screens, and thumbnails."""

from http import HTTPStatus
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from predictions.client_address import client_network
from predictions.models import Image, Prediction
from predictions.uploads import display, thumbnails

UNDECODABLE = frozenset({"truncated", "undecodable", "too-many-pixels"})  # error codes of `UndecodableImage`

DELETED_PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="192" height="192" viewBox="0 0 192 192">
<rect width="192" height="192" fill="#767676"/>
<text x="96" y="103" text-anchor="middle" font-family="sans-serif" font-size="24" fill="#fff">Deleted</text>
</svg>
"""


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
