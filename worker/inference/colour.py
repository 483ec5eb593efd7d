"""Finds the colour space of an image, and converts it to sRGB as browsers do.

The profile in the file counts if it fits the image's mode. PNG has three more ways: the chunk cICP comes before a
profile; gAMA, with or without cHRM, comes after it. Images without any of these are taken for sRGB. A broken profile is
ignored.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# Profiles of printers have a megabyte or two.
MAX_PROFILE_BYTES = 4 * 2**20

_PROFILE_CLASSES = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}

# Profiles of which a conversion changes no value by more than this are taken for sRGB.
_INVISIBLE = 2

# The profiles of cameras and displays, with a gamma near 2.2, change greys by less than this.
_GENTLE = 16

# A gamma is taken for the sRGB curve within 5 percent, as libpng does.
_SRGB_GAMMA, _GAMMA_TOLERANCE = 1 / 2.2, 0.05

_D50 = (0.9642, 1.0, 0.8249)
_D65 = (0.3127, 0.329)
_Primaries = tuple[float, ...]  # x and y of red, green and blue
_BT709: _Primaries = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)

# A curve of an ICC profile: the type of a parametricCurveType and its parameters (ICC.1:2022, 10.18).
_Curve = tuple[int, tuple[float, ...]]
_SRGB_CURVE: _Curve = (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))

# ITU-T H.273, tables 2 and 3: white point and primaries, and curves, by their number in a cICP chunk. Curves for high
# dynamic range need tone mapping and are left out.
_CICP_PRIMARIES: dict[int, tuple[tuple[float, float], _Primaries]] = {
    1: (_D65, _BT709),
    4: ((0.31, 0.316), (0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: (_D65, (0.64, 0.33, 0.29, 0.6, 0.15, 0.06)),
    6: (_D65, (0.63, 0.34, 0.31, 0.595, 0.155, 0.07)),
    7: (_D65, (0.63, 0.34, 0.31, 0.595, 0.155, 0.07)),
    9: (_D65, (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)),
    11: ((0.314, 0.351), (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
    12: (_D65, (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
    22: (_D65, (0.63, 0.34, 0.295, 0.605, 0.155, 0.077)),
}
_CICP_CURVES: dict[int, _Curve] = {
    **dict.fromkeys((1, 6, 14, 15), (0, (2.4,))),  # of television sets (ITU-R BT.1886)
    4: (0, (2.2,)),
    5: (0, (2.8,)),
    8: (0, (1.0,)),
    13: _SRGB_CURVE,
}


@dataclass(frozen=True)
class ToSRGB:
    """A conversion to sRGB. It takes images of one `mode`: RGB, L or CMYK.

    is_visible: whether it changes anything that people could see
    is_gentle: whether it keeps greys nearly as they are. Such a conversion may follow the scaling instead of preceding
        it: photos then differ by less than one level of 255 on average.
    """

    mode: str
    transform: ImageCms.ImageCmsTransform
    is_visible: bool
    is_gentle: bool

    def __call__(self, image: Image.Image) -> Image.Image:
        """Returns an RGB image."""
        return self.transform.apply(image if image.mode == self.mode else image.convert(self.mode))


def to_srgb(image: Image.Image) -> ToSRGB | None:
    """Returns the conversion that an image needs, or None if its values are sRGB already."""
    info = image.info
    if not info.keys() & {"icc_profile", "gamma", "cicp"}:
        return None
    found = _of_cicp(info.get("cicp", b"")) or _of_profile(info.get("icc_profile"), image)
    if found is None and "gamma" in info and "srgb" not in info:
        found = _of_gamma(info["gamma"], info.get("chromaticity"))
    return found if found is not None and found.is_visible else None


def _of_profile(profile: object, image: Image.Image) -> ToSRGB | None:
    if not isinstance(profile, bytes) or not 132 <= len(profile) <= MAX_PROFILE_BYTES:
        return None
    if profile[12:16] not in _PROFILE_CLASSES or profile[36:40] != b"acsp":
        return None
    mode = _MODES.get(profile[16:20])
    if image.mode == "CMYK" or mode == "CMYK":
        fits = image.mode == mode
    else:  # a grey image may have a profile for RGB, but not the other way round
        fits = mode == "RGB" or mode == "L" and _is_grey(image)
    return _conversion(profile) if mode and fits else None


def _is_grey(image: Image.Image) -> bool:
    return image.mode in {"1", "L", "LA"} or image.mode.startswith("I;16")


def _of_gamma(gamma: float, chromaticity: tuple[float, ...] | None) -> ToSRGB | None:
    """The conversion that PNG's chunks gAMA and cHRM ask for. Browsers ignore cHRM alone."""
    if not gamma:
        return None
    if chromaticity is not None:
        return _built_conversion(chromaticity[:2], chromaticity[2:], (0, (1 / gamma,)))
    is_srgb = abs(gamma / _SRGB_GAMMA - 1) <= _GAMMA_TOLERANCE
    return None if is_srgb else _built_conversion(_D65, _BT709, (0, (1 / gamma,)))


def _of_cicp(content: bytes) -> ToSRGB | None:
    """The conversion that PNG's chunk cICP asks for: primaries, curve, matrix (0: RGB), and 1 for full range."""
    if len(content) != 4 or content[2:] != b"\0\1":
        return None
    space, curve = _CICP_PRIMARIES.get(content[0]), _CICP_CURVES.get(content[1])
    return _built_conversion(*space, curve) if space and curve else None


@lru_cache(maxsize=8)
def _conversion(profile: bytes) -> ToSRGB | None:
    """Returns the conversion from an ICC profile, or None if it is broken."""
    mode = _MODES[profile[16:20]]
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # Browsers use a profile's perceptual table if there is one; without tables, all intents but one are alike.
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", ImageCms.Intent.PERCEPTUAL)
        if mode == "CMYK":
            return ToSRGB(mode, transform, is_visible=True, is_gentle=False)
        greys, colours = _changes(transform, mode)
        return ToSRGB(mode, transform, max(greys, colours) > _INVISIBLE, greys <= _GENTLE)
    except Exception:  # noqa: BLE001 - profiles come from outside
        return None


def _changes(transform: ImageCms.ImageCmsTransform, mode: str) -> tuple[int, int]:
    """Returns by how much a conversion changes values of greys, and of colours, at most."""
    levels = np.arange(256, dtype=np.uint8)
    greys = Image.fromarray(levels[None]).convert(mode)
    some = levels[::51]
    colours = Image.fromarray(np.stack(np.meshgrid(some, some, some), axis=-1).reshape(1, -1, 3))
    return _change(transform, greys), _change(transform, colours) if mode == "RGB" else 0


def _change(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> int:
    difference = np.asarray(image.convert("RGB"), int) - np.asarray(transform.apply(image), int)
    return int(np.abs(difference).max())


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=64)
def _built_conversion(white: tuple[float, ...], primaries: _Primaries, curve: _Curve) -> ToSRGB | None:
    """Returns the conversion from a colour space, or None if there is no such space."""
    try:
        return _conversion(matrix_profile(white, primaries, curve))
    except (np.linalg.LinAlgError, struct.error):
        return None


def _columns(white: tuple[float, ...], primaries: _Primaries) -> NDArray[np.float64]:
    """Returns the XYZ values of red, green and blue, adapted to the white of ICC profiles (ICC.1:2022, annex E)."""
    xyz = np.array([_xyz(*primaries[i : i + 2]) for i in (0, 2, 4)]).T
    xyz = xyz * np.linalg.solve(xyz, _xyz(*white))
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gain = (bradford @ _D50) / (bradford @ _xyz(*white))
    return np.asarray(np.linalg.solve(bradford, gain[:, None] * (bradford @ xyz)))


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    if y <= 0:
        raise np.linalg.LinAlgError
    return np.array([x / y, 1.0, (1 - x - y) / y])


def matrix_profile(white: tuple[float, ...], primaries: _Primaries, curve: _Curve) -> bytes:
    """Returns an ICC profile with a matrix and one curve (ICC.1:2022, 7 to 10).

    Raises `LinAlgError` or `struct.error` if there is no such colour space.
    """

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    xyz = [b"XYZ " + bytes(4) + fixed(*column) for column in (_D50, *_columns(white, primaries).T)]
    kind, parameters = curve
    contents = [*xyz, b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*parameters)]
    tags = {b"wtpt": 0, b"rXYZ": 1, b"gXYZ": 2, b"bXYZ": 3, b"rTRC": 4, b"gTRC": 4, b"bTRC": 4}
    start = 128 + 4 + 12 * len(tags)
    offsets = [start + sum(map(len, contents[:number])) for number in range(len(contents))]
    table = struct.pack(">I", len(tags)) + b"".join(
        name + struct.pack(">II", offsets[number], len(contents[number])) for name, number in tags.items()
    )
    header = bytes(8) + struct.pack(">I", 0x04300000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(*_D50)
    body = header.ljust(128, b"\0") + table + b"".join(contents)
    return struct.pack(">I", len(body)) + body[4:]
