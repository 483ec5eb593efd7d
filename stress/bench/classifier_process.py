"""A benchmark process that classifies photos without queue, database and web server.

python -m stress.bench.classifier_process MODELS ENGINE PRECISION LARGEST_BATCH PHOTO...
"""

from __future__ import annotations

import itertools
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

from stress.bench.processes import serve
from worker.inference.classifier import Classification, Classifier
from worker.inference.engines import EngineError
from worker.inference.repository import Repository


class PhotoClassifier:
    """Holds a loaded classifier and all photos."""

    def __init__(self, classifier: Classifier, photos: list[bytes]) -> None:
        self._classifier = classifier
        self._photos = photos

    def __call__(self, batch_size: int) -> dict[str, Any]:
        """Classifies all photos once, in full batches of this size. 0 only asks whether the process is ready."""
        if not batch_size:
            return {"ready": str(self._classifier.version)}
        photos = itertools.cycle(self._photos)
        batches = math.ceil(len(self._photos) / batch_size)
        cpu, began = _cpu_seconds(), time.perf_counter()
        for _ in range(batches):
            classified = self._classifier.classify(list(itertools.islice(photos, batch_size)))
            for answer in classified.answers:
                if not isinstance(answer, Classification):
                    raise answer
        seconds = time.perf_counter() - began
        return {
            "predictions": batches * batch_size,
            "seconds": seconds,
            "cpu_seconds": _cpu_seconds() - cpu,
        }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(models: str, engine: str, precision: str, largest_batch: str, *photos: str) -> None:
    version = Repository(Path(models)).active()
    if version is None:
        raise SystemExit(f"no model is active in {models}")
    try:
        classifier = Classifier.load(version, engine=engine, precision=precision)
    except EngineError as error:
        why = str(error)
        serve(lambda **_question: {"error": why})
        return
    classifier.warm_up(int(largest_batch))
    serve(PhotoClassifier(classifier, [Path(photo).read_bytes() for photo in photos]))


if __name__ == "__main__":
    main(*sys.argv[1:])
