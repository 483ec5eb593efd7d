"""The door: the only place that touches picture bytes from outside.

What passes is a whole picture of a known format and bearable size. It is recognised by its bytes; the name and the
content type that came with it count for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO

import PIL.Image
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from predictions.exceptions import RequestRejected
from predictions.models import Image, image_path
from predictions.uploads import bodies, parser
from predictions.uploads.image_structure import TooComplex, examine

# Pillow's own limit is one for all pictures and, below twice its size, a warning. The exact limit is checked here and
# wherever a picture is decoded, right after its header was read.
PIL.Image.MAX_IMAGE_PIXELS = None

FIELD = "file"
MIN_SIDE = 8  # pixels; anything smaller holds nothing to classify


@dataclass(frozen=True)
class AdmittedImage:
    """A picture that passed the door and is not stored yet."""

    content: bytes = field(repr=False)
    sha256: str
    format: str
    width: int
    height: int


def only_file(request: HttpRequest) -> UploadedFile[bytes]:
    """The one file that a request brought in the field `file`.

    Raises `RequestRejected` `length-required`, `no-file`, `wrong-field`, `several-files` or `malformed`.
    """
    bodies.require_length(request)
    files = parser.files(request)
    found = files.getlist(FIELD)
    if len(found) > 1:
        raise RequestRejected("several-files", f"One picture at a time: this request brought {len(found)} files.")
    if not found and files:
        used = ", ".join(sorted(files))[:100]
        raise RequestRejected(
            "wrong-field", f"The picture belongs in the form field “{FIELD}”; this request used “{used}”."
        )
    if not found:
        raise RequestRejected(
            "no-file", f"No picture was sent. It belongs in the form field “{FIELD}” (multipart/form-data)."
        )
    return found[0]


def admit(upload: UploadedFile[bytes]) -> AdmittedImage:
    """Checks an uploaded file and takes in its bytes. Closes the upload, so that it no longer holds them itself.

    Raises `RequestRejected`: `empty`, `too-large`, `too-complex`, `incomplete`, `not-an-image`, `too-many-pixels`,
    `too-small`.
    """
    size = upload.size or 0
    with upload:
        content = upload.read()
    if size > settings.UPLOAD_MAX_BYTES or size > len(content):  # what is too much was not kept: see `uploads`
        limit = settings.UPLOAD_MAX_BYTES / 2**20
        raise RequestRejected(
            "too-large", f"The request is larger than the {limit:.3g} MB that are accepted.", status=413
        )
    if not content:
        raise RequestRejected("empty", "The file is empty.")
    _require_structure(content)
    image_format, width, height = _sniff(content)
    if width * height > settings.UPLOAD_MAX_PIXELS:
        limit = settings.UPLOAD_MAX_PIXELS / 1e6
        raise RequestRejected(
            "too-many-pixels",
            f"The picture has {width} x {height} pixels; up to {limit:.3g} million are accepted.",
            status=413,
        )
    if min(width, height) < MIN_SIDE:
        raise RequestRejected(
            "too-small", f"The picture has {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    return AdmittedImage(content, hashlib.sha256(content).hexdigest(), image_format, width, height)


def _require_structure(content: bytes) -> None:
    """Before Pillow opens the file: it walks through the same blocks, and knows no bound."""
    try:
        complete = examine(content)
    except TooComplex as error:
        message = "The file is made of more parts than a picture needs, and would take too long to read."
        raise RequestRejected("too-complex", message) from error
    if not complete:
        raise RequestRejected("incomplete", "The picture breaks off: its end cannot be found.")


def _sniff(content: bytes) -> tuple[str, int, int]:
    """Format, width and height, from the header alone: no pixel is decoded."""
    try:
        with PIL.Image.open(BytesIO(content), formats=list(Image.Format)) as picture:
            # MPO is a JPEG with further pictures behind it, as telephones write them. The first one counts.
            image_format = "JPEG" if picture.format == "MPO" else str(picture.format)
            return image_format, picture.width, picture.height
    except Exception as error:  # noqa: BLE001 - on hostile bytes Pillow's readers raise whatever they trip over
        formats = ", ".join(Image.Format)
        raise RequestRejected(
            "not-an-image", f"The file is not a picture of a known format ({formats}).", status=415
        ) from error


def store(admitted: AdmittedImage) -> Image:
    """Stores the bytes, on the first sight of them, and returns an image for them that has no row yet.

    The file comes first: a row must never promise bytes that are not there.
    """
    image = Image(
        sha256=admitted.sha256,
        format=admitted.format,
        width=admitted.width,
        height=admitted.height,
        byte_size=len(admitted.content),
    )
    image.file = default_storage.save(image_path(image, ""), ContentFile(admitted.content))
    return image


def record(images: Iterable[Image]) -> dict[str, Image]:
    """The rows of these images by their SHA-256, made on the first sight of them only. Three queries at most.

    Raises `IntegrityError` if another process records one of them at the same moment.
    """
    wanted = {image.sha256: image for image in images}
    rows = {image.sha256: image for image in Image.objects.filter(sha256__in=wanted)}
    if unknown := [image for sha256, image in wanted.items() if sha256 not in rows]:
        rows |= {image.sha256: image for image in Image.objects.bulk_create(unknown)}
    return rows
