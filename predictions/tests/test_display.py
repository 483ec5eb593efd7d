"""Pages show the picture that the model saw, at a size for screens and without metadata."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from pytest_django import Settings

from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.tests import pictures
from predictions.tests.fakes import stored_image, stored_prediction, upload
from predictions.uploads import display
from predictions.uploads.derived_files import DerivedFiles
from predictions.uploads.making_slots import WAITING_SHARE
from predictions.uploads.validation import store, validate
from worker.inference.rendering import render
from worker.inference.tests import iso_files
from worker.inference.tests.profiles import LINEAR, SWAPPED

pytestmark = pytest.mark.django_db


def _prediction(content: bytes, **changes: object) -> Prediction:
    image = store(validate(upload(content)))
    image.save()
    return stored_prediction(image, **changes)


def _shown(client: Client, content: bytes) -> tuple[bytes, str]:
    response = client.get(f"/predictions/{_prediction(content).id}/picture")
    assert response.status_code == 200
    return response.getvalue(), response["Content-Type"]


def _exif(orientation: int = 1) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}  # GPS: latitude
    return exif


def _alpha() -> PIL.Image.Image:
    image = pictures.noise()
    image.putalpha(pictures.noise(mode="L", seed=5))
    return image


PHOTO = pictures.noise(200, 150)
AS_SENT = {
    "jpeg": pictures.encoded(PHOTO, "JPEG"),
    "progressive jpeg": pictures.encoded(PHOTO, "JPEG", progressive=True),
    "grey jpeg": pictures.encoded(PHOTO.convert("L"), "JPEG"),
    "png": pictures.encoded(PHOTO, "PNG"),
    "palette png": pictures.encoded(PHOTO.quantize(64), "PNG"),
}
COPIED = {
    "place": pictures.encoded(PHOTO, "JPEG", exif=_exif()),
    "turned jpeg": pictures.encoded(PHOTO, "JPEG", exif=_exif(6)),
    "turned png": pictures.encoded(PHOTO, "PNG", exif=_exif(8)),
    "turned webp": pictures.encoded(PHOTO, "WEBP", exif=_exif(3)),
    "turned by xmp": pictures.encoded(PHOTO, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
    "profile": pictures.encoded(PHOTO, "JPEG", icc_profile=SWAPPED),
    "profile in png": pictures.encoded(PHOTO, "PNG", icc_profile=LINEAR),
    "profile in webp": pictures.encoded(PHOTO, "WEBP", icc_profile=LINEAR),
    "cmyk": pictures.encoded(PHOTO.convert("CMYK"), "JPEG"),
    "transparent": pictures.encoded(_alpha(), "PNG"),
    "transparent palette": pictures.encoded(PHOTO.quantize(64), "PNG", transparency=3),
    "16 bit rgb": pictures.deep_png(),
    "two pictures": pictures.multi_picture(),
    "preview": pictures.with_thumbnail(),
    "bytes after the end": pictures.encoded(PHOTO, "JPEG") + b"more",
    "gif": pictures.picture("GIF"),
    "bmp": pictures.encoded(PHOTO, "BMP"),
    "bmp, run-length encoding": pictures.rle_bmp(),
    "tiff": pictures.encoded(PHOTO, "TIFF"),
    "turned tiff": pictures.encoded(PHOTO, "TIFF", tiffinfo={274: 6}),
    "cmyk tiff": pictures.encoded(PHOTO.convert("CMYK"), "TIFF", compression="tiff_lzw"),
    "avif": pictures.encoded(PHOTO, "AVIF"),
    "turned avif": iso_files.avif(iso_files.rotation(1)),
    "profile in avif": iso_files.avif(iso_files.profile(SWAPPED)),
    "animated avif": pictures.animation("AVIF"),
    "heic": iso_files.heic(),
    "turned heic": iso_files.heic(iso_files.rotation(1)),
    "transparent heic": iso_files.heic(alpha=True),
    "profile in heic": iso_files.heic(iso_files.profile(SWAPPED)),
    "animated gif": pictures.animation("GIF"),
    "animated webp": pictures.animation("WEBP"),
    "animated png": pictures.animation("PNG"),
    "large": pictures.encoded(PHOTO.resize((2400, 1800)), "JPEG"),
    "many bytes": pictures.encoded(PHOTO.resize((1500, 900)), "PNG", compress_level=0),
}


@pytest.mark.parametrize("content", AS_SENT.values(), ids=AS_SENT.keys())
def test_a_small_simple_picture_is_served_as_it_was_sent(client: Client, tmp_path: Path, content: bytes) -> None:
    shown, content_type = _shown(client, content)
    assert shown == content
    assert content_type == ("image/png" if content.startswith(b"\x89PNG") else "image/jpeg")
    assert not (tmp_path / "uploads" / "display").exists()


@pytest.mark.parametrize("content", COPIED.values(), ids=COPIED.keys())
def test_of_any_other_picture_a_copy_is_served_that_shows_what_the_model_saw(client: Client, content: bytes) -> None:
    shown, content_type = _shown(client, content)
    assert content_type == "image/jpeg"
    with PIL.Image.open(BytesIO(shown)) as copy:
        assert copy.format == "JPEG" and copy.mode == "RGB"
        assert set(copy.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}, "metadata"
        seen = np.asarray(copy, int)
    expected = render(content)
    expected.thumbnail((1600, 1600))
    assert seen.shape == np.asarray(expected).shape
    assert np.abs(seen - np.asarray(expected, int)).mean() < 3


def test_a_copy_fits_a_screen(client: Client) -> None:
    shown, _ = _shown(client, COPIED["large"])
    with PIL.Image.open(BytesIO(shown)) as copy:
        assert copy.size == (1600, 1200)


def test_a_copy_is_made_once(client: Client) -> None:
    prediction = _prediction(COPIED["turned jpeg"])
    first = client.get(f"/predictions/{prediction.id}/picture").getvalue()
    Path(prediction.image.file.path).unlink()
    prediction.image.byte_size = display.MAX_BYTES + 1  # the stored file is not looked at
    prediction.image.save()
    assert client.get(f"/predictions/{prediction.id}/picture").getvalue() == first


def test_a_copy_can_be_deleted(client: Client) -> None:
    prediction = _prediction(COPIED["turned jpeg"])
    client.get(f"/predictions/{prediction.id}/picture").close()
    storage, name = prediction.image.file.storage, display.FILES.name(prediction.image)
    assert storage.exists(name)
    prediction.image.file.storage.delete(display.FILES.name(prediction.image))
    assert not storage.exists(name)
    prediction.image.file.storage.delete(display.FILES.name(prediction.image))


def test_a_picture_that_cannot_be_decoded_is_404(client: Client, tmp_path: Path) -> None:
    prediction = _prediction(pictures.picture("GIF")[:-40] + bytes(39) + b";")
    assert client.get(f"/predictions/{prediction.id}/picture").status_code == 404
    assert not (tmp_path / "uploads" / "display").exists()


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_result_page_says_that_an_animation_shows_its_first_frame(client: Client, image_format: str) -> None:
    note = "Animation: first frame"
    animated = client.get(_prediction(pictures.animation(image_format)).get_absolute_url())
    assert note in animated.content.decode()
    still = client.get(_prediction(pictures.picture(image_format)).get_absolute_url())
    assert note not in still.content.decode()


def test_result_page_says_that_a_file_with_several_pages_shows_the_first(client: Client) -> None:
    note = "First of several pages"
    pages = pictures.encoded(PHOTO, "TIFF", save_all=True, append_images=[PHOTO])
    assert note in client.get(_prediction(pages).get_absolute_url()).content.decode()
    one_page = client.get(_prediction(pictures.encoded(PHOTO, "TIFF")).get_absolute_url())
    assert note not in one_page.content.decode()


def test_a_missing_file_is_no_animation(client: Client) -> None:
    prediction = _prediction(pictures.animation("GIF"))
    Path(prediction.image.file.path).unlink()
    assert not display.has_several_frames(prediction.image)
    assert client.get(prediction.get_absolute_url()).status_code == 200


def test_many_requests_at_once_look_for_frames_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image, asked, scans = _prediction(pictures.animation("GIF")).image, threading.local(), []
    everybody_asked = threading.Barrier(8, timeout=60)
    get = LocMemCache.get

    def get_together(self: LocMemCache, key: str, *arguments: Any, **options: Any) -> Any:
        """The first time, each thread gets the answer before any of them goes on."""
        found = get(self, key, *arguments, **options)
        if not hasattr(asked, "once"):
            asked.once = True
            everybody_asked.wait()
        return found

    def scan(_image: Image) -> bool:
        scans.append(_image)
        return True

    monkeypatch.setattr(LocMemCache, "get", get_together)
    monkeypatch.setattr(display, "_has_frames", scan)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(display.has_several_frames, [image] * 8)) == [True] * 8
    assert len(scans) == 1


def test_does_not_decode_again_what_a_worker_could_not_decode(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = stored_prediction(state="failed", error_code="undecodable", error="The pixels are corrupt.")
    monkeypatch.setattr(display, "display_picture", None)
    assert client.get(f"/predictions/{prediction.id}/picture").status_code == 404


def test_rejects_requests_beyond_those_that_may_wait_for_their_file(settings: Settings) -> None:
    settings.WEB_THREADS = WAITING_SHARE
    image, files = stored_image(), DerivedFiles("tests", "bin")
    with files.slots._waiting.acquire(""), pytest.raises(RequestRejected, match="Too many pictures") as raised:
        files.open(image, bytes.upper)
    assert (raised.value.status, raised.value.code) == (503, "busy")
    files.open(image, bytes.upper).close()


def test_one_client_has_half_of_them(settings: Settings) -> None:
    settings.WEB_THREADS = 2 * WAITING_SHARE
    prediction = _prediction(COPIED["turned jpeg"])
    path = f"/predictions/{prediction.id}/picture"
    with display.FILES.slots._waiting.acquire("192.0.2.1"):
        assert Client(REMOTE_ADDR="192.0.2.1").get(path).status_code == 503
        served = Client(REMOTE_ADDR="192.0.2.2").get(path)
        served.close()
    assert served.status_code == 200
    assert not display.FILES.slots._waiting._in_use
