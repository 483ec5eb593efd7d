"""How images are cut and scaled to the network's input, whatever its shape."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker.inference.preprocessing import Preprocessor
from worker.inference.repository import Preprocessing
from worker.inference.tests.pictures import encoded


def _rule(width: int, height: int, **changes) -> Preprocessing:
    order = changes.get("channel_order", "RGB")
    values = {"channel_order": order, "mean": (0.0,) * len(order), "std": (1.0,) * len(order), **changes}
    return Preprocessing(width, height, **values)


def _ramp(width: int, height: int) -> Image.Image:
    """Red says how far right a pixel is, green how far down; blue is constant."""
    across = np.broadcast_to(np.linspace(0, 250, width)[np.newaxis, :], (height, width))
    down = np.broadcast_to(np.linspace(0, 250, height)[:, np.newaxis], (height, width))
    pixels = np.stack([across, down, np.full((height, width), 200)], axis=-1)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _pixels(rule: Preprocessing, image: Image.Image, **options) -> NDArray[np.int64]:
    result = Preprocessor(rule)(encoded(image, **options))
    assert result.flags.c_contiguous
    assert result.shape == rule.shape
    return result.astype(np.int64)


@pytest.mark.parametrize(
    ("changes", "red", "green"),
    [
        # the first and the last column and row of what is taken of 400 x 200 pixels
        ({"resize": "stretch"}, (0, 250), (0, 250)),
        ({"resize": "stretch", "crop": 0.5}, (62, 187), (62, 187)),
        ({"resize": "shortest"}, (31, 219), (0, 250)),  # 300 x 200
        ({"resize": "shortest", "crop": 0.5}, (78, 172), (62, 187)),  # 150 x 100
    ],
)
def test_takes_the_part_that_the_rule_names(changes, red: tuple[int, int], green: tuple[int, int]) -> None:
    pixels = _pixels(_rule(60, 40, **changes), _ramp(400, 200))
    assert (pixels[20, 0, 0], pixels[20, -1, 0]) == pytest.approx(red, abs=4)
    assert (pixels[0, 30, 1], pixels[-1, 30, 1]) == pytest.approx(green, abs=4)
    assert pixels[..., 2].min() >= 199


@pytest.mark.parametrize(
    ("size", "box"),
    [((400, 200), (0, 10, 40, 30)), ((200, 400), (10, 0, 30, 40)), ((300, 300), (0, 0, 40, 40))],
)
def test_pads_with_black(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    pixels = _pixels(_rule(40, 40, resize="pad"), _ramp(*size))
    left, top, right, bottom = box
    inside = pixels[top:bottom, left:right]
    assert inside[..., 2].min() >= 199
    assert (inside[0, 0, 0], inside[0, -1, 0], inside[-1, 0, 1]) == pytest.approx((0, 250, 250), abs=7)
    assert pixels.sum() == inside.sum()


def test_crop_of_a_padded_image_cuts_its_border() -> None:
    whole = _pixels(_rule(40, 40, resize="pad"), _ramp(400, 200))
    half = _pixels(_rule(40, 40, resize="pad", crop=0.5), _ramp(400, 200))
    assert (whole[0, 20, 2], half[0, 20, 2]) == (0, 200)
    assert (half[20, 0, 0], half[20, -1, 0]) == pytest.approx((62, 187), abs=4)


@pytest.mark.parametrize("resize", ["shortest", "stretch", "pad"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_width_stays_width_if_the_image_was_turned(resize: str, orientation: int) -> None:
    upright = _ramp(300, 150)
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    rule = _rule(60, 20, resize=resize, crop=0.8)
    expected = _pixels(rule, upright)
    assert np.abs(_pixels(rule, upright.transpose(turn), exif=exif) - expected).max() <= 1


@pytest.mark.parametrize(
    ("name", "values"),
    [("nearest", {0, 255}), ("box", {127, 128}), ("bilinear", set(range(1, 255))), ("lanczos", set(range(256)))],
)
def test_uses_the_filter(name: str, values: set[int]) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = _pixels(_rule(32, 32, interpolation=name, resize="stretch"), Image.fromarray(stripes))
    assert set(pixels[4:-4, 4:-4].ravel().tolist()) <= values


def test_filters_differ() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8))
    filters = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
    results = {_pixels(_rule(32, 32, interpolation=name), noise).tobytes() for name in filters}
    assert len(results) == len(filters)


def test_grey_has_one_channel() -> None:
    image = Image.new("RGB", (50, 40), (255, 0, 0))
    pixels = _pixels(_rule(8, 6, channel_order="L"), image)
    assert set(pixels.ravel()) == {76}  # of red, by ITU-R 601
    assert Preprocessor(_rule(8, 6, channel_order="L")).picture(encoded(image)).mode == "RGB"


@pytest.mark.parametrize("resize", ["shortest", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_accepts_tiny_and_thin_images(resize: str, size: tuple[int, int]) -> None:
    pixels = _pixels(_rule(32, 16, resize=resize), Image.new("RGB", size, (9, 8, 7)))
    assert pixels.max() == 9
