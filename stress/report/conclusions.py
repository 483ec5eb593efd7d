"""The conclusions in words. Each sentence comes from the results, and is left out where they are missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from stress.recorder import FAILED, REFUSED
from stress.report.measured import FORM, GOOD_MS, INDEX, PREDICT, SYSTEM, WAIT_MS, Matrix, Measured
from stress.tables import plural

SATURATED = 0.95  # of the highest rate of a curve: from there on, more users hardly raise the rate
GAIN = 0.1  # two runs of the same cell differ by less than this
HEADROOM = 0.7  # busy share of a core up to which answers come in time
DISTURBED = 0.05  # of the CPU time, used by unrelated programs


def conclusions(matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Yields (heading, paragraph)."""
    for engine in matrix.values(lambda cell: cell.engine):
        for heading, sentences in (
            ("Where it saturates", _saturation(matrix, engine)),
            ("What breaks first", _breaks(matrix, engine)),
            ("How many users, and for ten times as many", _capacity(matrix, engine)),
        ):
            text = " ".join(sentences)
            if text:
                yield f"{heading}: {engine}", text
    yield "The load generator", " ".join(_generator(list(matrix)))


def _best_curve(matrix: Matrix, engine: str) -> list[Measured]:
    """Returns the curve with the fewest workers and the largest batches."""
    mine = [each.cell for each in matrix if each.cell.engine == engine]
    workers = min(cell.workers for cell in mine)
    return matrix.curve(engine, workers, max(cell.batch_size for cell in mine if cell.workers == workers))


def _saturation(matrix: Matrix, engine: str) -> Iterator[str]:
    curve = _best_curve(matrix, engine)
    top = max(curve, key=lambda each: each.rate)
    knee = next(each for each in curve if each.rate >= SATURATED * top.rate)
    yield (
        f"With {_workers_of(top)} and batches of up to {top.cell.batch_size}, the highest rate is {top.rate:.0f} "
        f"predictions per second, and {knee.cell.users:,} users reach {SATURATED:.0%} of it."
    )
    if knee is curve[-1] and len(curve) > 1:
        yield "More users were not measured, so the rate may rise further."
    yield f"Cores busy there: {_busiest(top)}."
    last = curve[-1]
    if last.rate < (1 - GAIN) * top.rate:
        yield (
            f"With {last.cell.users:,} users it is {last.rate:.0f}: {last.refused_share:.0%} of all requests for a "
            f"prediction are refused, and refusals and pages take cores from the workers ({_busiest(last)})."
        )


def _busiest(each: Measured) -> str:
    roles = {role: each.cores_of(role) for role in (*SYSTEM, "locust")}
    largest = sorted(roles, key=lambda role: -roles[role])[:3]
    return ", ".join(f"{role} {roles[role]:.2f}" for role in largest) + f", of {each.cores}"


def _breaks(matrix: Matrix, engine: str) -> Iterator[str]:
    curve = _best_curve(matrix, engine)
    signs: tuple[tuple[str, Callable[[Measured], bool]], ...] = (
        (f"p95 of /api/predict is over {GOOD_MS / 1000:.0f} s", lambda each: (each.ms("p95") or 0) > GOOD_MS),
        ("requests are refused", lambda each: each.count(REFUSED) > 0),
        ("p99 of the index page is over 1 s", lambda each: (each.ms("p99", INDEX) or 0) > GOOD_MS),
        ("p99 of refusals is over 1 s", lambda each: (each.ms("p99", PREDICT, REFUSED) or 0) > GOOD_MS),
        ("a request fails", lambda each: each.count(FAILED) > 0),
        ("a connection is lost", lambda each: each.connections_lost > 0),
    )
    found = []
    for what, happens in signs:
        users = next((each.cell.users for each in curve if happens(each)), None)
        found.append((math.inf if users is None else users, what))
    seen = [
        f"{what} from {users:,} users on" for users, what in sorted(found, key=lambda pair: pair[0]) if users < math.inf
    ]
    never = [what for users, what in found if users == math.inf]
    if seen:
        yield "In this order: " + "; ".join(seen) + "."
    if never:
        yield f"Never, up to {curve[-1].cell.users:,} users: " + "; ".join(never) + "."


def _capacity(matrix: Matrix, engine: str) -> Iterator[str]:
    mine = [each for each in matrix if each.cell.engine == engine]
    good = max((each for each in mine if each.is_good), key=lambda each: (each.cell.users, each.rate), default=None)
    if good is None:
        yield "No cell answered all of its users within 1 s at p95."
        return
    cell = good.cell
    yield (
        f"This machine serves {cell.users:,} users within 1 s at p95, with no request refused ({_workers_of(good)}, "
        f"batches of up to {cell.batch_size}: p95 {good.ms('p95'):,.0f} ms, {good.rate:.1f} predictions per second)."
    )
    curve = matrix.curve(engine, cell.workers, cell.batch_size)
    above = next((each.cell.users for each in curve if each.cell.users > cell.users), None)
    yield f"At the next step, {above:,} users, it does not." if above else "More were not measured."
    each_ms = good.cpu_ms(*SYSTEM)
    web_ms = good.cpu_ms("web")
    if not each_ms or not web_ms:
        return
    rate = 10 * good.rate
    cores = math.ceil(rate * each_ms / 1000 / HEADROOM)
    webs = math.ceil(rate * web_ms / 1000 / HEADROOM)
    yield (
        f"Ten times as many, {10 * cell.users:,} users, make {rate:.0f} predictions per second. At {each_ms:.1f} CPU "
        f"ms each, and cores that are busy for {HEADROOM:.0%} of the time, that takes {cores} cores like these. Web "
        f"processes, at {web_ms:.1f} ms and at most one core each, use {webs} of them. Two web processes or more need "
        "PostgreSQL and a folder of pictures that all machines share: see docs/scaling.md."
    )


def _generator(every: list[Measured]) -> Iterator[str]:
    most = max(every, key=lambda each: each.generator_share)
    least = min(every, key=lambda each: each.generator_share)
    yield (
        f"Locust ran on the same machine and took {least.generator_share:.1%} to {most.generator_share:.1%} of its CPU "
        f"time (most: {most.cell}). On a separate machine, it would leave this time to the system."
    )
    disturbed = [each for each in every if each.others_share > DISTURBED]
    if disturbed:
        worst = max(disturbed, key=lambda each: each.others_share)
        yield (
            f"**{len(disturbed)} of {len(every)} cells were disturbed**: other programs took more than {DISTURBED:.0%} "
            f"of the CPU time, up to {worst.others_share:.0%}. Their rates are too low."
        )


def promises(each: Measured) -> list[tuple[str, str, bool | None]]:
    """Returns each promise for overload, its result, and whether it is met; `None` if there were no such requests."""
    refused = [ms for name in (PREDICT, FORM) if (ms := each.ms("p99", name, REFUSED)) is not None]
    answers = [ms for name in (PREDICT, "from upload to answer") if (ms := each.ms("max", name)) is not None]
    index = each.ms("p99", INDEX)
    unexplained = each.count(FAILED) - each.connections_lost
    return [
        ("no connection is lost", f"{each.connections_lost:,}", each.connections_lost == 0),
        ("every refusal is a 503 with Retry-After", f"{unexplained:,} other failures", unexplained == 0),
        _at_most("refusals within 1 s (p99)", max(refused, default=None), GOOD_MS),
        _at_most("accepted predictions within the wait limit (slowest)", max(answers, default=None), WAIT_MS),
        _at_most("index page within 1 s (p99)", index, GOOD_MS),
    ]


def _at_most(what: str, found: float | None, limit: float) -> tuple[str, str, bool | None]:
    return (what, "–", None) if found is None else (what, f"{found:,.0f} ms", found <= limit)


def _workers_of(each: Measured) -> str:
    return plural(each.cell.workers, "worker")
