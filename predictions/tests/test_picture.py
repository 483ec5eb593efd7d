from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import numpy as np
import PIL.Image
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import Settings

from predictions.models import Image, Prediction
from predictions.tests import pictures
from predictions.tests.fakes import stored_image, stored_prediction, upload
from predictions.uploads import stored_files, thumbnails
from predictions.uploads.making_slots import WAITING_SHARE

pytestmark = pytest.mark.django_db


def _prediction(content: bytes | None = None) -> Prediction:
    return stored_prediction(stored_image(content))


def _thumbnail(client: Client, prediction: Prediction) -> PIL.Image.Image:
    response = client.get(f"/predictions/{prediction.id}/thumbnail")
    assert response.status_code == 200
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "private, max-age=86400, immutable"
    return PIL.Image.open(BytesIO(response.getvalue()))


def test_serves_the_picture(client: Client) -> None:
    response = client.get(f"/predictions/{_prediction().id}/picture")
    assert response.getvalue() == pictures.picture()
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"] == "private, max-age=86400, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_scales_a_thumbnail(reviewer: Client) -> None:
    prediction = _prediction(pictures.encoded(pictures.noise(500, 250), "PNG"))
    assert _thumbnail(reviewer, prediction).size == _thumbnail(reviewer, prediction).size == (320, 160)


def test_a_thumbnail_is_made_once(reviewer: Client) -> None:
    prediction = _prediction()
    _thumbnail(reviewer, prediction)
    Path(prediction.image.file.path).unlink()
    _thumbnail(reviewer, prediction)


def test_thumbnails_are_for_staff_and_the_sender(client: Client, django_user_model: type[User], tmp_path: Path) -> None:
    url = f"/predictions/{_prediction().id}/thumbnail"
    assert client.get(url).status_code == 404
    client.force_login(django_user_model.objects.create_user("somebody"))
    assert client.get(url).status_code == 404
    assert not (tmp_path / "uploads" / thumbnails.FILES.folder).exists()


def test_a_visitor_sees_thumbnails_of_what_they_sent(client: Client) -> None:
    sent = client.post("/", {"file": upload()}, headers={"Prefer": "return=minimal"})
    address = f"{sent['Location']}thumbnail"
    response = client.get(address)
    assert (response.status_code, response["Content-Type"]) == (200, "image/webp")
    response.close()
    assert Client().get(address).status_code == 404


def test_one_visitor_has_half_of_the_slots_for_thumbnails(client: Client, settings: Settings) -> None:
    settings.WEB_THREADS = 2 * WAITING_SHARE
    sent = client.post("/", {"file": upload()}, headers={"Prefer": "return=minimal"})
    address = f"{sent['Location']}thumbnail"
    with thumbnails.FILES.slots._waiting.acquire("127.0.0.1"):
        assert client.get(address).status_code == 503
    client.get(address).close()


def test_a_thumbnail_of_an_earlier_size_is_not_served_and_is_deleted(reviewer: Client) -> None:
    prediction = _prediction()
    (earlier,) = thumbnails.EARLIER_FILES
    prediction.image.file.storage.save(earlier.name(prediction.image), ContentFile(b"small"))
    assert _thumbnail(reviewer, prediction).size == (32, 24)
    stored_files.delete(prediction.image)
    assert not prediction.image.file.storage.exists(earlier.name(prediction.image))
    assert not prediction.image.file.storage.exists(thumbnails.FILES.name(prediction.image))


def test_one_thumbnail_is_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    image = stored_image()
    running, most, made = 0, 0, 0

    def slow(content: bytes) -> bytes:
        nonlocal running, most, made
        running, made = running + 1, made + 1
        most = max(most, running)
        time.sleep(0.05)
        running -= 1
        return content

    monkeypatch.setattr(thumbnails, "_shrink", slow)
    others = [Image(sha256=digest, file=image.file.name) for digest in ("a" * 64, "b" * 64, "b" * 64, "b" * 64)]
    with ThreadPoolExecutor(4) as threads:
        for file in threads.map(thumbnails.thumbnail, others):
            file.close()
    assert (most, made) == (1, 2)


def test_a_thumbnail_is_rotated_as_exif_says(reviewer: Client) -> None:
    assert _thumbnail(reviewer, _prediction(pictures.rotated())).size == (20, 40)


def test_a_transparent_thumbnail_is_on_white(reviewer: Client) -> None:
    """It is what the model saw, whatever the colour of the page."""
    image = pictures.noise(mode="RGBA")
    image.putalpha(0)
    thumbnail = _thumbnail(reviewer, _prediction(pictures.encoded(image, "PNG")))
    assert thumbnail.mode == "RGB"
    assert thumbnail.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("size", [(32, 24), (800, 600)])
def test_a_thumbnail_of_16_bit_grey_keeps_its_brightness(reviewer: Client, size: tuple[int, int]) -> None:
    content = pictures.encoded(PIL.Image.new("I;16", size, 128 * 257), "PNG")
    assert np.abs(np.asarray(_thumbnail(reviewer, _prediction(content)).convert("L"), int) - 128).max() <= 2


def test_a_missing_file_is_404(reviewer: Client) -> None:
    prediction = _prediction()
    Path(prediction.image.file.path).unlink()
    assert reviewer.get(f"/predictions/{prediction.id}/picture").status_code == 404
    assert reviewer.get(f"/predictions/{prediction.id}/thumbnail").status_code == 404


def test_a_corrupt_picture_has_no_thumbnail(reviewer: Client, tmp_path: Path) -> None:
    prediction = _prediction(pictures.corrupt())
    assert reviewer.get(f"/predictions/{prediction.id}/thumbnail").status_code == 404
    assert not (tmp_path / "uploads" / thumbnails.FILES.folder).exists()


def test_a_picture_with_too_many_pixels_has_no_thumbnail(reviewer: Client, settings: Settings) -> None:
    settings.UPLOAD_MAX_PIXELS = 10
    assert reviewer.get(f"/predictions/{_prediction().id}/thumbnail").status_code == 404


def test_unknown_predictions_are_404(reviewer: Client) -> None:
    assert reviewer.get(f"/predictions/{uuid4()}/picture").status_code == 404
    assert reviewer.get(f"/predictions/{uuid4()}/thumbnail").status_code == 404
    assert reviewer.post(f"/predictions/{uuid4()}/picture").status_code == 405
