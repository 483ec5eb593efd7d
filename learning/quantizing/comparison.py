"""Compares an int8 version with its base on pictures: answers, accuracy, and CPU time on this machine."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from learning.quantizing.pictures import Picture
from worker.inference.engines import Engine, EngineError, load_engine
from worker.inference.preprocessing import Preprocessor, UndecodableImage
from worker.inference.repository import ModelVersion, RepositoryError

BATCH = 2  # pictures in one call, as the engine computes best
TIMED_PICTURES = 8
ROUNDS = 15
PROGRESS_EVERY = 100  # pictures

Report = Callable[[str], None]


@dataclass
class PrecisionResult:
    """How one precision answers.

    Attributes:
        agree: how many pictures it answers as f32 does.
        right: how many pictures with a known label it answers with that label.
        milliseconds: CPU time of one picture, without decoding.
    """

    name: str
    agree: int = 0
    right: int = 0
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Flip:
    """A picture whose answer differs between f32 and int8.

    `score_of_new` is what f32 gives the label that int8 chooses: near `score`, f32 was undecided itself.
    """

    picture: Picture
    label: str
    score: float
    new_label: str
    new_score: float
    score_of_new: float


@dataclass
class Comparison:
    """The results of each precision, f32 first and int8 last, and the pictures whose answer flips."""

    precisions: list[PrecisionResult]
    compared: int = 0
    labelled: int = 0
    flips: list[Flip] = field(default_factory=list)


def decoded(
    pictures: Iterable[Picture], preprocess: Preprocessor
) -> Iterator[tuple[Picture, NDArray[np.uint8]]]:
    """Yields what a network takes of each picture. Pictures that cannot be read or decoded are left out."""
    for picture in pictures:
        try:
            pixels = preprocess(picture.read())
        except (OSError, UndecodableImage):
            continue
        yield picture, pixels


def preprocessor(version: ModelVersion) -> Preprocessor:
    return Preprocessor(version.manifest.preprocessing, max_pixels=settings.UPLOAD_MAX_PIXELS)


def compare(base: ModelVersion, int8: ModelVersion, pictures: Sequence[Picture], report: Report) -> Comparison:
    """Answers each picture in f32, in bf16 if this processor can, and in int8.

    Raises:
        EngineError, Damaged: a version cannot be loaded.
        RepositoryError: none of the pictures can be decoded.
    """
    engines = _engines(base, int8)
    labels = [label.display_name for label in base.labels]
    found = Comparison([PrecisionResult(name) for name in engines])
    timed: list[NDArray[np.uint8]] = []
    left = decoded(pictures, preprocessor(base))
    while batch := list(itertools.islice(left, BATCH)):
        pixels = np.stack([one for _picture, one in batch])
        timed += [one for _picture, one in batch][: TIMED_PICTURES - len(timed)]
        answers = [engine.predict(pixels) for engine in engines.values()]
        for row, (picture, _pixels) in enumerate(batch):
            _count(found, picture, [answer[row] for answer in answers], labels)
        if found.compared // PROGRESS_EVERY > (found.compared - len(batch)) // PROGRESS_EVERY:
            report(f"compared {found.compared:,} of {len(pictures):,} pictures")
    if not found.compared:
        raise RepositoryError("none of the pictures can be decoded")
    report("measuring the CPU time")
    for result, milliseconds in zip(found.precisions, _cpu_times(list(engines.values()), timed), strict=True):
        result.milliseconds = milliseconds
    return found


def _engines(base: ModelVersion, int8: ModelVersion) -> dict[str, Engine]:
    engines = {"f32": load_engine(base, precision="f32", threads=1)}
    try:
        engines["bf16"] = load_engine(base, precision="bf16", threads=1)
    except EngineError:
        pass  # this processor has no bf16
    return {**engines, "int8": load_engine(int8, precision="f32", threads=1)}


def _count(found: Comparison, picture: Picture, scores: Sequence[NDArray[np.float32]], labels: Sequence[str]) -> None:
    """Adds one picture, for which there are the scores of each precision."""
    best = [int(one.argmax()) for one in scores]
    known = labels.index(picture.label) if picture.label in labels else None
    found.compared += 1
    found.labelled += known is not None
    for result, answer in zip(found.precisions, best, strict=True):
        result.agree += answer == best[0]
        result.right += answer == known
    first, last = best[0], best[-1]
    if first != last:
        before, after = scores[0], scores[-1]
        values = (min(1.0, float(score)) for score in (before[first], after[last], before[last]))
        score, new_score, score_of_new = values
        found.flips.append(Flip(picture, labels[first], score, labels[last], new_score, score_of_new))


def _cpu_times(engines: Sequence[Engine], pictures: Sequence[NDArray[np.uint8]]) -> list[float]:
    """The median CPU milliseconds of one picture for each engine, measured in turns. Each has one thread."""
    batches = [np.stack(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH)]
    for engine in engines:
        engine.warm_up({len(batch) for batch in batches})
    times: list[list[float]] = [[] for _engine in engines]
    for _round in range(ROUNDS):
        for engine, measured in zip(engines, times, strict=True):
            started = time.process_time()
            for batch in batches:
                engine.predict(batch)
            measured.append((time.process_time() - started) / len(pictures) * 1000)
    return [statistics.median(measured) for measured in times]
