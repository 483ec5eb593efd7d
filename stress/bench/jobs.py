"""Job functions that do nothing or only sleep, so that benchmarks measure everything around them."""

from __future__ import annotations

import time
from typing import Any

from worker.rq_batch import batched

# In place of a network on a GPU: seconds for a call, and for each image of it.
CALL_SECONDS = 0.005
IMAGE_SECONDS = 0.0002
GPU_BATCH = 32


def plain(*_arguments: Any) -> None:
    """The job function of RQ's own workers."""


@batched(max_size=1)
def noop_1(arguments: list[tuple[Any, ...]]) -> list[None]:
    return [None] * len(arguments)


@batched(max_size=8)
def noop_8(arguments: list[tuple[Any, ...]]) -> list[None]:
    return [None] * len(arguments)


@batched(max_size=32)
def noop_32(arguments: list[tuple[Any, ...]]) -> list[None]:
    return [None] * len(arguments)


@batched(max_size=GPU_BATCH)
def gpu(arguments: list[tuple[Any, ...]]) -> list[None]:
    time.sleep(CALL_SECONDS + IMAGE_SECONDS * len(arguments))
    return [None] * len(arguments)
