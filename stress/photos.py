"""The photos that benchmarks send: distinct JPEGs of typical size."""

from bisect import bisect_left
from pathlib import Path

import PIL.Image

from review.sample_photos import CUT, jpeg, originals

SPARE = 0.15  # of a cut's size: each photo is scaled to have so much more, so that it has thousands of distinct cuts
TYPICAL_BYTES = 110_000  # about the average of the photos in ImageNet


def typical(folder: Path, count: int) -> list[Path]:
    """Returns `count` files in `folder`: distinct JPEGs of 470 x 400 pixels and about 110 kB each.

    Existing files are kept. The photos are the same at each call.
    """
    width, height = CUT
    spare_width, spare_height = round(width * SPARE), round(height * SPARE)
    size = (width + spare_width, height + spare_height)
    large = [photo.resize(size, PIL.Image.Resampling.BICUBIC) for photo in originals().values()]
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:04}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        if not file.exists():
            top, left = divmod(number // len(large), spare_width)
            cut = large[number % len(large)].crop((left, top, left + width, top + height))
            incoming = file.with_suffix(".incoming")  # an interrupted write must not look complete
            incoming.write_bytes(_near_size(cut, TYPICAL_BYTES))
            incoming.rename(file)
    return files


def _near_size(photo: PIL.Image.Image, byte_size: int) -> bytes:
    """Encodes a JPEG with the quality whose size comes nearest to `byte_size`."""
    qualities = range(30, 101)
    # Without chroma subsampling: with it, smooth photos do not become as large at any quality.
    larger = bisect_left(qualities, byte_size, key=lambda quality: len(jpeg(photo, quality=quality, subsampling=0)))
    nearest = qualities[max(0, larger - 1) : larger + 1]
    candidates = [jpeg(photo, quality=quality, subsampling=0) for quality in nearest]
    return min(candidates, key=lambda content: abs(len(content) - byte_size))
