"""From costs to rates and times: users who think and wait, one processor that they share, a bounded waiting room.

The users are a closed network: each of them sends the next picture only after he has got, and thought about, the last.
What the processor's time allows is the highest rate. Below it, the wait follows from mean value analysis (the
approximation of Bard and Schweitzer: who arrives finds the queue as it is on average without him). Above it, the queue
grows until as many are refused as come too often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stress.matrix.cells import Cell, Settings
from stress.model.costs import Costs

WAITING_PLACES = 288  # of the API's requests: WEB_THREADS less those that are kept free
QUEUE_SECONDS = 24.0  # the longest queue that is let in: 0.8 of PREDICT_WAIT_SECONDS
PERSON_STEPS = 3  # a person thinks three times for each picture: opens, sends, says
PERSON_PAGES = 4  # start page, form, answer, feedback; and the picture
STATICS = 2  # files that belong to the start page
PATIENCE = 1.25  # of Retry-After, on average
REVIEWER_PAGES = 1.0  # for each time of thinking
ROUNDS = 60


@dataclass(frozen=True)
class Forecast:
    """Predictions per second; mean seconds until the API's answer; share of refusals of all requests for one."""

    rate: float
    seconds: float
    refused: float
    batch: float
    web_cores: float


@dataclass(frozen=True)
class Crowd:
    """How many there are of each kind, and how long they think on average."""

    visitors: float
    clients: float
    people: float
    reviewers: float
    think: float

    @classmethod
    def of(cls, users: int, settings: Settings) -> Crowd:
        reviewers = min(settings.reviewers, users - 1)
        weights = settings.visitor_weight + settings.api_weight + settings.person_weight
        each = (users - reviewers) / weights
        return cls(
            each * settings.visitor_weight,
            each * settings.api_weight,
            each * settings.person_weight,
            reviewers,
            (settings.think_min + settings.think_max) / 2,
        )


def forecast(cell: Cell, settings: Settings, costs: Costs, gone: float = 0.0) -> Forecast:
    """What the model says of a cell. Finds, in rounds, rate, batch size and refusals that go with each other.

    `gone`: cores' worth of time that programs took which are no part of it.
    """
    engine = costs.engines[cell.engine]
    crowd = Crowd.of(cell.users, settings)
    light = engine.light_ms / 1000
    batch, refusals, web_share = 1.0, 0.0, 1.0
    rate, wait = 0.0, 0.0
    for _ in range(ROUNDS):
        # A web process is one core: where it has too much to do, everything that goes through it becomes less.
        pages = web_share * _pages(crowd, light + wait)
        statics = web_share * STATICS * (crowd.visitors + crowd.people / PERSON_STEPS) / crowd.think
        other = pages * costs.web_page + refusals * costs.web_refusal
        generator = costs.generator_request * (pages + statics + refusals + rate)
        highest = _highest(cell, costs, batch, other, generator + gone)
        rate, wait, refused_now = _balance(crowd, light, highest, settings)
        refusals += 0.3 * (web_share * refused_now - refusals)
        new = _batch(cell, costs, rate, highest)
        batch += 0.3 * (new - batch)
        web = other + rate * costs.web_prediction
        web_share = min(1.0, max(0.05, web_share * min(1.0, 1 / web) if web > 1 else min(1.0, web_share * 1.05)))
    asked = rate + refusals
    web = other + rate * costs.web_prediction
    return Forecast(rate, light + wait, refusals / asked if asked else 0.0, batch, min(web, 1.0))


def _pages(crowd: Crowd, seconds: float) -> float:
    cycle = PERSON_STEPS * crowd.think + seconds
    return (crowd.visitors + crowd.reviewers * REVIEWER_PAGES) / crowd.think + crowd.people * PERSON_PAGES / cycle


def _highest(cell: Cell, costs: Costs, batch: float, web: float, beside: float) -> float:
    """Predictions per second that the processor has time for.

    `web`: cores' worth of time that the web process needs for all that is no prediction; `beside`: what is taken by
    programs that are no part of the system.

    A worker computes on as many cores as it has pictures in hand, of those that are its share of the machine.
    """
    engine = costs.engines[cell.engine]
    worker = engine.prediction(batch)
    lanes = cell.workers * min(max(1, costs.cores // cell.workers), cell.batch_size)
    by_workers = min(lanes, costs.cores) / worker
    everything = worker + costs.web_prediction + costs.rest_prediction
    by_machine = max(0.0, costs.cores * costs.usable - web - beside) / everything
    by_web = max(0.0, 1.0 - web) / costs.web_prediction if costs.web_prediction else by_machine
    return max(0.1, min(by_workers, by_machine, max(by_web, 0.1)))


def _balance(crowd: Crowd, light: float, highest: float, settings: Settings) -> tuple[float, float, float]:
    """Rate, seconds of waiting, and refusals per second, where `highest` predictions per second can be answered."""
    people_think = PERSON_STEPS * crowd.think

    def asked(wait: float) -> float:
        return crowd.clients / (crowd.think + light + wait) + crowd.people / (people_think + light + wait)

    everybody = crowd.clients + crowd.people
    wait = _root(
        lambda seconds: (
            seconds
            - asked(seconds) * seconds * max(0, 1 - 1 / max(everybody, 1)) / highest
            - _arrival(asked(seconds), highest)
        )
    )
    clients_waiting = crowd.clients * (light + wait) / (crowd.think + light + wait)
    if clients_waiting <= WAITING_PLACES and wait <= QUEUE_SECONDS:
        return min(asked(wait), highest), wait, 0.0
    # The API's places are full: what waits are so many of them, and the people.
    full = min(
        QUEUE_SECONDS,
        _root(lambda seconds: seconds * highest - WAITING_PLACES - crowd.people * seconds / (people_think + seconds)),
    )
    retry = PATIENCE * max(1.0, WAITING_PLACES / highest) if settings.patient else 0.0
    refused = max(0.0, crowd.clients - WAITING_PLACES) / (crowd.think + retry)
    return highest, full, refused


def _arrival(rate: float, highest: float) -> float:
    """Mean seconds that somebody waits for the one in hand."""
    return min(rate / highest, 1.0) / highest / 2


def _root(function: Callable[[float], float]) -> float:
    """Where a function that is negative at first becomes positive, by halving."""
    low, high = 0.0, 1e5
    for _ in range(100):
        middle = (low + high) / 2
        if function(middle) < 0:
            low = middle
        else:
            high = middle
    return high


def _batch(cell: Cell, costs: Costs, rate: float, highest: float) -> float:
    """What comes while a batch is computed is the next one; at the highest rate they are as large as they may be."""
    if rate >= 0.98 * highest:
        return float(cell.batch_size)
    engine = costs.engines[cell.engine]
    share, size = rate / cell.workers, 1.0
    for _ in range(30):
        lanes = min(max(1, costs.cores // cell.workers), size)
        size = min(float(cell.batch_size), max(1.0, share * (engine.batch + engine.each * size) / lanes))
    return size
