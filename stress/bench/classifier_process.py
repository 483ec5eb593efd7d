"""A benchmark process that classifies photos without queue, database and web server.

python -m stress.bench.classifier_process MODELS ENGINE PRECISION LARGEST_BATCH PHOTO...
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from stress.bench.processes import serve
from worker.inference.classifier import Classification, Classifier
from worker.inference.engines import EngineError
from worker.inference.repository import Repository


def classify(classifier: Classifier, photos: list[bytes], batch_size: int) -> dict[str, Any]:
    """Classifies all photos once, in full batches of this size. 0 only asks whether the process is ready."""
    if not batch_size:
        return {"ready": str(classifier.version)}
    endless = itertools.cycle(photos)
    batches = math.ceil(len(photos) / batch_size)
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(batches):
        classified = classifier.classify(list(itertools.islice(endless, batch_size)))
        for answer in classified.answers:
            if not isinstance(answer, Classification):
                raise answer
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return {"predictions": batches * batch_size, "seconds": seconds, "cpu_seconds": cpu_seconds}


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
    serve(partial(classify, classifier, [Path(photo).read_bytes() for photo in photos]))


if __name__ == "__main__":
    main(*sys.argv[1:])
