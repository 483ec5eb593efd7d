"""Which file of a request is the picture, and that its bytes and its row are stored once."""

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
    """An image whose bytes are stored, without a row."""
    return images.store(images.admit(upload(picture(seed=seed))))


def _request(files: dict[str, object], **meta: str) -> WSGIRequest:
    return RequestFactory().post("/", files, **meta)  # type: ignore[arg-type]


def test_only_file() -> None:
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


def test_a_request_that_does_not_say_how_long_it_is() -> None:
    with pytest.raises(RequestRejected) as caught:
        images.only_file(_request({}, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH=""))
    assert (caught.value.code, caught.value.status) == ("length-required", 411)


@pytest.mark.django_db
def test_it_works(tmp_path: Path) -> None:
    first, again, other = _store(), _store(), _store(1)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    assert not Image.objects.exists(), "the file comes first"
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
    with django_assert_num_queries(2):  # which are there; the new ones
        rows = images.record([again, new])
    assert rows[known.sha256] == known and rows[new.sha256] is new
    with django_assert_num_queries(1):
        assert set(images.record([_store(), _store(1)]).values()) == {known, new}


@pytest.mark.django_db
def test_a_lost_file_comes_back_with_the_next_upload() -> None:
    image = _store()
    image.file.storage.delete(image.file.name or "")
    assert _store().file.name == image.file.name
    assert image.file.storage.exists(image.file.name or "")
