"""Measures whether bf16 pays off: the CPU time and the answers of a version in f32 and in bf16, on this machine.

That a processor can compute in bf16 does not mean that it does so fast: where OpenVINO has to emulate the arithmetic,
bf16 takes up to three times as long as f32, and some combinations crash. So `measure` runs both in a child process. Its
memory is free afterwards, and a crash or a hang of it leaves the caller alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from worker.inference.engines import load_engine
from worker.inference.preprocessing import DEFAULT_MAX_PIXELS, Preprocessor, UndecodableImage
from worker.inference.repository import ModelVersion

# bf16 is chosen if it takes at most this share of f32's CPU time. A smaller gain is not worth other answers.
MOST_TIME = 0.75
# ... and if it gives the same label to at least this share of the images.
LEAST_AGREEMENT = 0.97
# ... and if each other label is a near-tie: in f32, the two labels' probabilities differ by less than this. Moving a
# picture by half a pixel changes one score in four by more than 0.05, and some by 0.3; such answers are arbitrary in
# f32, too.
NEAR_TIE = 0.1

BATCH = 2  # images in one call, as in the OpenVINO engine
LEAST_ROUNDS, ENOUGH_ROUNDS = 3, 7
CPU_SECONDS = 0.6  # after so much computing no further round begins

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class MeasurementFailed(Exception):
    """The child process crashed or hung, or there was no image to measure with."""


@dataclass(frozen=True)
class Comparison:
    """How one way to compute a network compares with f32: medians of CPU milliseconds for one image, and answers."""

    f32_ms: float
    other_ms: float
    images: int
    flips: int  # images that get another label
    largest_gap: float  # the largest difference, in f32, between the probabilities of the two labels of a flip

    @property
    def is_better(self) -> bool:
        """Whether the other way is much faster than f32 and gives practically the same answers."""
        return not self.objection

    @property
    def objection(self) -> str:
        """What speaks against the other way, or an empty string."""
        if not self.other_ms <= MOST_TIME * self.f32_ms:
            return f"takes {self.other_ms / self.f32_ms:.2f} of the CPU time of f32, more than {MOST_TIME}"
        if self.largest_gap >= NEAR_TIE:
            return f"changes an answer that is no near-tie: its two labels are {self.largest_gap:.2f} apart in f32"
        # Among fewer than 34 images, one near-tie is more than 3 % and says nothing about the share.
        if self.flips > max(1, (1 - LEAST_AGREEMENT) * self.images):
            return f"changes {self.flips} of {self.images} answers, more than {1 - LEAST_AGREEMENT:.0%}"
        return ""


def compare_precisions(f32: Predict, other: Predict, images: NDArray[np.uint8]) -> Comparison:
    """Computes the images in both ways, alternately, so that other load on the machine affects both alike.

    Large networks see only as many images as fit into `CPU_SECONDS`.

    Args:
        images: uint8 (n, height, width, 3) with n at least 1, as `Preprocessor` makes them.
    """
    seconds: dict[Predict, list[float]] = {f32: [], other: []}
    gaps: dict[int, float] = {}
    for predict in (f32, other):  # the first call of a shape prepares the kernels
        predict(images[[0] * BATCH])
    began = time.process_time()
    for number, batch in enumerate(_batches(len(images))):
        order = (f32, other) if number % 2 == 0 else (other, f32)
        scores = {}
        for predict in order:
            start = time.process_time()
            scores[predict] = predict(images[batch])
            seconds[predict].append((time.process_time() - start) / BATCH)
        gaps |= zip(batch, _gaps(scores[f32], scores[other]), strict=True)
        if number + 1 >= LEAST_ROUNDS and time.process_time() - began > CPU_SECONDS:
            break
    flipped = [gap for gap in gaps.values() if gap >= 0]
    f32_ms, other_ms = (round(statistics.median(seconds[predict]) * 1000, 3) for predict in (f32, other))
    return Comparison(f32_ms, other_ms, len(gaps), len(flipped), round(max(flipped, default=0.0), 4))


def _batches(images: int) -> Iterator[list[int]]:
    """The indices of the images of each round. Each image comes at least once."""
    indices = cycle(range(images))
    for _ in range(max(ENOUGH_ROUNDS, -(-images // BATCH))):
        yield list(islice(indices, BATCH))


def _gaps(expected: NDArray[np.float32], scores: NDArray[np.float32]) -> list[float]:
    """For each row, how far its two best labels are apart in `expected`; -1 if they are the same label.

    Scores that are not finite are as far apart as can be.
    """
    rows = np.arange(len(expected))
    ours, theirs = expected.argmax(axis=1), scores.argmax(axis=1)
    gaps = np.where(ours == theirs, -1.0, expected[rows, ours] - expected[rows, theirs])
    return [float(gap) for gap in np.where(np.isfinite(scores).all(axis=1), gaps, 1.0)]


# --- The parent ----------------------------------------------------------------------------------

CHILD = (sys.executable, "-m", "worker.inference.precision")
PROJECT = Path(__file__).resolve().parents[2]


def measure(
    version: ModelVersion, images: Sequence[bytes], *, seconds: float, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Comparison:
    """Compares bf16 with f32 for a version, in a child process that ends with this one.

    Args:
        images: encoded images. Those that cannot be decoded are left out.
        seconds: the time limit of the child.

    Raises:
        MeasurementFailed: the message says why.
    """
    pixels = _decoded(version, images, max_pixels)
    content = BytesIO()
    np.save(content, pixels, allow_pickle=False)
    # The child notices that the other end of this pipe is closed, however this process ends.
    alive, held_open = os.pipe()
    try:
        ended = subprocess.run(  # noqa: S603 - our own module
            [*CHILD, str(version.path), str(alive), str(seconds)],
            input=content.getvalue(),
            capture_output=True,
            cwd=PROJECT,
            pass_fds=[alive],
            start_new_session=True,  # Ctrl-C in a terminal must not pass for a failed measurement
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(f"measuring took longer than {seconds:g} s") from error
    finally:
        os.close(alive)
        os.close(held_open)
    if ended.returncode:
        raise MeasurementFailed(f"the measuring process {_end_of(ended)}")
    try:
        return Comparison(**json.loads(ended.stdout.splitlines()[-1]))
    except (ValueError, TypeError, IndexError) as error:
        raise MeasurementFailed("the measuring process wrote no result") from error


def _decoded(version: ModelVersion, images: Sequence[bytes], max_pixels: int) -> NDArray[np.uint8]:
    preprocess = Preprocessor(version.manifest.preprocessing, max_pixels=max_pixels)
    decoded = []
    for image in images:
        try:
            decoded.append(preprocess(image))
        except UndecodableImage:
            continue
    if not decoded:
        raise MeasurementFailed("there is no image to measure with")
    return np.stack(decoded)


def _end_of(ended: subprocess.CompletedProcess[bytes]) -> str:
    if ended.returncode < 0:
        return f"was ended by {signal.Signals(-ended.returncode).name}"
    lines = ended.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    return f"failed: {lines[-1][:300]}"


# --- The child -----------------------------------------------------------------------------------


def main(folder: str, alive: str, seconds: str) -> None:
    """Reads decoded images from standard input, compares, and writes the result to standard output as JSON."""
    faulthandler.dump_traceback_later(float(seconds), exit=True)  # even if compiled code hangs
    threading.Thread(target=_end_with_parent, args=(int(alive),), daemon=True).start()
    os.nice(5)  # an earlier version may be answering meanwhile
    version = ModelVersion.open(Path(folder))
    images: NDArray[np.uint8] = np.load(BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    f32, bf16 = (load_engine(version, precision=precision, threads=1) for precision in ("f32", "bf16"))
    print(json.dumps(asdict(compare_precisions(f32.predict, bf16.predict, images))), flush=True)  # noqa: T201 - the result
    os._exit(0)  # the watching thread must not run while the interpreter ends


def _end_with_parent(alive: int) -> NoReturn:
    os.read(alive, 1)  # returns when the parent's end is closed
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
