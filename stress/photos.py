"""The photos that benchmarks send: distinct JPEGs of typical size."""

import random
from bisect import bisect_left
from pathlib import Path

import PIL.Image

from review.sample_photos import CUT, jpeg, originals

TYPICAL_BYTES = 110_000  # about the average of the photos in ImageNet


def typical(folder: Path, count: int) -> list[Path]:
    """Returns `count` files in `folder`: distinct JPEGs of 470 x 400 pixels and about 110 kB each.

    Existing files are kept. The photos are the same at each call.
    """
    choice = random.Random(0)  # noqa: S311 - for variety, not for secrets
    enlarged = {name: _enlarged(original) for name, original in originals().items()}
    names = sorted(enlarged)
    width, height = CUT
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[tuple[str, int, int]] = set()
    files = []
    for number in range(count):
        name = names[number % len(names)]
        original = enlarged[name]
        while True:
            left = choice.randint(0, original.width - width)
            top = choice.randint(0, original.height - height)
            if (name, left, top) not in seen:
                break
        seen.add((name, left, top))
        file = folder / f"{number:04}-{name}-{left}-{top}.jpg"
        if not file.exists():
            content = _near_size(original.crop((left, top, left + width, top + height)), TYPICAL_BYTES)
            incoming = file.with_suffix(".incoming")  # an interrupted write must not look complete
            incoming.write_bytes(content)
            incoming.rename(file)
        files.append(file)
    return files


def _enlarged(original: PIL.Image.Image) -> PIL.Image.Image:
    """Enlarges a photo to at least 1.15 times the size of a cut, so that many distinct cuts exist."""
    scale = 1.15 * max(wanted / has for wanted, has in zip(CUT, original.size, strict=True))
    if scale <= 1:
        return original
    size = (round(original.width * scale), round(original.height * scale))
    return original.resize(size, PIL.Image.Resampling.BICUBIC)


def _near_size(photo: PIL.Image.Image, byte_size: int) -> bytes:
    """Encodes a JPEG with the quality whose size comes nearest to `byte_size`."""
    qualities = range(30, 101)
    # Without chroma subsampling: with it, smooth photos do not become as large at any quality.
    larger = bisect_left(qualities, byte_size, key=lambda quality: len(jpeg(photo, quality=quality, subsampling=0)))
    nearest = qualities[max(0, larger - 1) : larger + 1]
    candidates = [jpeg(photo, quality=quality, subsampling=0) for quality in nearest]
    return min(candidates, key=lambda content: abs(len(content) - byte_size))
