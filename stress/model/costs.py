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
# and without batches; one worker with all cores, and two that share them.
CALIBRATION_USERS = (50, 250, 1000, 5000)
CALIBRATION_BATCHES = (1, 32)
CALIBRATION_WORKERS = 2  # numbers of workers, beginning with the smallest

SATURATED = 0.8  # of all cores' time: if no cell came so far, nothing is known of how far one can come
OVERLOADED_MS = 1000  # an answer that takes so long, on average, has waited in a queue that is never empty

REST = ("valkey", "exporter", "supervisor")
STATIC = "/static/"


def threads(workers: int, cores: int) -> int:
    """That each worker computes with: its share of the cores."""
    return max(1, cores // workers)


@dataclass(frozen=True)
class EngineCosts:
    """CPU seconds of a worker with so many threads: each more costs something by itself.

    `light_ms`: from request to answer where nobody is before it. `alone`, `together`: how many cores one worker keeps
    busy at most, with one picture in hand and with full batches. It also fetches, commits and waits for its turn, so
    that they are fewer than its threads.
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

    `usable`: of all cores' time what can be used.
    """

    cores: int
    usable: float
    web_prediction: float
    web_page: float
    web_refusal: float
    rest_prediction: float
    generator_request: float
    engines: dict[tuple[str, int], EngineCosts]  # by name, and threads of a worker

    def engine(self, name: str, workers: int) -> EngineCosts:
        """Raises `KeyError` if nothing is known of that engine."""
        wanted = threads(workers, self.cores)
        known = [number for other, number in self.engines if other == name]
        if not known:
            raise KeyError(name)
        return self.engines[name, min(known, key=lambda number: abs(number - wanted))]


def calibration(matrix: Matrix) -> list[Measured]:
    """The cells to tell the costs from. Of a part of the matrix without those users, every second number of users."""
    workers = matrix.values(lambda cell: cell.workers)[:CALIBRATION_WORKERS]
    every = matrix.values(lambda cell: cell.users)
    users = CALIBRATION_USERS if set(CALIBRATION_USERS) <= set(every) else every[::2]
    return [
        each
        for each in matrix
        if each.cell.users in users and each.cell.batch_size in CALIBRATION_BATCHES and each.cell.workers in workers
    ]


def costs(cells: Sequence[Measured]) -> Costs:
    """Raises `ValueError` where there is nothing to tell the costs from."""
    if not cells:
        raise ValueError(
            f"needs cells with batches of {' and '.join(map(str, CALIBRATION_BATCHES))} and the fewest workers"
        )
    kinds = (predictions, pages, refusals)
    prediction, page, refusal = _solve(cells, kinds, lambda each: each.cores_of("web"))
    (rest,) = _solve(cells, (predictions,), lambda each: each.cores_of(*REST))
    (generator,) = _solve(cells, (requests,), lambda each: each.cores_of("locust"))
    busy = [each.cores_of("web", "worker", "locust", *REST) / each.cores + each.others_share for each in cells]
    kinds_of_worker = sorted({(each.cell.engine, threads(each.cell.workers, each.cores)) for each in cells})
    return Costs(
        cores=cells[0].cores,
        usable=min(1.0, max(busy)) if max(busy) > SATURATED else 1.0,
        web_prediction=prediction,
        web_page=page,
        web_refusal=refusal,
        rest_prediction=rest,
        generator_request=generator,
        engines={kind: _engine(cells, *kind) for kind in kinds_of_worker},
    )


def _engine(cells: Sequence[Measured], engine: str, number: int) -> EngineCosts:
    """`number`: of threads."""
    same = [found for found in cells if found.cell.engine == engine]
    mine = [found for found in same if threads(found.cell.workers, found.cores) == number]
    each, batch = _solve(mine, (predictions, batches), lambda found: found.cores_of("worker"))
    fewest = min(found.cell.users for found in mine)
    light = [found.ms("mean") or 0.0 for found in mine if found.cell.users == fewest]
    # With one picture in hand all are alike, however many threads they have.
    alone = [_lanes(found) for found in same if _is_overloaded(found) and found.cell.batch_size == 1]
    together = [_lanes(found) for found in mine if _is_overloaded(found) and found.cell.batch_size > 1]
    return EngineCosts(each, batch, fmean(light), max(alone, default=1.0), max(together, default=float(number)))


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
