"""The part of a picture that a network was given, as a picture.

It is made for each request and not kept: few people look at it, and it differs by model version.
"""

from __future__ import annotations

from io import BytesIO

from django.conf import settings

from predictions import classifiers
from predictions.models import Prediction
from predictions.uploads.making_slots import MakingSlots
from worker.inference.preprocessing import Preprocessor, UndecodableImage

CONTENT_TYPE = "image/webp"

SLOTS = MakingSlots()


class NoModelView(Exception):
    """The prediction has no answer, its model version is not installed, or the picture cannot be decoded."""


def model_view(prediction: Prediction, *, client: str = "") -> bytes:
    """Returns what the network was given to answer a prediction, lossless.

    `client`: see `MakingSlots`. Raises `NoModelView`, `FileNotFoundError` if the image's file is gone, and
    `RequestRejected` `busy`.
    """
    version = classifiers.installed_version(prediction.model_version)
    if version is None:
        raise NoModelView(f"The model version {prediction.model_version} is not installed.")
    preprocessor = Preprocessor(version.manifest.preprocessing, max_pixels=settings.UPLOAD_MAX_PIXELS)
    with SLOTS.acquire(client):
        with prediction.image.file.open("rb") as file:
            content: bytes = file.read()
        try:
            picture = preprocessor.picture(content)
        except UndecodableImage as error:
            raise NoModelView(str(error)) from error
        result = BytesIO()
        picture.save(result, "WEBP", lossless=True)
    return result.getvalue()
