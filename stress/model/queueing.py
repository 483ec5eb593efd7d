"""From costs to rates and times: users who think and wait, on one machine, with a bounded number of waiting requests.

The users are a closed network: each sends the next picture only after receiving the last answer and thinking. The
number of predictions at the workers is a birth-and-death chain: with `k` present, `(N - k) / Z` arrive and `mu(k)`
leave per second (the machine repairman model with a load-dependent service rate; L. Kleinrock, Queueing Systems,
volume 1, chapter 3). `mu` grows with `k`, because larger batches cost less per prediction. Little's law gives the mean
time. Requests beyond the limit of waiting ones are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stress.matrix.cells import Cell, CellSettings
from stress.model.costs import QUEUE_SECONDS, WAIT_LIMIT, Costs

Numbers = npt.NDArray[np.float64]

MOST_WAITING = 288  # requests of the API: WEB_THREADS less the threads that never wait
PERSON_STEPS = 3  # a person thinks three times for each picture: opens, sends, gives feedback
PERSON_PAGES = 5  # start page, form, answer, picture, feedback
RELOADS = 1.3  # of the result page, if the answer takes longer than the page waits
PAGE_WAIT = 3.0
STATICS = 2  # files that belong to the start page
PATIENCE = 1.25  # of Retry-After, on average
REVIEWER_PAGES = 1.0  # per thinking time
# On average, a third of the predictions present arrived while the batch of the others was being computed.
IN_HAND = 1.5
ROUNDS = 80


@dataclass(frozen=True)
class Forecast:
    """Predictions per second; mean seconds until the API's answer; share of refusals of all requests for one."""

    rate: float
    seconds: float
    refused: float
    batch: float
    web_cores: float


@dataclass(frozen=True)
class UserMix:
    """The number of users of each kind, and their mean thinking time."""

    visitors: float
    clients: float
    people: float
    reviewers: float
    think: float

    @classmethod
    def of(cls, users: int, settings: CellSettings) -> UserMix:
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

    @property
    def person_think(self) -> float:
        return PERSON_STEPS * self.think

    def pages(self, seconds: float) -> float:
        """Returns pages per second if an answer takes `seconds`, without predictions by the API, refusals and files."""
        again = RELOADS * min(1.0, seconds / PAGE_WAIT / 2)
        people = self.people * (PERSON_PAGES + again) / (self.person_think + seconds)
        return (self.visitors + self.reviewers * REVIEWER_PAGES) / self.think + people

    def files(self, seconds: float) -> float:
        return STATICS * (self.visitors / self.think + self.people / (self.person_think + seconds))

    def one_class(self, seconds: float) -> tuple[float, float]:
        """Combines clients and people into one kind of users. Returns their number and their mean thinking time.

        With this thinking time, they send at the same rate as before if an answer takes `seconds`.
        """
        number = self.clients + self.people
        rate = self.clients / (self.think + seconds) + self.people / (self.person_think + seconds)
        return number, number / rate - seconds if rate else self.think


def forecast(cell: Cell, settings: CellSettings, costs: Costs, other_cores: float = 0.0) -> Forecast:
    """Forecasts a cell, by iterating until rate, wait and refusals are consistent.

    `other_cores`: the number of cores that unrelated programs used.
    """
    engine = costs.engine(cell.engine, cell.workers)
    mix = UserMix.of(cell.users, settings)
    wait = 1 / float(_service(cell, costs, costs.cores, np.ones(1))[0][0])  # at the workers, without others
    before = max(0.0, engine.light_ms / 1000 - wait)  # in the web process and on the way to the workers
    rate, refusals, web, batch = 0.0, 0.0, 0.0, 1.0
    for _ in range(ROUNDS):
        around = before / (1 - min(web, 0.9))  # the web process serves one request after another
        pages = mix.pages(around + wait)
        web = min(1.0, pages * costs.web_page + refusals * costs.web_refusal + rate * costs.web_prediction)
        requests = pages + mix.files(around + wait) + refusals + rate
        other = web + rate * costs.rest_prediction + requests * costs.generator_request + other_cores
        left = max(0.05, costs.cores * costs.usable - other)  # workers have the lowest priority
        new_rate, new_wait, new_refusals, batch = _balance(cell, costs, mix, left, around, wait, settings.patient)
        rate += 0.3 * (new_rate - rate)
        wait += 0.3 * (new_wait - wait)
        refusals += 0.3 * (new_refusals - refusals)
    asked = rate + refusals
    return Forecast(rate, around + wait, refusals / asked if asked else 0.0, batch, web)


def _service(cell: Cell, costs: Costs, left: float, present: Numbers) -> tuple[Numbers, Numbers]:
    """Returns the predictions per second of all workers, and the batch size, for each number of predictions present.

    `left`: the number of cores that are free for the workers.
    """
    engine = costs.engine(cell.engine, cell.workers)
    busy = np.minimum(float(cell.workers), present)
    batch = np.clip(present / busy / IN_HAND, 1.0, float(cell.batch_size))
    # A worker uses no more threads than it has pictures.
    cores = np.clip(batch * engine.cores_single, engine.cores_single, max(engine.cores_batch, engine.cores_single))
    return np.minimum(left, busy * cores) / (engine.each + engine.batch / batch), batch


def _balance(
    cell: Cell, costs: Costs, mix: UserMix, left: float, around: float, wait: float, patient: bool
) -> tuple[float, float, float, float]:
    """Returns rate, seconds at the workers, refusals per second, and batch size, given the rest of the load."""
    number, think = mix.one_class(around + wait)
    present = np.arange(1.0, max(1, round(number)) + 1)
    departures, batches = _service(cell, costs, left, present)
    arrivals = (len(present) + 1 - present) / (think + around)
    shares = _chain(arrivals, departures)
    rate = float(shares[1:] @ departures)
    seconds = float(shares[1:] @ present) / rate
    batch = float(shares[1:] @ (departures * batches)) / rate
    clients_present = mix.clients * seconds / (mix.think + around + seconds)
    if clients_present <= MOST_WAITING and seconds <= QUEUE_SECONDS:
        return rate, seconds, 0.0, batch
    # The limit of the API is reached. Requests from the page wait in addition to it.
    highest = float(departures[-1])
    seconds = min(QUEUE_SECONDS * costs.queue_filled, _seconds_until(highest, mix))
    outside = mix.clients - MOST_WAITING * (1 + mix.think / seconds)
    return highest, seconds, _refusals(outside, mix.think, highest, patient), float(cell.batch_size)


def _chain(arrivals: Numbers, departures: Numbers) -> Numbers:
    """Returns the share of time with 0, 1, 2... predictions present."""
    logarithms: Any = np.concatenate([[0.0], np.cumsum(np.log(arrivals) - np.log(departures))])
    shares = np.exp(logarithms - logarithms.max())
    return np.asarray(shares / shares.sum())


def _seconds_until(rate: float, mix: UserMix) -> float:
    """Returns the seconds to answer all waiting requests of the API and the page, found by bisection."""
    low, high = 0.0, 1e5
    for _ in range(100):
        middle = (low + high) / 2
        if middle * rate < MOST_WAITING + mix.people * middle / (mix.person_think + middle):
            low = middle
        else:
            high = middle
    return high


def _refusals(outside: float, think: float, rate: float, patient: bool) -> float:
    """Returns the refusals per second of the clients beyond the limit. Patient ones wait for Retry-After."""
    if outside <= 0:
        return 0.0
    retry_after = min(WAIT_LIMIT, max(1.0, outside / rate)) if patient else 0.0
    return outside / (think + PATIENCE * retry_after)
