"""Model versions with other labels than ImageNet's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.test import Client

from predictions.models import Prediction
from predictions.tests.fakes import upload
from predictions.tests.pictures import picture
from worker.inference.repository import ModelVersion
from worker.inference.repository.labels import Label

ActivateLabels = Callable[[Sequence[Label]], ModelVersion]


def answered_by_page(client: Client, work_off: Callable[[], None]) -> Prediction:
    """Sends a picture by the page, answers it by the active version, and returns the prediction."""
    response = client.post("/", {"file": upload(picture("JPEG"), "photo.jpg")})
    assert response.status_code in {302, 303}
    work_off()
    prediction = Prediction.objects.latest()
    assert prediction.is_done, prediction.error
    return prediction
