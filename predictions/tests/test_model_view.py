"""`/predictions/<uuid>/model-view` shows what the network was given."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from uuid import uuid4

import numpy as np
import PIL.Image
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from predictions.models import Prediction
from predictions.tests import pictures
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.uploads import model_views
from predictions.uploads.making_slots import WAITING_SHARE
from worker.inference.preprocessing import Preprocessor
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db

PHOTO = pictures.encoded(pictures.noise(400, 300), "JPEG")


@pytest.fixture
def version(models: Repository) -> str:
    return models.active_name()


def _address(content: bytes = PHOTO, **changes: object) -> str:
    return f"/predictions/{stored_prediction(stored_image(content), **changes).id}/model-view"


def test_shows_exactly_what_the_network_was_given(client: Client, models: Repository, version: str) -> None:
    response = client.get(_address(model_version=version))
    assert response.status_code == 200
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "private, max-age=86400, immutable"
    given = Preprocessor(models.get(version).manifest.preprocessing)(PHOTO)
    with PIL.Image.open(BytesIO(response.content)) as shown:
        np.testing.assert_array_equal(np.asarray(shown.convert("RGB")), given)


def test_there_is_none_of_a_version_that_is_not_installed(client: Client, version: str) -> None:
    name = version.partition("@")[0]
    assert client.get(_address(model_version=f"{name}@99")).status_code == 404
    assert client.get(_address(model_version=name)).status_code == 404


def test_there_is_none_without_an_answer(client: Client, version: str) -> None:
    assert client.get(_address(state=Prediction.State.QUEUED)).status_code == 404
    failed = _address(state=Prediction.State.FAILED, error_code="undecodable", error="Corrupt.")
    assert client.get(failed).status_code == 404


def test_there_is_none_of_a_missing_or_corrupt_picture(client: Client, version: str) -> None:
    assert client.get(_address(pictures.corrupt(), model_version=version)).status_code == 404
    prediction = stored_prediction(stored_image(PHOTO), model_version=version)
    Path(prediction.image.file.path).unlink()
    assert client.get(f"/predictions/{prediction.id}/model-view").status_code == 404
    assert client.get(f"/predictions/{uuid4()}/model-view").status_code == 404


def test_a_deleted_picture_is_gone(client: Client, version: str) -> None:
    response = client.get(_address(model_version=version, erased_at=timezone.now()))
    assert (response.status_code, response["Content-Type"]) == (410, "image/svg+xml")


def test_one_client_has_half_of_the_slots(version: str, settings: Settings) -> None:
    settings.WEB_THREADS = 2 * WAITING_SHARE
    address = _address(model_version=version)
    with model_views.SLOTS._waiting.acquire("192.0.2.1"):
        assert Client(REMOTE_ADDR="192.0.2.1").get(address).status_code == 503
        assert Client(REMOTE_ADDR="192.0.2.2").get(address).status_code == 200
