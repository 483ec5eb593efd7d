"""Model versions with other labels than ImageNet's."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

from django.test import Client

from predictions.models import Prediction
from predictions.tests.fakes import upload
from predictions.tests.pictures import picture
from worker.inference.repository import ModelVersion
from worker.inference.repository.labels import Label
from worker.inference.repository.manifest import FILES, MANIFEST, FileRecord

ActivateLabels = Callable[[Sequence[Label]], ModelVersion]


def answered_by_page(client: Client, work_off: Callable[[], None]) -> Prediction:
    """Sends a picture by the page, answers it by the active version, and returns the prediction."""
    response = client.post("/", {"file": upload(picture("JPEG"), "photo.jpg")})
    assert response.status_code in {302, 303}
    work_off()
    prediction = Prediction.objects.latest()
    assert prediction.is_done, prediction.error
    return prediction


def install_with_labels(version: ModelVersion, name: str, rows: Sequence[str]) -> None:
    """Copies an installed version to `name`@1. `rows`: each a label, or a label, a tab and its synonyms."""
    folder = shutil.copytree(version.path, version.path.parents[1] / name / "1")
    text = "".join(f"n{number:08}\t{row}\n" for number, row in enumerate(rows)).encode()
    (folder / FILES["labels"]).write_bytes(text)
    files = {**version.manifest.files, "labels": FileRecord(hashlib.sha256(text).hexdigest(), len(text))}
    manifest = replace(version.manifest, name=name, version=1, classes=len(rows), files=files)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
