"""Validates and stores uploaded pictures. All picture bytes from outside pass through this module.

An accepted file is a complete picture of a known format, within the limits of bytes and pixels. The format is detected
from the bytes; the file name and the content type of the upload are ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import PIL.Image
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from predictions.exceptions import RequestRejected
from predictions.models import Image, image_path
from predictions.uploads import bodies, foreign_formats, parser
from predictions.uploads.complexity import TooComplex
from predictions.uploads.image_structure import examine
from worker.inference.opening import UnknownKind, open_image

# Pillow's own limit is not configurable per call, and only warns below twice its value. The exact limit is checked here
# and wherever a picture is decoded, right after its header is read.
PIL.Image.MAX_IMAGE_PIXELS = None

FIELD = "file"
MIN_SIDE = 8  # pixels; smaller pictures show nothing to classify


@dataclass(frozen=True)
class ValidatedImage:
    """A validated picture that is not stored yet."""

    content: bytes = field(repr=False)
    sha256: str
    format: str
    width: int
    height: int


def only_file(request: HttpRequest) -> UploadedFile[bytes]:
    """Returns the one file in the field `file` of a request.

    Raises `RequestRejected` `unsupported-media-type`, `no-file`, `wrong-field`, `several-files` or `malformed`.
    """
    if request.content_type not in {"", parser.FORM, parser.URLENCODED}:
        raise not_a_form(request)
    bodies.require_uncompressed(request)
    files = parser.files(request)
    found = files.getlist(FIELD)
    if len(found) > 1:
        raise RequestRejected("several-files", f"Please send one picture at a time. This request has {len(found)}.")
    if not found and files:
        used = ", ".join(sorted(files))[:100]
        raise RequestRejected(
            "wrong-field", f"Please send the picture in the form field “{FIELD}”; this request used “{used}”."
        )
    if not found:
        raise RequestRejected("no-file", f"Please send a picture in the form field “{FIELD}” (multipart/form-data).")
    return found[0]


def not_a_form(request: HttpRequest) -> RequestRejected:
    """Returns the rejection of a body of another type, such as the bytes of a picture, or JSON."""
    message = (
        f"The type of the body is {(request.content_type or '')[:100]}. Please send a form (multipart/form-data) with "
        f"the picture in the field “{FIELD}”, for example: curl -F {FIELD}=@photo.jpg {request.build_absolute_uri()}"
    )
    return RequestRejected("unsupported-media-type", message, status=415)


def validate(upload: UploadedFile[bytes]) -> ValidatedImage:
    """Validates an uploaded file and returns its bytes.

    Raises `RequestRejected`: `empty`, `too-large`, `too-complex`, `incomplete`, `not-an-image`, `too-many-pixels`,
    `too-small`.
    """
    size = upload.size or 0
    content = upload.read()
    if size > settings.UPLOAD_MAX_BYTES or size > len(content):  # the parser drops bytes past the limit
        limit = settings.UPLOAD_MAX_BYTES / 2**20
        raise RequestRejected("too-large", f"The file is larger than the limit of {limit:.3g} MB.", status=413)
    if not content:
        raise RequestRejected("empty", "The file is empty.")
    _require_structure(content)
    image_format, width, height = _sniff(content)
    if width * height > settings.UPLOAD_MAX_PIXELS:
        limit = settings.UPLOAD_MAX_PIXELS / 1e6
        raise RequestRejected(
            "too-many-pixels",
            f"The picture has {width} x {height} pixels; the limit is {limit:.3g} million.",
            status=413,
        )
    if min(width, height) < MIN_SIDE:
        raise RequestRejected(
            "too-small", f"The picture has {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    return ValidatedImage(content, hashlib.sha256(content).hexdigest(), image_format, width, height)


def _require_structure(content: bytes) -> None:
    """Checks the structure before Pillow opens the file, because Pillow reads any number of blocks."""
    try:
        complete = examine(content)
    except TooComplex as error:
        message = "This file has too many parts and would take too long to read."
        raise RequestRejected("too-complex", message) from error
    if not complete:
        raise RequestRejected("incomplete", "This file is incomplete. Please send it again.")


def _sniff(content: bytes) -> tuple[str, int, int]:
    """Returns format, width and height from the header, without decoding a pixel."""
    try:
        with open_image(content) as picture:
            # MPO is a JPEG followed by further pictures, as phones write it. The first one counts.
            image_format = "JPEG" if picture.format == "MPO" else str(picture.format)
            return image_format, picture.width, picture.height
    except UnknownKind as error:
        message = f"{error} Please save it in a common way, for example as JPEG."
        raise RequestRejected("not-an-image", message, status=415) from error
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise many kinds of errors on hostile bytes
        formats = ", ".join(Image.Format)
        other = foreign_formats.name(content)
        message = (
            f"The file is a {other} picture, which is not accepted. Please save it in another format ({formats})."
            if other
            else f"The file is not a picture of a known format ({formats})."
        )
        raise RequestRejected("not-an-image", message, status=415) from error


def store(validated: ValidatedImage) -> Image:
    """Stores the bytes, if they are new, and returns an unsaved image for them.

    The file is stored before the row, so that no row refers to a missing file.
    """
    image = Image(
        sha256=validated.sha256,
        format=validated.format,
        width=validated.width,
        height=validated.height,
        byte_size=len(validated.content),
    )
    image.file = default_storage.save(image_path(image, ""), ContentFile(validated.content))
    return image


def record(images: Iterable[Image]) -> dict[str, Image]:
    """Returns the rows of these images by SHA-256, and inserts those that are new. Three queries at most.

    Raises `IntegrityError` if another process inserts one of them at the same time.
    """
    wanted = {image.sha256: image for image in images}
    rows = {image.sha256: image for image in Image.objects.filter(sha256__in=wanted)}
    if unknown := [image for sha256, image in wanted.items() if sha256 not in rows]:
        rows |= {image.sha256: image for image in Image.objects.bulk_create(unknown)}
    return rows
