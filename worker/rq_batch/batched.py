"""The decorator for job functions that run many jobs in one call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

BatchFunction = Callable[[list[tuple[Any, ...]]], Sequence[object]]


@dataclass(frozen=True)
class Batching:
    """How to run the jobs of one function together.

    Args:
        function: the decorated function.
        max_size: most jobs in one call.
        max_wait: most seconds that a job waits for others to fill its batch.
    """

    function: BatchFunction
    max_size: int
    max_wait: float

    def run(self, arguments: list[tuple[Any, ...]]) -> list[object]:
        """Returns one result or exception for each tuple of arguments. Raises what the function raises."""
        outcomes = list(self.function(arguments))
        if len(outcomes) != len(arguments):
            raise TypeError(f"{self.function!r} was given {len(arguments)} jobs and returned {len(outcomes)} outcomes")
        return outcomes


def batched(*, max_size: int, max_wait: float = 0.0) -> Callable[[BatchFunction], Callable[..., object]]:
    """Makes a job function of a function that takes a list of argument tuples.

    The function returns one result or exception for each tuple, in the same order. A `BatchWorker` calls it with the
    arguments of up to `max_size` queued jobs. It may wait for more jobs until the oldest one is `max_wait` seconds old.

    Any other caller passes the arguments of one job. The job then runs alone, and its exception is raised.

    A job must tolerate being run twice: if a call raises, the worker runs each of its jobs once more, alone.
    """
    if max_size < 1 or max_wait < 0:
        raise ValueError(f"max_size is {max_size} and max_wait {max_wait}: at least 1, and not negative")

    def decorate(function: BatchFunction) -> Callable[..., object]:
        batching = Batching(function, max_size, max_wait)

        @functools.wraps(function)
        def run_alone(*arguments: Any) -> object:
            (outcome,) = batching.run([arguments])
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        run_alone.batching = batching  # type: ignore[attr-defined]
        return run_alone

    return decorate


def batching_of(function: object) -> Batching | None:
    """Returns how to batch the jobs of a function, or `None` if it is not decorated with `batched`."""
    found = getattr(function, "batching", None)
    return found if isinstance(found, Batching) else None
