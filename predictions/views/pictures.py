"""The pictures that pages show: at a size for screens, as the model saw them, and thumbnails."""

from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from predictions.client_address import client_network
from predictions.erasing import is_sender
from predictions.models import Prediction
from predictions.uploads import display, model_views, thumbnails
from predictions.visitors import known_visitor

UNDECODABLE = frozenset({"truncated", "undecodable", "too-many-pixels"})  # error codes of `UndecodableImage`

Response = TypeVar("Response", bound=HttpResponseBase)

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
    prediction = _prediction(prediction_id)
    if _is_deleted(request, prediction):
        return _deleted_picture()
    try:
        shown = display.display_picture(prediction.image, client=client_network(request))
    except FileNotFoundError as error:
        raise Http404("The picture is no longer stored.") from error
    except display.NoPicture as error:
        raise Http404("The picture cannot be decoded.") from error
    return _cached(FileResponse(shown.file, content_type=shown.content_type))


@require_safe
def model_view(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """Serves the part of the picture that the network was given, at the size at which it was.

    Anyone who knows the prediction's address may see it, as the whole picture. There is none of a prediction without an
    answer, or if the model version that answered is not installed any more.
    """
    prediction = _prediction(prediction_id)
    if _is_deleted(request, prediction):
        return _deleted_picture()
    try:
        content = model_views.model_view(prediction, client=client_network(request))
    except FileNotFoundError as error:
        raise Http404("The picture is no longer stored.") from error
    except model_views.NoModelView as error:
        raise Http404(str(error)) from error
    return _cached(HttpResponse(content, content_type=model_views.CONTENT_TYPE))


@require_safe
def thumbnail(request: HttpRequest, prediction_id: UUID) -> FileResponse | HttpResponse:
    """Serves a small version for lists.

    Only staff and the visitor who sent the picture may request it, because making one costs a full decode. Others get
    404, as for an unknown picture: a redirect to the login form is of no use to an `<img>`.
    """
    prediction = _prediction(prediction_id)
    is_staff = _is_staff(request)
    if not is_staff and not is_sender(prediction, known_visitor(request)):
        raise Http404("There is no thumbnail of this picture.")
    if _is_deleted(request, prediction):
        return _deleted_picture()
    try:
        # Reviewers' lists have fifty, and reviewers may share an address.
        small = thumbnails.thumbnail(prediction.image, client="" if is_staff else client_network(request))
    except (FileNotFoundError, thumbnails.NoThumbnail) as error:
        raise Http404("There is no thumbnail of this picture.") from error
    return _cached(FileResponse(small.open("rb"), content_type=thumbnails.CONTENT_TYPE))


def _prediction(prediction_id: UUID) -> Prediction:
    """Returns a prediction whose picture can be decoded, as far as it is known. Raises `Http404`."""
    prediction = get_object_or_404(Prediction.objects.select_related("image"), pk=prediction_id)
    if prediction.error_code in UNDECODABLE:  # a worker has tried: another attempt would cost a full decode
        raise Http404("The picture cannot be decoded.")
    return prediction


def _is_deleted(request: HttpRequest, prediction: Prediction) -> bool:
    """Whether the picture is deleted for this user.

    If only the prediction was deleted, staff still see the picture: somebody else has sent it too, or a decision needs
    it.
    """
    return not prediction.image.file or (prediction.is_erased and not _is_staff(request))


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff


def _cached(response: Response) -> Response:
    """Lets the browser keep a picture for a day. It never changes."""
    patch_cache_control(response, private=True, max_age=86_400, immutable=True)
    return response


def _deleted_picture() -> HttpResponse:
    """Returns 410 with a placeholder, which browsers show in place of the picture."""
    response = HttpResponse(DELETED_PICTURE, status=HTTPStatus.GONE, content_type="image/svg+xml")
    patch_cache_control(response, no_store=True)
    return response
