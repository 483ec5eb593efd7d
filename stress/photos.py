"""Photos to send: a folder's, or different cuts of the sample photos that scikit-image ships."""

import random
from bisect import bisect_left
from io import BytesIO
from pathlib import Path

import PIL.Image

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
CUT = (470, 400)  # pixels; about 40 kB each as JPEG
# Bytes of the photos that benchmarks send: at this size about what the average photo of ImageNet has.
TYPICAL_BYTES = 110_000
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp"})

Originals = dict[str, PIL.Image.Image]


def from_folder(folder: Path) -> list[tuple[str, bytes]]:
    """(file name, bytes) of every picture in a folder. Raises `FileNotFoundError` if there is none."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return [(path.name, path.read_bytes()) for path in files]


def samples(count: int, seed: int = 0) -> list[tuple[str, bytes]]:
    """(file name, bytes) of `count` different JPEGs; the same seed gives the same bytes."""
    choice = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    originals = _originals()
    photos = []
    for number in range(count):
        name = SAMPLES[number % len(SAMPLES)]
        photos.append((f"{name}-{number}.jpg", _cut(originals[name], choice)))
    return photos


def typical(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Files in `folder` with `count` distinct JPEGs of 470 x 400 pixels and about 110 kB each.

    Those that are there are not made again. The same seed gives the same photos, as long as the same packages are
    installed: the sample photos of scikit-learn are used beside those of scikit-image where there are any.
    """
    choice = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    originals = {name: _enlarged(original) for name, original in (_originals() | _more_originals()).items()}
    names = sorted(originals)
    width, height = CUT
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[tuple[str, int, int]] = set()
    files = []
    for number in range(count):
        name = names[number % len(names)]
        original = originals[name]
        while True:
            left = choice.randint(0, original.width - width)
            top = choice.randint(0, original.height - height)
            if (name, left, top) not in seen:
                break
        seen.add((name, left, top))
        file = folder / f"{number:04}-{name}-{left}-{top}.jpg"
        if not file.exists():
            content = _near_size(original.crop((left, top, left + width, top + height)), TYPICAL_BYTES)
            incoming = file.with_suffix(".incoming")  # one that an interruption broke off must not count as there
            incoming.write_bytes(content)
            incoming.rename(file)
        files.append(file)
    return files


def _originals() -> Originals:
    import skimage.data

    return {name: PIL.Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in SAMPLES}


def _more_originals() -> Originals:
    """The sample photos of scikit-learn, where that happens to be installed."""
    try:
        from sklearn.datasets import load_sample_images  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return {}
    found = load_sample_images()
    return {
        Path(name).stem: PIL.Image.fromarray(pixels).convert("RGB")
        for name, pixels in zip(found.filenames, found.images, strict=True)
    }


def _cut(original: PIL.Image.Image, choice: random.Random) -> bytes:
    width, height = (min(wanted, has - 16) for wanted, has in zip(CUT, original.size, strict=True))
    left, top = choice.randint(0, original.width - width), choice.randint(0, original.height - height)
    return _jpeg(original.crop((left, top, left + width, top + height)), quality=92)


def _enlarged(original: PIL.Image.Image) -> PIL.Image.Image:
    """At least 1.15 times as wide and high as a cut, so that there are many different ones."""
    scale = 1.15 * max(wanted / has for wanted, has in zip(CUT, original.size, strict=True))
    if scale <= 1:
        return original
    size = (round(original.width * scale), round(original.height * scale))
    return original.resize(size, PIL.Image.Resampling.BICUBIC)


def _near_size(picture: PIL.Image.Image, byte_size: int) -> bytes:
    """The JPEG, of all qualities, that comes nearest to so many bytes."""
    qualities = range(30, 101)
    # Colour at full resolution: without it, smooth pictures do not become as large at any quality.
    larger = bisect_left(qualities, byte_size, key=lambda quality: len(_jpeg(picture, quality=quality, subsampling=0)))
    nearest = qualities[max(0, larger - 1) : larger + 1]
    candidates = [_jpeg(picture, quality=quality, subsampling=0) for quality in nearest]
    return min(candidates, key=lambda content: abs(len(content) - byte_size))


def _jpeg(picture: PIL.Image.Image, **options: int) -> bytes:
    result = BytesIO()
    picture.save(result, "JPEG", **options)
    return result.getvalue()
