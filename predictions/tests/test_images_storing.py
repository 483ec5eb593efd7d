"""Finding the picture in a request, and storing its bytes and its row once."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries

from predictions.exceptions import RequestRejected
from predictions.models import Image
from predictions.tests.fakes import upload
from predictions.tests.pictures import picture
from predictions.uploads import validation as images


def _store(seed: int = 0) -> Image:
    """Stores the bytes of an image without a row."""
    return images.store(images.validate(upload(picture(seed=seed))))


def _request(files: dict[str, object], **meta: str) -> WSGIRequest:
    return RequestFactory().post("/", files, **meta)  # type: ignore[arg-type]


def test_accepts_exactly_one_file_in_the_right_field() -> None:
    file = images.only_file(_request({"file": upload(name="cat.png")}))
    assert (file.name, file.read()) == ("cat.png", picture())
    wrong: list[tuple[str, dict[str, object]]] = [
        ("no-file", {}),
        ("no-file", {"file": "a text"}),
        ("wrong-field", {"image": upload()}),
        ("several-files", {"file": [upload(), upload()]}),
    ]
    for code, files in wrong:
        with pytest.raises(RequestRejected) as caught:
            images.only_file(_request(files))
        assert caught.value.code == code


@pytest.mark.django_db
def test_stores_equal_pictures_once(tmp_path: Path) -> None:
    first, again, other = _store(), _store(), _store(1)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    assert not Image.objects.exists(), "files are stored before rows"
    rows = images.record([first, again, other])
    assert set(rows) == {first.sha256, other.sha256}
    assert Image.objects.count() == 2
    image = Image.objects.get(sha256=first.sha256)
    assert (image, image.width, image.height, image.format) == (rows[first.sha256], 32, 24, "PNG")
    with image.file.open() as file:
        assert file.read() == picture()


@pytest.mark.django_db
def test_a_known_image_keeps_its_row(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    (known,) = images.record([_store()]).values()
    again, new = _store(), _store(1)
    with django_assert_num_queries(2):  # look up all; insert the new ones
        rows = images.record([again, new])
    assert rows[known.sha256] == known and rows[new.sha256] is new
    with django_assert_num_queries(1):
        assert set(images.record([_store(), _store(1)]).values()) == {known, new}


@pytest.mark.django_db
def test_the_next_upload_restores_a_lost_file() -> None:
    image = _store()
    image.file.storage.delete(image.file.name or "")
    assert _store().file.name == image.file.name
    assert image.file.storage.exists(image.file.name or "")
