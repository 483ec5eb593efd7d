"""Compares an int8 version with its base on pictures: answers, accuracy, and CPU time on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from learning.quantizing.pictures import SamplePicture
from worker.inference import precision
from worker.inference.engines import load_engine
from worker.inference.preprocessing import Preprocessor, UndecodableImage
from worker.inference.repository import ModelVersion, RepositoryError

BATCH = 2  # pictures in one call, as the engine computes best
TIMED_PICTURES = 32
BF16_SECONDS = 120  # measuring bf16 takes less than one second, where the processor has it
PROGRESS_EVERY = 100  # pictures

Report = Callable[[str], None]


@dataclass(frozen=True)
class PrecisionResult:
    """How one precision answers.

    Attributes:
        milliseconds: CPU time of one picture, without decoding.
        compared: how many pictures it has answered.
        agree: how many of these it answers as f32 does.
        right: how many of those with a known label it answers with that label; None if it was not given them.
    """

    name: str
    milliseconds: float
    compared: int
    agree: int
    right: int | None


@dataclass(frozen=True)
class Flip:
    """A picture whose answer differs between f32 and int8.

    `score_of_new` is what f32 gives the label that int8 chooses: near `score`, f32 was undecided itself.
    """

    picture: SamplePicture
    label: str
    score: float
    new_label: str
    new_score: float
    score_of_new: float


@dataclass(frozen=True)
class Int8Comparison:
    """The results of each precision, f32 first and int8 last, and the pictures whose answer flips.

    Attributes:
        labelled: how many pictures have a known label.
    """

    precisions: list[PrecisionResult]
    labelled: int
    flips: list[Flip]

    @property
    def compared(self) -> int:
        return self.precisions[0].compared


def decoded(
    pictures: Iterable[SamplePicture], preprocess: Preprocessor
) -> Iterator[tuple[SamplePicture, NDArray[np.uint8]]]:
    """Yields what a network takes of each picture. Pictures that cannot be read or decoded are left out."""
    for picture in pictures:
        try:
            pixels = preprocess(picture.read())
        except (OSError, UndecodableImage):
            continue
        yield picture, pixels


def preprocessor(version: ModelVersion) -> Preprocessor:
    return Preprocessor(version.manifest.preprocessing, max_pixels=settings.UPLOAD_MAX_PIXELS)


def compare_with_base(
    base: ModelVersion, int8: ModelVersion, pictures: Sequence[SamplePicture], report: Report
) -> Int8Comparison:
    """Answers each picture in f32 and in int8, and measures the CPU time of these and of bf16.

    Raises:
        EngineError, Damaged: a version cannot be loaded.
        RepositoryError: none of the pictures can be decoded.
    """
    engines = [load_engine(version, precision="f32", threads=1) for version in (base, int8)]
    counting = _Counting([label.display_name for label in base.labels])
    timed: list[tuple[SamplePicture, NDArray[np.uint8]]] = []
    left = decoded(pictures, preprocessor(base))
    while batch := list(itertools.islice(left, BATCH)):
        before, after = (engine.predict(np.stack([pixels for _picture, pixels in batch])) for engine in engines)
        for row, (picture, _pixels) in enumerate(batch):
            counting.add(picture, before[row], after[row])
        timed += batch[: TIMED_PICTURES - len(timed)]
        if counting.compared // PROGRESS_EVERY > (counting.compared - len(batch)) // PROGRESS_EVERY:
            report(f"compared {counting.compared:,} of {len(pictures):,} pictures")
    if not timed:
        raise RepositoryError("none of the pictures can be decoded")
    report("measuring the CPU time")
    predict_f32, predict_int8 = (engine.predict for engine in engines)
    times = precision.compare_precisions(predict_f32, predict_int8, np.stack([pixels for _picture, pixels in timed]))
    compared, flips = counting.compared, counting.flips
    results = [
        PrecisionResult("f32", times.f32_ms, compared, compared, counting.right[0]),
        *_bf16(base, [picture for picture, _pixels in timed], report),
        PrecisionResult("int8", times.other_ms, compared, compared - len(flips), counting.right[1]),
    ]
    return Int8Comparison(results, counting.labelled, flips)


class _Counting:
    """Counts agreement and right answers, picture by picture."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._positions = {label: position for position, label in enumerate(labels)}
        self.compared = self.labelled = 0
        self.right = [0, 0]  # in f32 and in int8
        self.flips: list[Flip] = []

    def add(self, picture: SamplePicture, before: NDArray[np.float32], after: NDArray[np.float32]) -> None:
        """Adds a picture with its scores in f32 and in int8."""
        old, new = int(before.argmax()), int(after.argmax())
        known = self._positions.get(picture.label)
        self.compared += 1
        self.labelled += known is not None
        self.right[0] += old == known
        self.right[1] += new == known
        if old != new:
            score, new_score, score_of_new = (min(1.0, float(one)) for one in (before[old], after[new], before[new]))
            self.flips.append(Flip(picture, self._labels[old], score, self._labels[new], new_score, score_of_new))


def _bf16(base: ModelVersion, pictures: Sequence[SamplePicture], report: Report) -> list[PrecisionResult]:
    """The result of bf16, from fewer pictures; none if this processor cannot compute in it.

    It is measured in a child process, because bf16 crashes on some processors.
    """
    try:
        found = precision.measure(
            base,
            [picture.read() for picture in pictures],
            seconds=BF16_SECONDS,
            max_pixels=settings.UPLOAD_MAX_PIXELS,
        )
    except (precision.MeasurementFailed, OSError) as error:
        report(f"bf16 is not compared: {error}")
        return []
    return [PrecisionResult("bf16", found.other_ms, found.images, found.images - found.flips, None)]
