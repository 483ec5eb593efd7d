"""Decoding takes a bounded amount of memory, whatever the mode, the shape and the number of the images."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from worker.inference.decoding_memory import DecodingMemory

MEGABYTE = 2**20

# A child process decodes one image three times at once, and prints by how many bytes a pixel its memory grew.
CHILD = """
import io, resource, struct, sys, zlib
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
from worker.inference.decoding_memory import DECODING_MEMORY
from worker.inference.preprocessing import Preprocessor
from worker.inference.rendering import render
from worker.inference.repository.manifest import Preprocessing
from worker.inference.tests.png_files import png

def encoded(mode, kind, size, **options):
    file = io.BytesIO()
    Image.new("L", size, 77).convert(mode).save(file, kind, **options)
    return file.getvalue()

def deep(size):
    return png(size[0], size[1], 16, 6, (bytes(8 * size[0]) for _ in range(size[1])))

DECODING_MEMORY.limit = 2**20  # each image is decoded alone
preprocess = Preprocessor(Preprocessing.central_square(224, "RGB", (0.0,) * 3, (1.0,) * 3))
kind, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = eval(kind)((width, height))
use = preprocess if sys.argv[4] == "model" else lambda data: render(data, max_side=1600)

def decode(data):
    use(data)  # and forget the result

with ThreadPoolExecutor(3) as threads:
    # Encoding took more memory than decoding may take: reset the peak.
    open("/proc/self/clear_refs", "w").write("5")
    before = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
    list(threads.map(decode, [data] * 3))
    peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
print((peak - before) * 1024 / (width * height))
"""

# The most bytes a pixel that decoding takes: 4 of an image in colour, and 8 for the coefficients of a progressive CMYK
# JPEG, for libwebp's canvases, or for a converted copy.
MOST = 12
SLACK = 2  # the process itself: threads, libraries that are loaded late
KEPT = 4  # the C library keeps up to 64 MB of what each thread has freed

KINDS = {
    "jpeg": ("lambda size: encoded('RGB', 'JPEG', size)", 4),
    "grey jpeg": ("lambda size: encoded('L', 'JPEG', size)", 5),
    "progressive jpeg": ("lambda size: encoded('RGB', 'JPEG', size, progressive=True, subsampling=0)", 10),
    "progressive cmyk jpeg": ("lambda size: encoded('CMYK', 'JPEG', size, progressive=True)", 12),
    "rgb png": ("lambda size: encoded('RGB', 'PNG', size, compress_level=1)", 4),
    "rgba png": ("lambda size: encoded('RGBA', 'PNG', size, compress_level=1)", 8),
    "la png": ("lambda size: encoded('LA', 'PNG', size, compress_level=1)", 8),
    "16 bit grey png": ("lambda size: encoded('I;16', 'PNG', size, compress_level=1)", 6),
    "16 bit rgba png": ("deep", 8),
    "palette png, transparent": ("lambda size: encoded('P', 'PNG', size, compress_level=1, transparency=7)", 5),
    "gif": ("lambda size: encoded('P', 'GIF', size)", 5),
    "webp": ("lambda size: encoded('RGB', 'WEBP', size, method=0)", 12),
    "transparent webp": ("lambda size: encoded('RGBA', 'WEBP', size, method=0, lossless=True, quality=0)", 12),
}


def _growth(kind: str, size: tuple[int, int], use: str) -> float:
    command = [sys.executable, "-c", CHILD, kind, *map(str, size), use]
    root = Path(__file__).parents[3]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return float(ended.stdout)


@pytest.mark.processes
@pytest.mark.parametrize("size", [(4000, 4000), (1200, 13_300)], ids=["square", "tall"])
@pytest.mark.parametrize(("kind", "most"), KINDS.values(), ids=KINDS.keys())
def test_three_images_at_once_take_no_more_than_one(kind: str, most: int, size: tuple[int, int]) -> None:
    assert most <= MOST
    assert _growth(kind, size, "model") < most + SLACK


@pytest.mark.processes
@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS.values()], ids=KINDS.keys())
def test_copies_for_pages_take_no_more_than_the_model(kind: str) -> None:
    assert _growth(kind, (4000, 4000), "page") < MOST + SLACK + KEPT


def _reserve_together(memory: DecodingMemory, sizes: list[int]) -> tuple[int, int]:
    """Reserves all sizes in threads of their own. Returns the most bytes, and the most reservations, at once."""
    held: list[int] = []
    most_bytes = most_held = 0
    lock = threading.Lock()

    def decode(size: int) -> None:
        nonlocal most_bytes, most_held
        with memory.reserve(size):
            with lock:
                held.append(size)
                most_bytes, most_held = max(most_bytes, sum(held)), max(most_held, len(held))
            threading.Event().wait(0.01)
            with lock:
                held.remove(size)

    threads = [threading.Thread(target=decode, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not held
    return most_bytes, most_held


def test_reservations_stay_within_the_limit() -> None:
    most_bytes, most_held = _reserve_together(DecodingMemory(100), [30, 40, 50, 20, 10] * 8)
    assert most_bytes <= 100
    assert most_held > 1


def test_an_image_above_the_limit_is_decoded_alone() -> None:
    most_bytes, _ = _reserve_together(DecodingMemory(100), [300, 10, 10, 300, 10, 10, 300])
    assert most_bytes == 300


def test_an_error_releases_the_memory() -> None:
    memory = DecodingMemory(100)
    with pytest.raises(ValueError, match="broken"), memory.reserve(100):
        raise ValueError("broken")
    assert _reserve_together(memory, [100]) == (100, 1)
