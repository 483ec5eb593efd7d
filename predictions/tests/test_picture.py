from __future__ import annotations

from io import BytesIO
from pathlib import Path
from uuid import uuid4

import numpy as np
import PIL.Image
import pytest
from django.test import Client
from pytest_django import Settings

from predictions.models import Prediction
from predictions.tests import pictures
from predictions.tests.fakes import stored_image, stored_prediction

pytestmark = pytest.mark.django_db


def _prediction(content: bytes | None = None) -> Prediction:
    return stored_prediction(stored_image(content))


def _thumbnail(client: Client, prediction: Prediction) -> PIL.Image.Image:
    response = client.get(f"/predictions/{prediction.id}/thumbnail")
    assert response.status_code == 200
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "private, max-age=86400, immutable"
    return PIL.Image.open(BytesIO(response.getvalue()))


def test_it_works(client: Client) -> None:
    response = client.get(f"/predictions/{_prediction().id}/picture")
    assert response.getvalue() == pictures.picture()
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"] == "private, max-age=86400, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_thumbnail(client: Client) -> None:
    prediction = _prediction(pictures.encoded(pictures.noise(400, 200), "PNG"))
    assert _thumbnail(client, prediction).size == _thumbnail(client, prediction).size == (192, 96)


def test_a_thumbnail_is_made_once(client: Client) -> None:
    prediction = _prediction()
    _thumbnail(client, prediction)
    Path(prediction.image.file.path).unlink()
    _thumbnail(client, prediction)


def test_a_thumbnail_stands_upright(client: Client) -> None:
    assert _thumbnail(client, _prediction(pictures.turned())).size == (20, 40)


def test_a_thumbnail_keeps_transparency(client: Client) -> None:
    image = pictures.noise(mode="RGBA")
    image.putalpha(0)
    thumbnail = _thumbnail(client, _prediction(pictures.encoded(image, "PNG")))
    assert thumbnail.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("size", [(32, 24), (800, 600)])
def test_16_bit_grey_is_as_bright_as_it_was(client: Client, size: tuple[int, int]) -> None:
    content = pictures.encoded(PIL.Image.new("I;16", size, 128 * 257), "PNG")
    assert np.abs(np.asarray(_thumbnail(client, _prediction(content)).convert("L"), int) - 128).max() <= 2


def test_a_picture_that_is_gone(client: Client) -> None:
    prediction = _prediction()
    Path(prediction.image.file.path).unlink()
    assert client.get(f"/predictions/{prediction.id}/picture").status_code == 404
    assert client.get(f"/predictions/{prediction.id}/thumbnail").status_code == 404


def test_a_spoilt_picture(client: Client, tmp_path: Path) -> None:
    prediction = _prediction(pictures.spoilt())
    assert client.get(f"/predictions/{prediction.id}/thumbnail").status_code == 404
    assert not (tmp_path / "uploads" / "thumbnails").exists()


def test_too_many_pixels_for_a_thumbnail(client: Client, settings: Settings) -> None:
    settings.UPLOAD_MAX_PIXELS = 10
    assert client.get(f"/predictions/{_prediction().id}/thumbnail").status_code == 404


def test_unknown(client: Client) -> None:
    assert client.get(f"/predictions/{uuid4()}/picture").status_code == 404
    assert client.get(f"/predictions/{uuid4()}/thumbnail").status_code == 404
    assert client.post(f"/predictions/{uuid4()}/picture").status_code == 405
