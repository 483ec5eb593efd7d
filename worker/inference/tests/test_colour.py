"""Colours are converted to sRGB as Chromium does it. The expected values are what it shows."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from worker.inference.rendering import Cut, render
from worker.inference.tests import png_files
from worker.inference.tests.pictures import encoded, photo
from worker.inference.tests.profiles import BT709, D65, LINEAR, P3, SRGB, SWAPPED, grey_profile

GREY = Image.new("RGB", (32, 24), (128, 128, 128))
ORANGE = Image.new("RGB", (32, 24), (200, 100, 50))
GREY_PNG = encoded(GREY)


def _colour(data: bytes) -> tuple[int, ...]:
    """The colour of an image of one colour."""
    image = render(data)
    colours = image.getcolors()
    assert colours is not None and len(colours) == 1
    pixel = image.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def _near(colour: tuple[int, ...], *expected: int, tolerance: int = 1) -> bool:
    return max(abs(one - other) for one, other in zip(colour, expected, strict=True)) <= tolerance


@pytest.mark.parametrize("options", [{"kind": "JPEG"}, {"kind": "PNG"}, {"kind": "WEBP", "lossless": True}])
def test_applies_a_profile_in_every_format(options: dict[str, Any]) -> None:
    assert _near(_colour(encoded(GREY, icc_profile=LINEAR, **options)), 188, 188, 188)
    assert _near(_colour(encoded(ORANGE, icc_profile=SWAPPED, **options)), 50, 100, 200, tolerance=4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("profile", [grey_profile(), LINEAR], ids=["grey", "rgb"])
def test_grey_images_may_have_a_profile_for_grey_or_rgb(kind: str, profile: bytes) -> None:
    assert _near(_colour(encoded(GREY.convert("L"), kind, icc_profile=profile)), 188, 188, 188)


@pytest.mark.parametrize(
    "image",
    [
        GREY.quantize(2),
        GREY.convert("LA"),
        GREY.convert("RGBA"),
        Image.fromarray(np.full((24, 32), 128 * 257, np.uint16)),
    ],
    ids=["P", "LA", "RGBA", "I;16"],
)
def test_applies_a_profile_in_every_mode(image: Image.Image) -> None:
    assert _near(_colour(encoded(image, icc_profile=LINEAR)), 188, 188, 188)


def test_transparent_pixels_are_blended_after_the_conversion() -> None:
    image = GREY.copy()
    image.putalpha(128)
    assert _near(_colour(encoded(image, icc_profile=LINEAR)), 221, 221, 221)  # halfway from 188 to white


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile",
        b"x" * 500,
        LINEAR[:200],
        LINEAR[:12] + b"link" + LINEAR[16:],  # a profile of another class
        LINEAR[:36] + b"nope" + LINEAR[40:],
        grey_profile(),  # of other colours than the image
        LINEAR + bytes(5 * 2**20),  # larger than any real one
    ],
    ids=["short", "text", "cut off", "link", "no signature", "grey", "large"],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_ignores_a_profile_that_is_broken_or_does_not_fit(profile: bytes, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert _colour(encoded(GREY, kind, icc_profile=profile, **options)) == (128, 128, 128)


def test_damaged_profiles_raise_nothing() -> None:
    random = np.random.default_rng(11)
    for _ in range(200):
        profile = bytearray(LINEAR)
        for position in random.integers(0, len(profile), 6):
            profile[position] = random.integers(0, 256)
        assert render(encoded(GREY, icc_profile=bytes(profile))).size == GREY.size


def test_cmyk_without_a_profile_is_multiplied() -> None:
    image = Image.new("CMYK", (32, 24), (0, 128, 255, 64))
    assert _near(_colour(encoded(image, "JPEG", quality=100)), 191, 95, 0, tolerance=3)
    # A profile for RGB does not apply.
    assert _near(_colour(encoded(image, "JPEG", quality=100, icc_profile=LINEAR)), 191, 95, 0, tolerance=3)


def test_joins_the_parts_of_a_profile_in_their_order() -> None:
    data = encoded(GREY, "JPEG")
    halves = [(2, LINEAR[200:]), (1, LINEAR[:200])]
    parts = [b"ICC_PROFILE\0" + bytes([number, 2]) + part for number, part in halves]
    segments = b"".join(b"\xff\xe2" + (len(part) + 2).to_bytes(2) + part for part in parts)
    assert _near(_colour(data[:2] + segments + data[2:]), 188, 188, 188)


GAMMA, SRGB_CHUNK = png_files.gamma(1.0), png_files.chunk(b"sRGB", b"\0")


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([GAMMA], 188),
        ([png_files.gamma(0.5)], 137),
        ([png_files.gamma(0.45455)], 128),
        ([png_files.gamma(0.47)], 128),  # near enough
        ([png_files.gamma(0)], 128),
        ([GAMMA, png_files.chromaticity(D65, BT709)], 188),
        ([png_files.chromaticity(D65, BT709[::-1])], 128),  # means nothing without a gamma
        ([png_files.gamma(0.45455), png_files.chromaticity((0.3, 0), BT709)], 128),
        ([SRGB_CHUNK, GAMMA], 128),
        ([png_files.profile(SRGB), GAMMA], 128),
        ([png_files.profile(b"broken"), GAMMA], 188),
        ([SRGB_CHUNK, png_files.profile(LINEAR)], 188),
        ([png_files.cicp(1, 8)], 188),
        ([png_files.cicp(1, 13), png_files.profile(LINEAR)], 128),
        ([png_files.cicp(1, 8, full_range=0)], 128),
        ([png_files.cicp(1, 16), GAMMA], 188),  # high dynamic range is not supported
        ([png_files.chunk(b"cICP", b"\1")], 128),
    ],
)
def test_png_says_its_colour_space_in_many_ways(chunks: list[bytes], expected: int) -> None:
    assert _near(_colour(png_files.with_chunks(GREY_PNG, *chunks)), *(expected,) * 3, tolerance=2)


def test_png_primaries_are_converted() -> None:
    png = encoded(ORANGE)
    assert _near(_colour(png_files.with_chunks(png, png_files.cicp(12, 13))), 215, 93, 31)
    with_chromaticity = png_files.with_chunks(png, png_files.gamma(0.45455), png_files.chromaticity(D65, P3))
    assert _near(_colour(with_chromaticity), 216, 93, 24)  # the gamma is 2.2, not the curve of sRGB


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (zlib.compress(LINEAR + bytes(3_000_000)), 188),  # Pillow alone rejects what unpacks to more than 1 MB
        (zlib.compress(b"x" + bytes(50_000_000)), 128),
        (b"not compressed", 128),
    ],
)
def test_a_huge_or_broken_png_profile_does_not_spoil_the_picture(packed: bytes, expected: int) -> None:
    data = png_files.with_chunks(GREY_PNG, png_files.chunk(b"iCCP", b"name\0\0" + packed))
    assert _near(_colour(data), *(expected,) * 3)


def test_a_png_profile_with_an_unknown_compression_is_ignored() -> None:
    data = png_files.with_chunks(GREY_PNG, png_files.chunk(b"iCCP", b"name\0\7" + LINEAR))
    assert _colour(data) == (128, 128, 128)


@pytest.mark.parametrize("profile", [LINEAR, SWAPPED], ids=["linear", "swapped"])
def test_scaling_before_or_after_the_conversion_makes_no_visible_difference(profile: bytes) -> None:
    def cut(size: tuple[int, int]) -> Cut:
        return Cut((0, 0, *size), (96, 64))

    data = photo("coffee", icc_profile=profile)
    converted_first = render(data).resize((96, 64), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(render(data, cut), int) - np.asarray(converted_first, int)).mean() < 1


def test_a_srgb_profile_changes_nothing() -> None:
    with Image.open(io.BytesIO(photo("coffee"))) as expected:
        np.testing.assert_array_equal(np.asarray(render(photo("coffee", icc_profile=SRGB))), np.asarray(expected))
