"""Images in, labels out: the preprocessing, one forward pass, and what it means."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.engines import Engine, load_engine
from worker.preprocessing import DEFAULT_MAX_PIXELS, Preprocessor, UndecodableImage
from worker.repository import Damaged, ModelVersion

TOP = 5


class UnusableOutput(ArithmeticError):
    """The network answered an image with something else than finite numbers."""


@dataclass(frozen=True)
class Answer:
    """The best label with its score, a probability 0..1, and the best five, best first."""

    label: str
    score: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Classified:
    """One answer or exception for each image, in order, and the seconds spent on the whole batch."""

    answers: list[Answer | Exception]
    decode_seconds: float
    compute_seconds: float


class Classifier:
    """A loaded model version with all it needs to answer. For one thread at a time."""

    def __init__(self, version: ModelVersion, engine: Engine, preprocess: Preprocessor, *, decode_threads: int) -> None:
        if len(version.labels) != version.manifest.classes:
            raise Damaged(f"{version}: labels.tsv does not have {version.manifest.classes} labels")
        self.version = version
        self._engine = engine
        self._preprocess = preprocess
        self._decoders = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")

    @classmethod
    def load(
        cls,
        version: ModelVersion,
        *,
        engine: str = "openvino",
        precision: str = "f32",
        threads: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        decode_threads: int = 0,
    ) -> Self:
        """Load a version; 0 `decode_threads` means one for each CPU. The rest is as in `load_engine`.

        Raises:
            EngineError, Damaged: see `load_engine`.
        """
        preprocess = Preprocessor(version.manifest.preprocessing, max_pixels=max_pixels)
        loaded = load_engine(version, engine=engine, precision=precision, threads=threads)
        return cls(version, loaded, preprocess, decode_threads=decode_threads or os.cpu_count() or 1)

    def warm_up(self, batch_sizes: Iterable[int] = (1,)) -> None:
        """Make the first real batch of each of these sizes as fast as the later ones."""
        self._engine.warm_up(batch_sizes)
        # Pillow loads its readers, and the version its labels, when they are first needed.
        picture = io.BytesIO()
        Image.new("RGB", (64, 64)).save(picture, "JPEG")
        self.classify([picture.getvalue()])

    def classify(self, images: Sequence[bytes | Exception]) -> Classified:
        """Answer a batch with one forward pass.

        An image that cannot be decoded gets its `UndecodableImage`, one that the network cannot answer
        an `UnusableOutput`; an exception among `images` comes back in its place.
        """
        started = time.perf_counter()
        tensors = list(self._decoders.map(self._decoded, images))
        decoded = time.perf_counter()
        good = [tensor for tensor in tensors if not isinstance(tensor, Exception)]
        rows = iter(self._engine.predict(np.stack(good)) if good else ())
        computed = time.perf_counter()
        answers = [t if isinstance(t, Exception) else self._answer(next(rows)) for t in tensors]
        return Classified(answers, decoded - started, computed - decoded)

    def _decoded(self, image: bytes | Exception) -> NDArray[np.float32] | Exception:
        if isinstance(image, Exception):
            return image
        try:
            return self._preprocess(image)
        except UndecodableImage as error:
            return error

    def _answer(self, scores: NDArray[np.float32]) -> Answer | Exception:
        if not np.isfinite(scores).all():
            return UnusableOutput(f"{self.version} answered this image with numbers that are not finite")
        best = np.argsort(-scores, kind="stable")[:TOP]
        # bf16 rounds: a probability can come out a hair above 1.
        top = tuple((self.version.labels[i], min(1.0, float(scores[i]))) for i in best)
        return Answer(*top[0], top)
