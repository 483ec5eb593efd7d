"""Fakes for slow parts, and functions that create rows."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid4

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from predictions import announcements
from predictions.announcements import Listener
from predictions.models import Image, Prediction
from predictions.tests.pictures import picture
from worker.inference.classifier import BatchResult, Classification
from worker.inference.preprocessing import Preprocessor, UndecodableImage
from worker.inference.repository import Preprocessing

ANSWER = Classification("espresso", 0.9512345, (("espresso", 0.9512345), ("cup", 0.03), ("coffee_mug", 0.01)))


class FakeClassifier:
    """Decodes each image, then answers `espresso`. `batches`: the size of each batch."""

    version = "fake-net@1"
    precision = "f32"
    backbone = ""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.raises: Exception | None = None
        self._preprocess = Preprocessor(Preprocessing.central_square(8, "RGB", (127.0,) * 3, (128.0,) * 3))

    def classify(self, images: Sequence[bytes | Exception]) -> BatchResult:
        self.batches.append(len(images))
        if self.raises is not None:
            raise self.raises
        number = len(images)
        return BatchResult([self._answer(image) for image in images], [0.003] * number, [0.004] * number)

    def _answer(self, image: bytes | Exception) -> Classification | Exception:
        if isinstance(image, Exception):
            return image
        try:
            self._preprocess(image)
        except UndecodableImage as error:
            return error
        return ANSWER


class Unreadable:
    """A request body (`wsgi.input`) that must not be read."""

    def read(self, *_arguments: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def until_listening(listener: Listener = announcements.listener) -> None:
    """Returns when the listener is subscribed."""
    probe = uuid4()
    with listener.expect(probe) as waiter:
        while not waiter.wait(0.02):
            announcements.announce({probe: None})


def upload(content: bytes | None = None, name: str = "picture.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture() if content is None else content)


def stored_image(content: bytes | None = None) -> Image:
    """Returns the image row of these bytes. Creates it and its file if it does not exist."""
    content = picture() if content is None else content
    digest = sha256(content).hexdigest()
    if known := Image.objects.filter(sha256=digest).first():
        return known
    image = Image(sha256=digest, format="PNG", width=32, height=24, byte_size=len(content))
    image.file.save("", ContentFile(content), save=False)
    image.save()
    return image


def stored_prediction(image: Image | None = None, **changes: Any) -> Prediction:
    """Creates a row without a job. It is done and answered, unless `changes` say otherwise."""
    now = timezone.now()
    done: dict[str, Any] = {
        "state": Prediction.State.DONE,
        "label": ANSWER.label,
        "score": ANSWER.score,
        "top": [list(pair) for pair in ANSWER.top],
        "model_version": FakeClassifier.version,
        "precision": FakeClassifier.precision,
        "created_at": now,
        "started_at": now,
        "finished_at": now,
    }
    if changes.get("state", Prediction.State.DONE) != Prediction.State.DONE:
        done = {"created_at": now}
        if changes["state"] not in Prediction.WAITING:
            done["finished_at"] = now
    values = {"source": Prediction.Source.PAGE, "file_name": "coffee.jpg"} | done | changes
    return Prediction.objects.create(image=image or stored_image(), **values)
