"""Images in, labels out: the preprocessing, the forward pass, and what it means."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.inference.cores import usable_cores
from worker.inference.engines import Engine, load_engine
from worker.inference.preprocessing import DEFAULT_MAX_PIXELS, Preprocessor, UndecodableImage
from worker.inference.repository import Damaged, ModelVersion

TOP = 5


class UnusableOutput(ArithmeticError):
    """The network answered an image with something else than finite numbers."""


@dataclass(frozen=True)
class Classification:
    """The best label with its score, a probability 0..1, and the best five, best first."""

    label: str
    score: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class BatchResult:
    """One answer or exception for each image, in order, with the seconds that its part of the batch took."""

    answers: list[Classification | Exception]
    decode_seconds: list[float]
    compute_seconds: list[float]


class Classifier:
    """A loaded model version with all it needs to answer. For one thread at a time."""

    def __init__(self, version: ModelVersion, engine: Engine, preprocess: Preprocessor, *, decode_threads: int) -> None:
        if len(version.labels) != version.manifest.classes:
            raise Damaged(f"{version}: labels.tsv does not have {version.manifest.classes} labels")
        self.version = version
        self._engine = engine
        self._preprocess = preprocess
        self._threads = ThreadPoolExecutor(max(decode_threads, engine.lanes), thread_name_prefix="classify")

    @classmethod
    def load(
        cls,
        version: ModelVersion,
        *,
        engine: str = "openvino",
        precision: str = "f32",
        threads: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> Self:
        """Load a version. The options are those of `load_engine` and `Preprocessor`.

        Raises:
            EngineError, Damaged: see `load_engine`.
        """
        preprocess = Preprocessor(version.manifest.preprocessing, max_pixels=max_pixels)
        loaded = load_engine(version, engine=engine, precision=precision, threads=threads)
        # Half as many again as there are cores: some decode while the others wait for their turn in the engine.
        cores = threads or usable_cores()
        return cls(version, loaded, preprocess, decode_threads=cores + (cores + 1) // 2)

    def warm_up(self, max_batch: int = 1) -> None:
        """Make the first real batch, of any size up to this, as fast as the later ones."""
        self._engine.warm_up(range(1, min(max_batch, self._engine.part_size) + 1))
        # Pillow loads its readers, and the version its labels, when they are first needed.
        picture = io.BytesIO()
        Image.new("RGB", (64, 64)).save(picture, "JPEG")
        self.classify([picture.getvalue()])

    def classify(self, images: Sequence[bytes | Exception]) -> BatchResult:
        """Classifies a batch. An engine of several lanes works on several parts of it at a time.

        An image that cannot be decoded gets its `UndecodableImage`, one that the network cannot answer
        an `UnusableOutput`; an exception among `images` comes back in its place.
        """
        lanes, part_size = self._engine.lanes, self._engine.part_size
        if lanes == 1:
            done = list(self._in_one_lane(images, part_size))
        else:
            # Small batches are spread over all lanes too.
            size = max(1, min(part_size, math.ceil(len(images) / lanes)))
            done = list(self._threads.map(self._part, _parts(images, size)))
        return BatchResult(
            [answer for part in done for answer in part.answers],
            [seconds for part in done for seconds in part.decode_seconds],
            [seconds for part in done for seconds in part.compute_seconds],
        )

    def _in_one_lane(self, images: Sequence[bytes | Exception], part_size: int) -> Iterator[BatchResult]:
        """All threads decode, this one computes; the rest is decoded while the first parts are computed."""
        decoding = self._threads.map(self._decoded, images)
        for part in _parts(images, part_size):
            started = time.perf_counter()
            yield self._computed([next(decoding) for _ in part], started)

    def _part(self, images: Sequence[bytes | Exception]) -> BatchResult:
        started = time.perf_counter()
        return self._computed([self._decoded(image) for image in images], started)

    def _computed(self, pictures: Sequence[NDArray[np.uint8] | Exception], started: float) -> BatchResult:
        decoded = time.perf_counter()
        good = [picture for picture in pictures if not isinstance(picture, Exception)]
        rows = iter(self._engine.predict(np.stack(good)) if good else ())
        answers = [p if isinstance(p, Exception) else self._answer(next(rows)) for p in pictures]
        computed = time.perf_counter()
        number = len(pictures)
        return BatchResult(answers, [decoded - started] * number, [computed - decoded] * number)

    def _decoded(self, image: bytes | Exception) -> NDArray[np.uint8] | Exception:
        if isinstance(image, Exception):
            return image
        try:
            return self._preprocess(image)
        except UndecodableImage as error:
            return error

    def _answer(self, scores: NDArray[np.float32]) -> Classification | Exception:
        if not np.isfinite(scores).all():
            return UnusableOutput(f"{self.version} answered this image with numbers that are not finite")
        best = np.argsort(-scores, kind="stable")[:TOP]
        # bf16 rounds: a probability can come out a hair above 1.
        top = tuple((self.version.labels[i], min(1.0, float(scores[i]))) for i in best)
        return Classification(*top[0], top)


def _parts(images: Sequence[bytes | Exception], size: int) -> list[Sequence[bytes | Exception]]:
    return [images[start : start + size] for start in range(0, len(images), size)]
