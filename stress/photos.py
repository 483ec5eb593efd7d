"""Photos to send: a folder's, or different cuts of the sample photos that scikit-image ships."""

import random
from io import BytesIO
from pathlib import Path

import PIL.Image

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
CUT = (470, 400)  # pixels; about 40 kB each as JPEG
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp"})


def from_folder(folder: Path) -> list[tuple[str, bytes]]:
    """(file name, bytes) of every picture in a folder. Raises `FileNotFoundError` if there is none."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return [(path.name, path.read_bytes()) for path in files]


def samples(count: int, seed: int = 0) -> list[tuple[str, bytes]]:
    """(file name, bytes) of `count` different JPEGs; the same seed gives the same bytes."""
    import skimage.data

    choice = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    originals = {name: PIL.Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in SAMPLES}
    photos = []
    for number in range(count):
        name = SAMPLES[number % len(SAMPLES)]
        photos.append((f"{name}-{number}.jpg", _cut(originals[name], choice)))
    return photos


def _cut(original: PIL.Image.Image, choice: random.Random) -> bytes:
    width, height = (min(wanted, has - 16) for wanted, has in zip(CUT, original.size, strict=True))
    left, top = choice.randint(0, original.width - width), choice.randint(0, original.height - height)
    result = BytesIO()
    original.crop((left, top, left + width, top + height)).save(result, "JPEG", quality=92)
    return result.getvalue()
