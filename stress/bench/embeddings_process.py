"""A benchmark process that answers photos as a worker does, with and without storing their features.

python -m stress.bench.embeddings_process PHOTO...
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import django

from stress.bench.processes import serve
from worker.inference.classifier import BatchResult, Classification, Classifier


class RecordedClassifier:
    """Has the answers of a classifier, and computes nothing."""

    def __init__(self, classifier: Classifier, answers: Sequence[Classification], batch_size: int) -> None:
        self.version, self.precision = classifier.version, classifier.precision
        self.backbone = classifier.backbone
        self.batches = [answers[start : start + batch_size] for start in range(0, len(answers), batch_size)]

    def classify(self, images: Sequence[bytes | Exception]) -> BatchResult:
        answers = self.batches.pop(0)
        self.batches.append(answers)
        return BatchResult(list(answers[: len(images)]), [0.0] * len(images), [0.0] * len(images))


class FeatureCosts:
    """The stored photos, and the classifiers of the two cases: whether the features are computed and stored."""

    def __init__(self, photos: Sequence[Path], batch_size: int) -> None:
        from predictions import classifiers

        version = classifiers.active_version()
        self.batch_size = batch_size
        self.images = [_store(photo) for photo in photos]
        self.classifiers = {case: Classifier.load(version, threads=1, features=case) for case in (False, True)}
        result = self.classifiers[True].classify([photo.read_bytes() for photo in photos])
        answers = [_require_answer(answer) for answer in result.answers]
        plain = [replace(answer, features=None) for answer in answers]
        self.recorded: dict[bool, Any] = {
            case: RecordedClassifier(classifier, answers if case else plain, batch_size)
            for case, classifier in self.classifiers.items()
        }

    def measure(self, is_computed: bool) -> dict[str, float]:
        """Answers all photos in both cases, batch by batch. Returns the CPU milliseconds for each prediction, by case.

        They are the median of the batches, because other load on the machine slows some of them down.

        `is_computed`: with decoding and network; else only what the database and the announcements take.
        """
        chosen = self.classifiers if is_computed else self.recorded
        milliseconds: dict[bool, list[float]] = {False: [], True: []}
        for number, start in enumerate(range(0, len(self.images), self.batch_size)):
            images = self.images[start : start + self.batch_size]
            for case in (False, True) if number % 2 else (True, False):
                milliseconds[case].append(1000 * _answer(images, chosen[case]) / len(images))
        return {("on" if case else "off"): statistics.median(took) for case, took in milliseconds.items()}


def _require_answer(answer: Classification | Exception) -> Classification:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _store(photo: Path) -> Any:
    from django.core.files.base import ContentFile

    from predictions.models import Image

    content = photo.read_bytes()
    size = {"width": 1, "height": 1, "byte_size": len(content)}
    image = Image(sha256=sha256(content).hexdigest(), format="JPEG", **size)
    image.file.save("", ContentFile(content), save=False)
    image.save()
    return image


def _answer(images: Sequence[Any], classifier: Any) -> float:
    """Queues new predictions of these images, answers them, and returns the CPU seconds that answering took."""
    from predictions.answering import predictions_answer
    from predictions.models import Embedding, Prediction

    Embedding.objects.all().delete()
    queued = Prediction.objects.bulk_create(Prediction(image=image, source=Prediction.Source.API) for image in images)
    ids = [prediction.pk for prediction in queued]
    began = time.process_time()
    predictions_answer(ids, classifier)
    seconds = time.process_time() - began
    if Prediction.objects.filter(pk__in=ids, state=Prediction.State.DONE).count() != len(ids):
        raise RuntimeError("not all predictions were answered")
    if classifier.backbone and Embedding.objects.count() != len(images):
        raise RuntimeError("not all features were stored")
    return seconds


def answer(costs: FeatureCosts, is_computed: bool) -> dict[str, Any]:
    return costs.measure(is_computed)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlsite.settings")
    django.setup()
    batch_size, *photos = sys.argv[1:]
    serve(partial(answer, FeatureCosts([Path(photo) for photo in photos], int(batch_size))))
