"""Chromium shows what the model sees: on pages for every picture, and of most files themselves."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import pytest
import requests

from devtools.running import RunningSite
from predictions.tests import pictures
from worker.inference.rendering import render
from worker.inference.tests import iso_files, png_files
from worker.inference.tests.profiles import BT709, D65, LINEAR, P3, SWAPPED, grey_profile

pytestmark = pytest.mark.browser

PHOTO = pictures.noise(240, 160)


def _exif(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def _png(*chunks: bytes) -> bytes:
    return png_files.with_chunks(pictures.encoded(PHOTO, "PNG"), *chunks)


def _alpha() -> PIL.Image.Image:
    image = PHOTO.copy()
    image.putalpha(PHOTO.convert("L"))
    return image


# Browsers show these files as the model sees them.
FILES = {
    "jpeg": pictures.encoded(PHOTO, "JPEG"),
    "turned jpeg": pictures.encoded(PHOTO, "JPEG", exif=_exif(6)),
    "turned png": pictures.encoded(PHOTO, "PNG", exif=_exif(6)),
    "orientation that does not exist": pictures.encoded(PHOTO, "JPEG", exif=_exif(9)),
    "cmyk jpeg": pictures.encoded(PHOTO.convert("CMYK"), "JPEG"),
    "profile": pictures.encoded(PHOTO, "JPEG", icc_profile=SWAPPED),
    "linear profile": pictures.encoded(PHOTO, "JPEG", icc_profile=LINEAR),
    "grey profile": pictures.encoded(PHOTO.convert("L"), "JPEG", icc_profile=grey_profile()),
    "grey profile of a colour picture": pictures.encoded(PHOTO, "JPEG", icc_profile=grey_profile()),
    "broken profile": pictures.encoded(PHOTO, "JPEG", icc_profile=SWAPPED[:300]),
    "profile in png": pictures.encoded(PHOTO, "PNG", icc_profile=SWAPPED),
    "profile and transparency": pictures.encoded(_alpha(), "WEBP", lossless=True, icc_profile=SWAPPED),
    "palette with profile": pictures.encoded(PHOTO.quantize(64), "PNG", icc_profile=SWAPPED),
    "gamma": _png(png_files.gamma(1.0)),
    "gamma near that of sRGB": _png(png_files.gamma(0.47)),
    "gamma and primaries": _png(png_files.gamma(0.5), png_files.chromaticity(D65, P3)),
    "primaries alone": _png(png_files.chromaticity(D65, P3)),
    "sRGB chunk and gamma": _png(png_files.chunk(b"sRGB", b"\0"), png_files.gamma(1.0)),
    "profile and sRGB chunk": _png(png_files.chunk(b"sRGB", b"\0"), png_files.profile(SWAPPED)),
    "broken profile and gamma": _png(png_files.profile(b"broken"), png_files.gamma(1.0)),
    "cicp": _png(png_files.cicp(12, 13), png_files.profile(SWAPPED)),
    "cicp of television": _png(png_files.cicp(9, 1)),
    "usual gamma and primaries": _png(png_files.gamma(0.45455), png_files.chromaticity(D65, BT709)),
    "transparency": pictures.encoded(_alpha(), "PNG"),
    "16 bit grey": pictures.encoded(PIL.Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257), "PNG"),
    "16 bit rgb": pictures.deep_png(),
    "bmp": pictures.encoded(PHOTO, "BMP"),
    "1 bit bmp": pictures.encoded(PHOTO.convert("1"), "BMP"),
    "palette bmp": pictures.encoded(PHOTO.quantize(64), "BMP"),
    "grey bmp": pictures.encoded(PHOTO.convert("L"), "BMP"),
    "run-length encoded bmp": pictures.rle_bmp(),
    "32 bit bmp": pictures.encoded(_alpha(), "BMP"),
    "avif": pictures.encoded(PHOTO, "AVIF"),
    "grey avif": pictures.encoded(PHOTO.convert("L"), "AVIF"),
    "profile in avif": pictures.encoded(PHOTO, "AVIF", icc_profile=SWAPPED),
    "turned avif": iso_files.avif(iso_files.rotation(1)),
    "mirrored avif": iso_files.avif(iso_files.mirror(0)),
    "turned and mirrored avif": iso_files.avif(iso_files.rotation(3), iso_files.mirror(1)),
    "avif with wide colours": iso_files.avif(iso_files.colours(12, 13)),
    "avif with colours of television": iso_files.avif(iso_files.colours(1, 1)),
}
# Browsers show these differently, so that a copy matters.
COPIES = {
    "turned webp": pictures.encoded(PHOTO, "WEBP", exif=_exif(6)),
    "turned by xmp": pictures.encoded(PHOTO, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
    "animated gif": pictures.animation("GIF"),
    "animated webp": pictures.animation("WEBP"),
    "animated png": pictures.animation("PNG"),
    # Chromium takes the lowest values of transparency for 0, as if they had the range of television.
    "transparent avif": pictures.encoded(_alpha(), "AVIF"),
    "animated avif": pictures.animation("AVIF"),
    "tiff": pictures.encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "turned tiff": pictures.encoded(PHOTO, "TIFF", tiffinfo={274: 6}),
    "cmyk tiff": pictures.encoded(PHOTO.convert("CMYK"), "TIFF"),
    "profile in tiff": pictures.encoded(PHOTO, "TIFF", icc_profile=SWAPPED),
    "heic": iso_files.heic(),
    "turned heic": iso_files.heic(iso_files.rotation(1)),
    "transparent heic": iso_files.heic(alpha=True),
    "heic with wide colours": iso_files.heic(iso_files.colours(12, 13)),
}

TYPES = {b"\x89PNG": "png", b"RIFF": "webp", b"BM": "bmp", b"\0\0\0": "avif"}


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    yield (opened := browser.new_page())
    opened.close()


LOAD = """async address => {
    const image = new Image();
    image.id = "picture";
    image.src = address;
    document.body.replaceChildren(image);
    document.body.style.background = "white";
    await image.decode();
}"""


def _difference(tab: Any, address: str, content: bytes) -> float:
    """Returns the mean difference of what the browser shows and the model sees, of 255."""
    tab.evaluate(LOAD, address)
    tab.wait_for_timeout(200)  # an animation would go on meanwhile
    shown = PIL.Image.open(io.BytesIO(tab.locator("#picture").screenshot())).convert("RGB")
    seen = render(content)
    assert shown.size == seen.size
    return float(np.abs(np.asarray(shown, float) - np.asarray(seen, float)).mean())


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_model_sees_what_browsers_show_of_the_file(tab: Any, content: bytes) -> None:
    kind = next((kind for start, kind in TYPES.items() if content.startswith(start)), "jpeg")
    tab.goto("about:blank")
    assert _difference(tab, f"data:image/{kind};base64,{base64.b64encode(content).decode()}", content) < 2


@pytest.mark.parametrize("content", [*FILES.values(), *COPIES.values()], ids=[*FILES, *COPIES])
def test_page_shows_what_the_model_sees(tab: Any, site: RunningSite, content: bytes) -> None:
    sent = requests.post(f"{site.url}/api/predict", files={"file": ("picture", content)}, timeout=60)
    assert sent.status_code == 200, sent.text
    tab.goto(f"{site.url}/healthz")
    assert _difference(tab, f"/predictions/{sent.json()['id']}/picture", content) < 3
