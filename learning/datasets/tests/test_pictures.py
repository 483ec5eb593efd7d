"""TensorFlow reads from an exported picture the pixels that the classifier saw."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from numpy.typing import NDArray
from pytest_django import Settings
from rq.timeouts import JobTimeoutException

from learning.datasets import pictures
from learning.datasets.pictures import MissingPicture, Picture, readable, stored_picture
from predictions.tests.pictures import animation, deep_png, encoded, multi_picture, noise, picture, with_thumbnail
from worker.inference.rendering import UndecodableImage, render
from worker.inference.tests.iso_files import avif, heic, rotation
from worker.inference.tests.profiles import LINEAR, SRGB


def _with_orientation(number: int, image_format: str, mode: str = "RGB", **options: object) -> bytes:
    image = noise(40, 20, mode)
    exif = image.getexif()
    exif[0x0112] = number
    return encoded(image, image_format, exif=exif, **options)


def _with_place(image_format: str) -> bytes:
    exif = PIL.Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}  # GPS: latitude
    return encoded(noise(), image_format, exif=exif)


def _with_alpha(mode: str) -> PIL.Image.Image:
    image = noise().convert(mode)
    image.putalpha(noise(mode="L", seed=5))
    return image


def _grey_16() -> PIL.Image.Image:
    return PIL.Image.fromarray(np.asarray(noise(mode="L")).astype(np.uint16) * 257)


def _palette() -> PIL.Image.Image:
    return noise().quantize(16)


AS_SENT = {
    "jpeg": picture("JPEG"),
    "grey jpeg": encoded(noise(mode="L"), "JPEG"),
    "progressive jpeg": picture("JPEG", progressive=True),
    "png": picture("PNG"),
    **{f"{mode} png": encoded(noise(mode=mode), "PNG") for mode in ("1", "L", "P")},
    "4 bit png": encoded(_palette(), "PNG", bits=4),
}
STRIPPED = {
    "jpeg with the place where it was taken": _with_place("JPEG"),
    "jpeg with an xmp packet": encoded(noise(), "JPEG", xmp=b"<x:xmpmeta/>"),
    "jpeg with a comment": encoded(noise(), "JPEG", comment=b"at home"),
    "jpeg that is upright": _with_orientation(1, "JPEG"),
    "jpeg with an orientation that does not exist": _with_orientation(9, "JPEG"),
    "jpeg with a thumbnail": with_thumbnail(),
    "jpeg with an sRGB profile": encoded(noise(), "JPEG", icc_profile=SRGB),
    "jpeg with a broken profile": encoded(noise(), "JPEG", icc_profile=b"x" * 200),
    "jpeg with bytes after its end": picture("JPEG") + b"more",
    "progressive jpeg with a comment": encoded(noise(), "JPEG", progressive=True, comment=b"at home"),
    "two jpegs in one": multi_picture(),
    "png with the place where it was taken": _with_place("PNG"),
    "png with a text": _with_orientation(1, "PNG"),
    "png with bytes after its end": picture("PNG") + b"more",
}
CONVERTED = {
    "cmyk jpeg": (encoded(noise(mode="CMYK"), "JPEG"), "jpeg"),
    **{f"jpeg turned {number}": (_with_orientation(number, "JPEG"), "jpeg") for number in range(2, 9)},
    "grey jpeg turned": (_with_orientation(6, "JPEG", "L"), "jpeg"),
    "jpeg turned, 4:4:4": (_with_orientation(6, "JPEG", subsampling=0), "jpeg"),
    "jpeg turned by xmp": (encoded(noise(40, 20), "JPEG", xmp=b'<x tiff:Orientation="6"/>'), "jpeg"),
    "jpeg with a colour profile": (encoded(noise(), "JPEG", icc_profile=LINEAR, subsampling=0), "jpeg"),
    "png with a colour profile": (encoded(noise(), "PNG", icc_profile=LINEAR), "png"),
    "16 bit png": (encoded(_grey_16(), "PNG"), "png"),
    "16 bit rgb png": (deep_png(), "png"),
    "png turned": (_with_orientation(6, "PNG"), "png"),
    **{f"{mode} png": (encoded(_with_alpha(mode), "PNG"), "png") for mode in ("LA", "RGBA")},
    "palette png, transparent": (encoded(_palette(), "PNG", transparency=0), "png"),
    "rgb png, transparent": (encoded(noise(), "PNG", transparency=noise().getpixel((0, 0))), "png"),
    "gif": (picture("GIF"), "png"),
    "gif, transparent": (encoded(_palette(), "GIF", transparency=0), "png"),
    "gif, animated": (animation("GIF"), "png"),
    "webp": (picture("WEBP"), "png"),
    "webp, lossless": (picture("WEBP", lossless=True), "png"),
    "webp, transparent": (encoded(_with_alpha("RGBA"), "WEBP", lossless=True), "png"),
    "png, animated": (animation("PNG"), "png"),
    "webp, animated": (animation("WEBP"), "png"),
    "webp turned": (_with_orientation(8, "WEBP"), "png"),
    "bmp": (picture("BMP"), "png"),
    "tiff": (picture("TIFF"), "png"),
    "tiff turned": (_with_orientation(6, "TIFF"), "png"),
    "tiff, cmyk": (encoded(noise(mode="CMYK"), "TIFF"), "png"),
    "tiff, 16 bit": (encoded(_grey_16(), "TIFF"), "png"),
    "avif": (picture("AVIF"), "png"),
    "avif turned": (avif(rotation(1)), "png"),
    "heic": (heic(), "png"),
    "heic, transparent": (heic(alpha=True), "png"),
}


def _as_classified(content: bytes) -> NDArray[np.int64]:
    return np.asarray(render(content)).astype(np.int64)


def _as_read(picture: Picture) -> NDArray[np.int64]:
    from worker.inference.keras_runtime import tensorflow

    pixels = tensorflow.io.decode_image(picture.content, channels=3, expand_animations=False).numpy()
    return np.asarray(pixels).astype(np.int64)


@pytest.mark.parametrize("content", AS_SENT.values(), ids=AS_SENT.keys())
def test_keeps_bytes_that_tensorflow_reads_alike(content: bytes) -> None:
    result = readable(content)
    assert result.content == content and result.change == ""
    assert result.format == ("jpeg" if content.startswith(b"\xff\xd8") else "png")
    classified, read = _as_classified(content), _as_read(result)
    assert classified.shape == read.shape
    assert abs(classified - read).max() <= 4  # TensorFlow's JPEG decoder rounds differently from Pillow's


@pytest.mark.parametrize("content", STRIPPED.values(), ids=STRIPPED.keys())
def test_removes_metadata_and_keeps_the_compressed_pixels(content: bytes) -> None:
    result = readable(content)
    assert result.change == "stripped"
    for part in (b"Exif", b"eXIf", b"tEXt", b"xmp", b"ICC_PROFILE", b"MPF", b"at home", b"more"):
        assert part not in result.content
    assert result.content[: result.content.find(b"\xff\xda")].count(b"\xff\xd8") <= 1
    np.testing.assert_array_equal(_as_classified(result.content), _as_classified(content))
    assert readable(result.content) == Picture(result.content, result.format)


@pytest.mark.parametrize(("content", "image_format"), CONVERTED.values(), ids=CONVERTED.keys())
def test_converts_what_tensorflow_reads_differently(content: bytes, image_format: str) -> None:
    result = readable(content)
    assert result.is_converted and result.format == image_format
    classified, read = _as_classified(content), _as_read(result)
    assert classified.shape == read.shape
    assert abs(classified - read).mean() <= (3 if image_format == "jpeg" else 0)
    assert readable(content) == result, "the conversion is deterministic"
    assert not readable(result.content).is_converted, "a converted picture needs no conversion"


def test_rotated_jpeg_keeps_its_sampling() -> None:
    from PIL.JpegImagePlugin import get_sampling

    for subsampling, kept in ((0, 0), (2, 2)):
        result = readable(_with_orientation(6, "JPEG", subsampling=subsampling))
        with PIL.Image.open(BytesIO(result.content)) as image:
            assert get_sampling(image) == kept


def test_16_bit_grey_is_written_with_8_bits() -> None:
    with PIL.Image.open(BytesIO(readable(encoded(_grey_16(), "PNG")).content)) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image.convert("L")), np.asarray(noise(mode="L")))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_applies_the_colour_profile(image_format: str) -> None:
    """A value of 128 in linear light is 188 in sRGB."""
    grey = PIL.Image.new("RGB", (32, 24), (128, 128, 128))
    options = {"lossless": True} if image_format == "WEBP" else {}
    result = readable(encoded(grey, image_format, icc_profile=LINEAR, **options))
    with PIL.Image.open(BytesIO(result.content)) as image:
        assert "icc_profile" not in image.info
        assert image.getpixel((5, 5)) == (188, 188, 188)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", picture("WEBP")[:50], encoded(noise(), "PPM"), _with_orientation(6, "PNG")[:-60]]
)
def test_undecodable_picture_is_missing(content: bytes) -> None:
    with pytest.raises(MissingPicture) as caught:
        readable(content)
    assert caught.value.reason == "undecodable"


def test_picture_above_the_pixel_limit_is_missing(settings: Settings) -> None:
    settings.UPLOAD_MAX_PIXELS = 100
    with pytest.raises(MissingPicture):
        readable(picture("WEBP"))


def _stored(content: bytes) -> str:
    return str(default_storage.save("images/some.png", ContentFile(content)))


def test_reads_a_stored_picture() -> None:
    content = picture()
    assert stored_picture(_stored(content), sha256(content).hexdigest()).content == content


def test_missing_file_is_gone() -> None:
    with pytest.raises(MissingPicture) as caught:
        stored_picture("images/none.png", "0" * 64)
    assert caught.value.reason == "gone"


def test_file_with_another_hash_is_damaged() -> None:
    with pytest.raises(MissingPicture) as caught:
        stored_picture(_stored(picture()), sha256(picture(seed=1)).hexdigest())
    assert caught.value.reason == "damaged"


def test_folder_instead_of_a_file_is_damaged() -> None:
    default_storage.save("images/a/b.png", ContentFile(picture()))
    with pytest.raises(MissingPicture) as caught:
        stored_picture("images/a", "0" * 64)
    assert caught.value.reason == "damaged"


def test_the_time_out_of_the_job_is_not_taken_for_a_corrupt_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed_out(*_: object, **__: object) -> None:
        raise UndecodableImage("undecodable", "?") from JobTimeoutException("6 hours")

    monkeypatch.setattr(pictures, "render", timed_out)
    content = BytesIO()
    PIL.Image.new("RGBA", (8, 8)).save(content, "PNG")
    with pytest.raises(JobTimeoutException):
        readable(content.getvalue())
