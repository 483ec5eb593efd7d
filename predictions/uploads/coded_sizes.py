"""Reads from the coded pictures of AVIF and HEIC files how large they are, which the file may state wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from predictions.uploads.complexity import Count

# A picture may be coded in layers, one frame each.
MAX_FRAMES = 8
# A coded picture has a handful of units. The 200 tiles of a large photo have a few each.
MAX_UNITS = 20_000

_Sizes = list[tuple[int, int]]

_AV1_SEQUENCE_HEADER, _AV1_FRAME_HEADER, _AV1_FRAME = 1, 3, 6
_HEVC_SEQUENCE_PARAMETERS = 33
_HEVC_SLICES = range(32)  # types of NAL units with pixels


class _Bits:
    """Reads numbers of single bits. Bits after the end are zeros."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content)
        self._length = 8 * len(content)
        self._position = 0

    def number(self, bits: int) -> int:
        self._position += bits
        shift = self._length - self._position
        shifted = self._value >> shift if shift >= 0 else self._value << -shift
        return shifted & ((1 << bits) - 1)

    def exponential_golomb(self) -> int:
        """Returns a number of variable length: zeros say how many bits follow the first one."""
        zeros = 0
        while not self.number(1):
            zeros += 1
            if zeros > 32:
                return 2**32
        return (1 << zeros) - 1 + self.number(zeros)


def av1_sizes(content: bytes, units: Count) -> _Sizes:
    """Returns the sizes in the sequence headers of AV1 data (AV1 specification, 5.3 to 5.5).

    `units` counts those of all pictures in a file. Raises `TooComplex` if the data have many units or frames.
    """
    sizes, frames = [], Count(MAX_FRAMES)
    for kind, start, end in _av1_units(content):
        units.add()
        if kind in {_AV1_FRAME_HEADER, _AV1_FRAME}:
            frames.add()
        elif kind == _AV1_SEQUENCE_HEADER:
            frames.add()
            sizes.append(_av1_size(_Bits(content[start : min(end, start + 1000)])))
    return sizes


def _av1_units(content: bytes) -> Iterator[tuple[int, int, int]]:
    position = 0
    while position < len(content):
        header = content[position]
        position += 2 if header & 4 else 1
        length, end = len(content) - position, len(content)
        if header & 2:
            length = shift = 0
            while position < len(content) and shift < 64:
                length |= (content[position] & 127) << shift
                shift += 7
                position += 1
                if content[position - 1] < 128:
                    break
            end = position + length
        yield header >> 3 & 15, position, end
        position = end


def _av1_size(bits: _Bits) -> tuple[int, int]:
    bits.number(3)  # profile
    bits.number(1)
    is_reduced = bits.number(1)
    if is_reduced:
        bits.number(5)
    else:
        _skip_av1_operating_points(bits)
    lengths = bits.number(4) + 1, bits.number(4) + 1
    return bits.number(lengths[0]) + 1, bits.number(lengths[1]) + 1


def _skip_av1_operating_points(bits: _Bits) -> None:
    has_model, delay_bits = 0, 0
    if bits.number(1):  # timing
        bits.number(64)
        if bits.number(1):
            bits.exponential_golomb()
        has_model = bits.number(1)
        if has_model:
            delay_bits = bits.number(5) + 1
            bits.number(42)
    has_display_delay = bits.number(1)
    for _point in range(bits.number(5) + 1):
        bits.number(12)
        if bits.number(5) > 7:
            bits.number(1)
        if has_model and bits.number(1):
            bits.number(2 * delay_bits + 1)
        if has_display_delay and bits.number(1):
            bits.number(4)


def hevc_sizes(configuration: bytes, content: bytes, units: Count) -> _Sizes:
    """Returns the sizes in the sequence parameters of HEVC data (ITU-T H.265, 7.3.2.2), and of their configuration.

    The configuration is a box hvcC (ISO/IEC 14496-15, 8.3.3.1). `units` counts those of all pictures in a file. Raises
    `TooComplex` if the data have many units or pictures.
    """
    sizes, pictures = [], Count(MAX_FRAMES)
    length_bytes = (configuration[21] & 3) + 1 if len(configuration) > 21 else 4
    for unit in chain(_hevc_configuration_units(configuration), _hevc_units(content, length_bytes)):
        units.add()
        kind = unit[0] >> 1 & 63 if unit else None
        if kind == _HEVC_SEQUENCE_PARAMETERS:
            pictures.add()
            sizes.append(_hevc_size(_Bits(unit[2:1000].replace(b"\0\0\3", b"\0\0"))))
        elif kind in _HEVC_SLICES and len(unit) > 2 and unit[2] & 128:  # the first slice of a picture
            pictures.add()
    return sizes


def _hevc_configuration_units(configuration: bytes) -> Iterator[bytes]:
    position = 23
    for _array in range(configuration[22] if len(configuration) > 22 else 0):
        count = int.from_bytes(configuration[position + 1 : position + 3])
        position += 3
        for _unit in range(count):
            length = int.from_bytes(configuration[position : position + 2])
            unit = configuration[position + 2 : position + 2 + length]
            if not unit:
                return
            yield unit
            position += 2 + length


def _hevc_units(content: bytes, length_bytes: int) -> Iterator[bytes]:
    position = 0
    while position + length_bytes < len(content):
        length = int.from_bytes(content[position : position + length_bytes])
        start = position + length_bytes
        position = start + length
        yield content[start : min(position, start + 1000)]


def _hevc_size(bits: _Bits) -> tuple[int, int]:
    bits.number(4)
    layers = bits.number(3)
    bits.number(1 + 96)  # profile and level
    present = [(bits.number(1), bits.number(1)) for _layer in range(layers)]
    if layers:
        bits.number(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.number(88 * has_profile + 8 * has_level)
    bits.exponential_golomb()
    if bits.exponential_golomb() == 3:  # 4:4:4
        bits.number(1)
    return bits.exponential_golomb(), bits.exponential_golomb()
