"""What things cost in CPU time, told from a few measured cells; all others are left to test the model on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy.optimize import nnls

from stress.recorder import FAILED, OK, REFUSED
from stress.report.measured import PREDICT, Matrix, Measured

# The cells that the costs are told from, where they were measured: little load, much, too much, and far too much; with
# and without batches; with each number of workers, which need more the more of them get in each other's way.
CALIBRATION_USERS = (50, 250, 1000, 5000)
CALIBRATION_BATCHES = (1, 32)

SATURATED = 0.9  # of all cores' time: from there on it is cores that are missing, and nothing else
OVERLOADED_MS = 1000  # an answer that takes so long, on average, has waited in a queue that is never empty
CROWDED = 0.5  # refused, of all who ask: where it is more, the queue is as long as it may be

WAIT_LIMIT = 30.0  # PREDICT_WAIT_SECONDS
QUEUE_SECONDS = 0.5 * WAIT_LIMIT  # the longest queue that is let in

REST = ("valkey", "exporter", "supervisor")
STATIC = "/static/"


@dataclass(frozen=True)
class EngineCosts:
    """CPU seconds of a worker, one of so many.

    `light_ms`: from request to answer where nobody is before it. `alone`, `together`: how many cores one worker keeps
    busy at most, with one picture in hand and with full batches, where there are cores left. It also fetches, commits
    and waits for its turn, so that they may be fewer than its threads, of which it has its share of the cores.
    """

    each: float
    batch: float
    light_ms: float
    alone: float
    together: float

    def prediction(self, batch_size: float) -> float:
        return self.each + self.batch / batch_size


@dataclass(frozen=True)
class Costs:
    """CPU seconds for each prediction, each page with its files, and each refusal.

    `usable`: of all cores' time what can be used. `queue_filled`: how long those wait who are let in where most are
    refused, as a share of the longest queue that is let in: it is not always at its limit.
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
        """Raises `KeyError` if nothing is known of that engine."""
        known = [number for other, number in self.engines if other == name]
        if not known:
            raise KeyError(name)
        return self.engines[name, min(known, key=lambda number: abs(number - workers))]


def calibration(matrix: Matrix) -> list[Measured]:
    """The cells to tell the costs from. Of a part of the matrix without those users, every second number of users."""
    every = matrix.values(lambda cell: cell.users)
    users = CALIBRATION_USERS if set(CALIBRATION_USERS) <= set(every) else every[::2]
    return [each for each in matrix if each.cell.users in users and each.cell.batch_size in CALIBRATION_BATCHES]


def costs(cells: Sequence[Measured]) -> Costs:
    """Raises `ValueError` where there is nothing to tell the costs from."""
    if not cells:
        raise ValueError(f"needs cells with batches of {' and '.join(map(str, CALIBRATION_BATCHES))}")
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
    # With one picture in hand all are alike, however many there are.
    alone = [_lanes(found) for found in same if _is_overloaded(found) and found.cell.batch_size == 1]
    full = [found for found in mine if _is_overloaded(found) and found.cell.batch_size > 1]
    together = [_lanes(found) for found in full if _busy(found) < SATURATED]
    threads = max(1, mine[0].cores // workers)
    return EngineCosts(each, batch, fmean(light), max(alone, default=1.0), max(together, default=float(threads)))


def _queue_filled(cells: Sequence[Measured]) -> float:
    """1 where no cell tells it."""
    found = [each for each in cells if each.refused_share > CROWDED]
    waits = [(each.ms("mean") or 0.0) / 1000 / QUEUE_SECONDS for each in found]
    return min(1.0, fmean(waits)) if waits else 1.0


def _busy(found: Measured) -> float:
    """As a share of all cores."""
    return found.cores_of("web", "worker", "locust", *REST) / found.cores + found.others_share


def _lanes(found: Measured) -> float:
    """Cores that one of its workers kept busy."""
    return found.cores_of("worker") / found.cell.workers


def _is_overloaded(found: Measured) -> bool:
    return (found.ms("mean") or 0.0) > OVERLOADED_MS


def predictions(each: Measured) -> float:
    """Of a second, like all that follow."""
    return each.rate


def batches(each: Measured) -> float:
    return float(each.found["rows"]["batches"]) / each.seconds


def pages(each: Measured) -> float:
    """Everything that is neither a prediction of the API nor refused; the files of a page count with it.

    They come with it in the same proportion in every cell, so that nothing could tell the two costs apart.
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
    """The cost of each kind that explains best what was used; none is negative.

    Cells with much load count more than those with little, where it matters less what things cost.
    """
    rows = [[kind(each) for kind in kinds] for each in cells]
    found, _residual = nnls(np.array(rows), np.array([used(each) for each in cells]))
    return [float(value) for value in found]
