"""Marking a job function as one that takes many jobs at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

BatchFunction = Callable[[list[tuple[Any, ...]]], Sequence[object]]


@dataclass(frozen=True)
class Batching:
    """How the jobs of one function are run together: at most `max_size` in a call, after at most `max_wait` seconds."""

    function: BatchFunction
    max_size: int
    max_wait: float

    def run(self, arguments: list[tuple[Any, ...]]) -> list[object]:
        """One result or exception for each tuple of arguments. Raises what the function raises."""
        outcomes = list(self.function(arguments))
        if len(outcomes) != len(arguments):
            raise TypeError(f"{self.function!r} was given {len(arguments)} jobs and returned {len(outcomes)} outcomes")
        return outcomes


def batched(*, max_size: int, max_wait: float = 0.0) -> Callable[[BatchFunction], Callable[..., object]]:
    """Makes a job function out of one that takes a list of argument tuples and returns one result or exception each.

    A `BatchWorker` runs up to `max_size` queued jobs of it as one call, and may wait until the oldest of them is
    `max_wait` seconds old before it does so with fewer. Called with the arguments of one job, as any other worker
    does, it runs that job alone: it returns its result or raises its exception.

    A job has to bear being run again: after a call that raised, each of its jobs is run once more, alone.
    """
    if max_size < 1 or max_wait < 0:
        raise ValueError(f"max_size is {max_size} and max_wait {max_wait}: at least 1, and not negative")

    def decorate(function: BatchFunction) -> Callable[..., object]:
        batching = Batching(function, max_size, max_wait)

        @functools.wraps(function)
        def alone(*arguments: Any) -> object:
            (outcome,) = batching.run([arguments])
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        alone.batching = batching  # type: ignore[attr-defined]
        return alone

    return decorate


def batching_of(function: object) -> Batching | None:
    """What the decorator said of a job function; `None` for an ordinary one."""
    found = getattr(function, "batching", None)
    return found if isinstance(found, Batching) else None
