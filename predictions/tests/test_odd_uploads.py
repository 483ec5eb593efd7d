"""Unusual but valid pictures and file names. No file is stored under a name from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from predictions.models import Image, Prediction
from predictions.tests import pictures
from predictions.tests.fakes import FakeClassifier
from predictions.tests.pictures import encoded, noise, picture

pytestmark = pytest.mark.django_db(transaction=True)
BOUNDARY = "frontier"


def _send(name: str, content: bytes) -> Any:
    return Client().post("/api/predict", {"file": SimpleUploadedFile(name, content)})


ODD_NAMES = {"../../etc/cron.d/evil.png": "evil.png", "a\x00b.png": "ab.png", "C:\\photos\\cat.PNG": "cat.PNG"}


@pytest.mark.parametrize("name", [*ODD_NAMES, "x" * 300 + ".png", "ä “ö”\u2028\u202e😀.png"])
def test_odd_names_are_cleaned_and_not_used_for_files(name: str, worker: FakeClassifier, tmp_path: Path) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + picture() + f"\r\n--{BOUNDARY}--\r\n".encode()
    response = Client().post("/predict", body, content_type=f"multipart/form-data; boundary={BOUNDARY}")
    assert response.status_code == 200, response.content
    kept = Prediction.objects.get().file_name
    assert kept == ODD_NAMES.get(name, kept)
    assert len(kept) <= 255 and kept.lower().endswith(".png")
    stored = [path.name for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    assert stored == [f"{Image.objects.get().sha256}.png"]


ODD_DISPOSITIONS = {
    b"filename*=UTF-8''%C3%BCber.png": "über.png",
    b"filename*=utf-8'de'a%20b.png": "a b.png",
    b"filename*=ISO-8859-1''a.png": "a.png",
    b"filename=\"\"; filename*=UTF-8''a.png": "a.png",
    'filename="grüß.png"'.encode("latin-1"): "grüß.png",
    'filename="grüß.png"'.encode(): "grüß.png",
    b'filename="\xff\xfe\x81.png"': "ÿþ.png",
    b"filename=my photo.png": "my",
    b'filename="never closed.png': "never closed.png",
    b'filename="' + b"x" * 10_000 + b'.png"': "x" * 251 + ".png",
    b'filename="/"': "unnamed",
    b'filename=".."': "unnamed",
    b'filename="\x01"': "unnamed",
    b'FILENAME="a.png"': "a.png",
}


@pytest.mark.parametrize("disposition", ODD_DISPOSITIONS)
def test_name_of_a_file_never_matters(disposition: bytes, worker: FakeClassifier) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '.encode() + disposition + b"\r\n\r\n"
    body = head + picture() + f"\r\n--{BOUNDARY}--\r\n".encode()
    response = Client().post("/api/predict", body, content_type=f"multipart/form-data; boundary={BOUNDARY}")
    assert response.status_code == 200, response.content
    assert Prediction.objects.get().file_name == ODD_DISPOSITIONS[disposition]


def test_legacy_endpoint_reads_suffix_of_encoded_name(worker: FakeClassifier) -> None:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''a.png\r\n\r\n"
    body = head.encode() + picture() + f"\r\n--{BOUNDARY}--\r\n".encode()
    response = Client().post("/predict", body, content_type=f"multipart/form-data; boundary={BOUNDARY}")
    assert response.status_code == 200, response.content


@pytest.mark.parametrize("name", ["", 'filename=""', "filename*=UTF-8''"])
def test_field_without_name_of_a_file_is_no_file(name: str) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; {name}\r\n\r\n'
    body = head.encode() + picture() + f"\r\n--{BOUNDARY}--\r\n".encode()
    response = Client().post("/api/predict", body, content_type=f"multipart/form-data; boundary={BOUNDARY}")
    assert (response.status_code, response.json()["code"]) == (400, "no-file")


ODD: dict[str, Callable[[], bytes]] = {
    "animated.gif": pictures.animation,
    "cmyk.jpg": lambda: encoded(noise(mode="CMYK"), "JPEG"),
    "grey16.png": lambda: encoded(PIL.Image.new("I;16", (32, 24), 40_000), "PNG"),
    "palette.png": lambda: encoded(noise(mode="P"), "PNG", transparency=3),
    "rotated.jpg": pictures.rotated,
    "several.jpg": pictures.multi_picture,
    "preview.jpg": pictures.with_thumbnail,
    "grey.jpg": lambda: encoded(noise(mode="L"), "JPEG"),
    "alpha.png": lambda: encoded(noise(mode="RGBA"), "PNG"),
    "webp.png": lambda: picture("WEBP"),
}


@pytest.mark.parametrize("name", ODD)
def test_classifies_odd_pictures_and_makes_thumbnails(name: str, worker: FakeClassifier, reviewer: Client) -> None:
    response = _send(name, ODD[name]())
    assert (response.status_code, response.json()["success"]) == (200, True), response.content
    thumbnail = reviewer.get(f"/predictions/{response.json()['id']}/thumbnail")
    assert thumbnail.status_code == 200
    thumbnail.close()


def test_a_corrupt_picture_does_not_affect_the_next_one(worker: FakeClassifier) -> None:
    response = _send("corrupt.png", pictures.corrupt())
    assert (response.status_code, response.json()["code"]) == (422, "undecodable")
    assert _send("whole.png", picture()).status_code == 200
