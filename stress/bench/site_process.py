"""A benchmark process that uses the site's database and queue: it requests predictions and counts their rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django

from devtools.running import eventually
from stress.bench.processes import serve

ANSWER_SECONDS = 300


def answer(do: str, files: list[str]) -> dict[str, Any]:
    """Does one of two tasks, and returns the number of predictions that are done.

    `predict` queues photos, and waits for their answers. `done` counts all rows, and as `found` those whose ids are in
    text files.
    """
    return _predict(files) if do == "predict" else _done(files)


def _predict(files: list[str]) -> dict[str, Any]:
    from django.core.files.uploadedfile import SimpleUploadedFile

    from predictions import submission
    from predictions.models import Prediction

    ids = []
    for file in map(Path, files):
        upload = SimpleUploadedFile(file.name, file.read_bytes(), content_type="image/jpeg")
        ids.append(submission.prediction_request(upload=upload, source=Prediction.Source.API).id)
    eventually(lambda: not Prediction.objects.waiting().exists(), "the last answer", ANSWER_SECONDS)
    return {"done": Prediction.objects.filter(pk__in=ids, state=Prediction.State.DONE).count()}


def _done(files: list[str]) -> dict[str, Any]:
    from predictions.models import Prediction

    done = {str(pk) for pk in Prediction.objects.filter(state=Prediction.State.DONE).values_list("pk", flat=True)}
    return {"done": len(done), "found": sum(pk in done for file in files for pk in Path(file).read_text().split())}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlsite.settings")
    django.setup()
    serve(answer)
