"""The CPU time of each kind of request, estimated from some cells. The others test the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy.optimize import nnls

from stress.recorder import FAILED, OK, REFUSED
from stress.report.measured import PREDICT, Matrix, Measured

# The cells that the costs are estimated from: light load, heavy load, overload and severe overload, with and without
# batches, and with each number of workers, because workers that compete for the cores need more CPU time.
CALIBRATION_USERS = (50, 250, 1000, 5000)
CALIBRATION_BATCHES = (1, 32)

SATURATED = 0.9  # of all cores' time: from there on, only the cores limit the rate
OVERLOADED_MS = 1000  # mean time of an answer from which on the queue is never empty
CROWDED = 0.5  # share of refusals from which on the queue has its greatest length

WAIT_LIMIT = 30.0  # PREDICT_WAIT_SECONDS
QUEUE_SECONDS = 0.5 * WAIT_LIMIT  # of the longest queue that admission control allows

REST = ("valkey", "exporter", "supervisor")
STATIC = "/static/"


@dataclass(frozen=True)
class EngineCosts:
    """CPU seconds of a worker: for `each` prediction and for each `batch`.

    `light_ms` is the time from request to answer without a queue. `cores_single` and `cores_batch` are the number of
    cores that one worker keeps busy with single pictures and with full batches, if enough cores are free. They may be
    fewer than its threads, because it also fetches, commits and waits.
    """

    each: float
    batch: float
    light_ms: float
    cores_single: float
    cores_batch: float

    def prediction(self, batch_size: float) -> float:
        return self.each + self.batch / batch_size


@dataclass(frozen=True)
class Costs:
    """CPU seconds for each prediction, each page with its files, and each refusal.

    `usable` is the usable share of all cores' time. `queue_filled` is the waiting time where most requests are refused,
    as a share of the longest: the queue is not always at its limit.
    """

    cores: int
    usable: float
    queue_filled: float
    web_prediction: float
    web_page: float
    web_refusal: float
    rest_prediction: float
    generator_request: float
    engines: dict[tuple[str, int], EngineCosts]  # by name and number of workers

    def engine(self, name: str, workers: int) -> EngineCosts:
        """Returns the costs with the nearest number of workers. Raises `KeyError` for an unknown engine."""
        known = [number for other, number in self.engines if other == name]
        if not known:
            raise KeyError(name)
        return self.engines[name, min(known, key=lambda number: abs(number - workers))]


def calibration(matrix: Matrix) -> list[Measured]:
    """Returns the cells to estimate the costs from. A partial matrix uses every second number of users."""
    every = matrix.values(lambda cell: cell.users)
    users = CALIBRATION_USERS if set(CALIBRATION_USERS) <= set(every) else every[::2]
    return [each for each in matrix if each.cell.users in users and each.cell.batch_size in CALIBRATION_BATCHES]


def costs(cells: Sequence[Measured]) -> Costs:
    """Estimates the costs from these cells. Raises `ValueError` if there are none."""
    if not cells:
        raise ValueError(f"that needs cells with batches of {' and '.join(map(str, CALIBRATION_BATCHES))}")
    kinds = (predictions, pages, refusals)
    prediction, page, refusal = _solve(cells, kinds, lambda each: each.cores_of("web"))
    (rest,) = _solve(cells, (predictions,), lambda each: each.cores_of(*REST))
    (generator,) = _solve(cells, (requests,), lambda each: each.cores_of("locust"))
    busy = [_busy(each) for each in cells]
    return Costs(
        cores=cells[0].cores,
        usable=min(1.0, max(busy)) if max(busy) > SATURATED else 1.0,
        queue_filled=_queue_filled(cells),
        web_prediction=prediction,
        web_page=page,
        web_refusal=refusal,
        rest_prediction=rest,
        generator_request=generator,
        engines={
            kind: _engine(cells, *kind) for kind in sorted({(each.cell.engine, each.cell.workers) for each in cells})
        },
    )


def _engine(cells: Sequence[Measured], engine: str, workers: int) -> EngineCosts:
    same = [found for found in cells if found.cell.engine == engine]
    mine = [found for found in same if found.cell.workers == workers]
    each, batch = _solve(mine, (predictions, batches), lambda found: found.cores_of("worker"))
    fewest = min(found.cell.users for found in mine)
    light = [found.ms("mean") or 0.0 for found in mine if found.cell.users == fewest]
    # A worker with single pictures uses the same number of cores, however many workers there are.
    single = [_cores_per_worker(found) for found in same if _is_overloaded(found) and found.cell.batch_size == 1]
    full = [found for found in mine if _is_overloaded(found) and found.cell.batch_size > 1]
    batch_cores = [_cores_per_worker(found) for found in full if _busy(found) < SATURATED]
    threads = max(1, mine[0].cores // workers)
    return EngineCosts(each, batch, fmean(light), max(single, default=1.0), max(batch_cores, default=float(threads)))


def _queue_filled(cells: Sequence[Measured]) -> float:
    """Returns the mean waiting time of crowded cells, as a share of the longest; 1 if no cell was crowded."""
    found = [each for each in cells if each.refused_share > CROWDED]
    waits = [(each.ms("mean") or 0.0) / 1000 / QUEUE_SECONDS for each in found]
    return min(1.0, fmean(waits)) if waits else 1.0


def _busy(found: Measured) -> float:
    """Returns the busy share of all cores."""
    return found.cores_of("web", "worker", "locust", *REST) / found.cores + found.others_share


def _cores_per_worker(found: Measured) -> float:
    """Returns the cores that each of its workers kept busy."""
    return found.cores_of("worker") / found.cell.workers


def _is_overloaded(found: Measured) -> bool:
    return (found.ms("mean") or 0.0) > OVERLOADED_MS


def predictions(each: Measured) -> float:
    """Returns predictions per second. All functions below return rates too."""
    return each.rate


def batches(each: Measured) -> float:
    return float(each.found["rows"]["batches"]) / each.seconds


def pages(each: Measured) -> float:
    """Returns the rate of answered requests other than the API's predictions, without the files of pages.

    The cost of files is part of the cost of pages: their proportion is the same in every cell.
    """
    others = [name for name in each.found["requests"] if name not in (PREDICT, STATIC, "from upload to answer")]
    return each.count(OK, *others) / each.seconds if others else 0.0


def refusals(each: Measured) -> float:
    return each.count(REFUSED) / each.seconds


def requests(each: Measured) -> float:
    return sum(each.count(outcome) for outcome in (OK, REFUSED, FAILED)) / each.seconds


def _solve(
    cells: Iterable[Measured], kinds: Sequence[Callable[[Measured], float]], used: Callable[[Measured], float]
) -> list[float]:
    """Returns the non-negative cost of each kind that fits the used time best, by least squares.

    The errors are absolute, so that cells with heavy load count more.
    """
    rows = [[kind(each) for kind in kinds] for each in cells]
    found, _residual = nnls(np.array(rows), np.array([used(each) for each in cells]))
    return [float(value) for value in found]
