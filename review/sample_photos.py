"""Photos to try the site with: those of a folder, or crops of scikit-image's sample photos.

scikit-image is a development dependency. Without it, `samples` and `originals` raise `ImportError`.
"""

import random
from io import BytesIO
from pathlib import Path

import PIL.Image

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
CUT = (470, 400)  # width and height of a crop in pixels; about 40 kB as JPEG
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"})


def from_folder(folder: Path) -> list[tuple[str, bytes]]:
    """Returns (file name, bytes) of every image file in a folder. Raises `FileNotFoundError` if it has none."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return [(path.name, path.read_bytes()) for path in files]


def samples(count: int, seed: int = 0) -> list[tuple[str, bytes]]:
    """Returns (file name, bytes) of `count` distinct JPEGs. The same seed gives the same bytes."""
    rng = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    photos_by_name = originals()
    photos = []
    for number in range(count):
        name = SAMPLES[number % len(SAMPLES)]
        photos.append((f"{name}-{number}.jpg", _crop(photos_by_name[name], rng)))
    return photos


def originals() -> dict[str, PIL.Image.Image]:
    """Returns the sample photos by name, in full size."""
    import skimage.data

    return {name: PIL.Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in SAMPLES}


def _crop(original: PIL.Image.Image, rng: random.Random) -> bytes:
    width, height = (min(wanted, has - 16) for wanted, has in zip(CUT, original.size, strict=True))
    left, top = rng.randint(0, original.width - width), rng.randint(0, original.height - height)
    return jpeg(original.crop((left, top, left + width, top + height)), quality=92)


def jpeg(photo: PIL.Image.Image, **options: int) -> bytes:
    result = BytesIO()
    photo.save(result, "JPEG", **options)
    return result.getvalue()
