"""Classifies the bytes of images: preprocessing, forward pass, and the best labels."""

from __future__ import annotations

import io
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
    """The network's output for an image contains NaN or infinity."""


@dataclass(frozen=True)
class Classification:
    """The best label by its display name, its score (a probability 0..1), and the `TOP` best pairs of these.

    `features`: what the network's last layer reads, if the classifier was loaded with features and the network has any.
    """

    label: str
    score: float
    top: tuple[tuple[str, float], ...]
    features: NDArray[np.float16] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class BatchResult:
    """One answer or exception for each image, in order, with the seconds that its micro-batch took."""

    answers: list[Classification | Exception]
    decode_seconds: list[float]
    compute_seconds: list[float]


class Classifier:
    """A loaded model version with its preprocessing and decoding threads. Use it from one thread at a time.

    Attributes:
        precision: what the answers are computed in: `int8` if the weights are, else the engine's `f32` or `bf16`.

    Raises:
        Damaged: the version's labels are damaged, or not as many as the network's classes.
    """

    def __init__(
        self,
        version: ModelVersion,
        engine: Engine,
        preprocess: Preprocessor,
        *,
        decode_threads: int,
        precision: str = "f32",
    ) -> None:
        if len(version.labels) != version.manifest.classes:
            raise Damaged(f"{version}: labels.tsv does not have {version.manifest.classes} labels")
        self.version = version
        self.precision = "int8" if version.manifest.precision == "int8" else precision
        self.backbone = engine.backbone
        self._engine = engine
        self._preprocess = preprocess
        self._threads = ThreadPoolExecutor(max(decode_threads, engine.streams), thread_name_prefix="classify")

    @classmethod
    def load(
        cls,
        version: ModelVersion,
        *,
        engine: str = "openvino",
        precision: str = "f32",
        threads: int = 0,
        features: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> Self:
        """Loads a version. `engine`, `precision`, `threads` and `features` are those of `load_engine`.

        Args:
            max_pixels: the largest width x height that is decoded, see `Preprocessor`.

        Raises:
            EngineError, Damaged: see `load_engine`.
        """
        preprocess = Preprocessor(version.manifest.preprocessing, max_pixels=max_pixels)
        loaded = load_engine(version, engine=engine, precision=precision, threads=threads, features=features)
        # 1.5 threads a core: some decode while the others wait for a stream of the engine.
        cores = threads or usable_cores()
        return cls(version, loaded, preprocess, decode_threads=cores + (cores + 1) // 2, precision=precision)

    def warm_up(self, max_batch: int = 1) -> None:
        """Computes every micro-batch size that batches of up to `max_batch` images need, so that none is slow later."""
        self._engine.warm_up(range(1, min(max_batch, self._engine.micro_batch_size) + 1))
        # Pillow loads its decoders, and the version its labels, at the first use.
        file = io.BytesIO()
        Image.new("RGB", (64, 64)).save(file, "JPEG")
        self.classify([file.getvalue()])

    def classify(self, images: Sequence[bytes | Exception]) -> BatchResult:
        """Classifies a batch; the streams of the engine work on its micro-batches in parallel.

        Args:
            images: encoded images (see `opening.FORMATS`). The caller may pass an exception for an image that it
                could not read; the result has the same exception at that index. Each image is fetched from the sequence
                once, when it is decoded, so that a sequence may read it from a file.

        Returns:
            At each index a `Classification`, an `UndecodableImage` or an `UnusableOutput`: a bad image does not
            affect the others.
        """
        streams, micro_batch_size = self._engine.streams, self._engine.micro_batch_size
        if streams == 1:
            results = list(self._pipeline(images, micro_batch_size))
        else:
            # Small batches are spread over all streams too.
            size = max(1, min(micro_batch_size, math.ceil(len(images) / streams)))
            results = list(self._threads.map(self._decode_and_compute, _split(images, size)))
        return BatchResult(
            [answer for result in results for answer in result.answers],
            [seconds for result in results for seconds in result.decode_seconds],
            [seconds for result in results for seconds in result.compute_seconds],
        )

    def _pipeline(self, images: Sequence[bytes | Exception], size: int) -> Iterator[BatchResult]:
        """Computes in this thread while the other threads decode the images that follow."""
        decoding = self._threads.map(lambda index: self._decode(images[index]), range(len(images)))
        for _start in range(0, len(images), size):
            started = time.perf_counter()
            yield self._compute(list(itertools.islice(decoding, size)), started)

    def _decode_and_compute(self, images: Sequence[bytes | Exception]) -> BatchResult:
        started = time.perf_counter()
        return self._compute([self._decode(image) for image in images], started)

    def _decode(self, image: bytes | Exception) -> NDArray[np.uint8] | Exception:
        if isinstance(image, Exception):
            return image
        try:
            return self._preprocess(image)
        except UndecodableImage as error:
            return error

    def _compute(self, decoded: Sequence[NDArray[np.uint8] | Exception], started: float) -> BatchResult:
        decoded_at = time.perf_counter()
        good = [pixels for pixels in decoded if not isinstance(pixels, Exception)]
        rows = iter(self._predict(np.stack(good)) if good else ())
        answers = [item if isinstance(item, Exception) else self._answer(*next(rows)) for item in decoded]
        decode_seconds, compute_seconds = decoded_at - started, time.perf_counter() - decoded_at
        return BatchResult(answers, [decode_seconds] * len(decoded), [compute_seconds] * len(decoded))

    def _predict(self, batch: NDArray[np.uint8]) -> Iterable[tuple[NDArray[np.float32], NDArray[np.float16] | None]]:
        """Returns the probabilities and the features of each image, None for features too large for 16 bits."""
        probabilities, features = self._engine.predict_with_features(batch)
        if features is None:
            return zip(probabilities, itertools.repeat(None))
        with np.errstate(over="ignore"):
            vectors = features.astype(np.float16)
        return zip(probabilities, (vector if np.isfinite(vector).all() else None for vector in vectors), strict=True)

    def _answer(self, scores: NDArray[np.float32], features: NDArray[np.float16] | None) -> Classification | Exception:
        if not np.isfinite(scores).all():
            return UnusableOutput(f"the output of {self.version} for this image is not finite")
        best = np.argsort(-scores, kind="stable")[:TOP]
        # In bf16, rounding can put a probability slightly above 1.
        top = tuple((self.version.labels[i].display_name, min(1.0, float(scores[i]))) for i in best)
        return Classification(*top[0], top, features)


def _split(images: Sequence[bytes | Exception], size: int) -> list[Sequence[bytes | Exception]]:
    return [images[start : start + size] for start in range(0, len(images), size)]
