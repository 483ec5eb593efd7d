"""From costs to rates and times: users who think and wait, one machine that they share, a bounded waiting room.

The users are a closed network: each of them sends the next picture only after he has got, and thought about, the last.
What is present at the workers then is a birth-and-death chain: with `k` predictions present, `(N - k) / Z` come and
`mu(k)` go per second (the machine repairman model with a service rate that depends on the load; L. Kleinrock, Queueing
Systems, volume 1, chapter 3). `mu` grows with `k`, because a batch of many costs less for each of them. Little's law
gives the mean time. Where more would be present than there are places to wait in, the rest is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stress.matrix.cells import Cell, Settings
from stress.model.costs import QUEUE_SECONDS, WAIT_LIMIT, Costs

Numbers = npt.NDArray[np.float64]

WAITING_PLACES = 288  # of the API's requests: WEB_THREADS less those that are kept free
PERSON_STEPS = 3  # a person thinks three times for each picture: opens, sends, says
PERSON_PAGES = 5  # start page, form, answer, picture, feedback
LOADS_AGAIN = 1.3  # of the answer's page, where the answer takes longer than the page waits for it
PAGE_WAIT = 3.0
STATICS = 2  # files that belong to the start page
PATIENCE = 1.25  # of Retry-After, on average
REVIEWER_PAGES = 1.0  # for each time of thinking
# Of `k` that are present, a third came while the batch is computed in which the others are, on average.
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

    @property
    def person_think(self) -> float:
        return PERSON_STEPS * self.think

    def pages(self, seconds: float) -> float:
        """Per second, where an answer takes so long. Not counting predictions of the API, refusals, and files."""
        again = LOADS_AGAIN * min(1.0, seconds / PAGE_WAIT / 2)
        people = self.people * (PERSON_PAGES + again) / (self.person_think + seconds)
        return (self.visitors + self.reviewers * REVIEWER_PAGES) / self.think + people

    def files(self, seconds: float) -> float:
        return STATICS * (self.visitors / self.think + self.people / (self.person_think + seconds))

    def one_class(self, seconds: float) -> tuple[float, float]:
        """Those who send pictures, as one kind of users: how many, and the thinking time with which they send as many
        as both kinds do where an answer takes so long.
        """
        number = self.clients + self.people
        rate = self.clients / (self.think + seconds) + self.people / (self.person_think + seconds)
        return number, number / rate - seconds if rate else self.think


def forecast(cell: Cell, settings: Settings, costs: Costs, gone: float = 0.0) -> Forecast:
    """What the model says of a cell. Finds, in rounds, rate, wait and refusals that go with each other.

    `gone`: cores' worth of time that programs took which are no part of it.
    """
    engine = costs.engine(cell.engine, cell.workers)
    crowd = Crowd.of(cell.users, settings)
    wait = 1 / float(_service(cell, costs, costs.cores, np.ones(1))[0][0])  # at the workers, of one that is alone there
    before = max(0.0, engine.light_ms / 1000 - wait)  # in the web process and between the two
    rate, refusals, web, batch = 0.0, 0.0, 0.0, 1.0
    for _ in range(ROUNDS):
        around = before / (1 - min(web, 0.9))  # the web process serves one after the other
        pages = crowd.pages(around + wait)
        web = min(1.0, pages * costs.web_page + refusals * costs.web_refusal + rate * costs.web_prediction)
        requests = pages + crowd.files(around + wait) + refusals + rate
        other = web + rate * costs.rest_prediction + requests * costs.generator_request + gone
        left = max(0.05, costs.cores * costs.usable - other)  # workers give way to everything else
        new_rate, new_wait, new_refusals, batch = _balance(cell, costs, crowd, left, around, wait, settings.patient)
        rate += 0.3 * (new_rate - rate)
        wait += 0.3 * (new_wait - wait)
        refusals += 0.3 * (new_refusals - refusals)
    asked = rate + refusals
    return Forecast(rate, around + wait, refusals / asked if asked else 0.0, batch, web)


def _service(cell: Cell, costs: Costs, left: float, present: Numbers) -> tuple[Numbers, Numbers]:
    """Predictions per second that the workers do with so many present, and in batches of which size.

    `left`: cores' worth of time that there is for them.
    """
    engine = costs.engine(cell.engine, cell.workers)
    busy = np.minimum(float(cell.workers), present)
    batch = np.clip(present / busy / IN_HAND, 1.0, float(cell.batch_size))
    # A worker uses no more of its threads than it has pictures in hand.
    lanes = np.clip(batch * engine.alone, engine.alone, max(engine.together, engine.alone))
    return np.minimum(left, busy * lanes) / (engine.each + engine.batch / batch), batch


def _balance(
    cell: Cell, costs: Costs, crowd: Crowd, left: float, around: float, wait: float, patient: bool
) -> tuple[float, float, float, float]:
    """Rate, seconds at the workers, refusals per second, and the size of batches, given all that goes on besides."""
    number, think = crowd.one_class(around + wait)
    present = np.arange(1.0, max(1, round(number)) + 1)
    goes, batches = _service(cell, costs, left, present)
    comes = (len(present) + 1 - present) / (think + around)
    shares = _chain(comes, goes)
    rate = float(shares[1:] @ goes)
    seconds = float(shares[1:] @ present) / rate
    batch = float(shares[1:] @ (goes * batches)) / rate
    clients_present = crowd.clients * seconds / (crowd.think + around + seconds)
    if clients_present <= WAITING_PLACES and seconds <= QUEUE_SECONDS:
        return rate, seconds, 0.0, batch
    # The API's places are full: what waits are so many of them, and the people.
    highest = float(goes[-1])
    seconds = min(QUEUE_SECONDS * costs.queue_filled, _seconds_until(highest, crowd))
    outside = crowd.clients - WAITING_PLACES * (1 + crowd.think / seconds)
    return highest, seconds, _refusals(outside, crowd.think, highest, patient), float(cell.batch_size)


def _chain(comes: Numbers, goes: Numbers) -> Numbers:
    """How often 0, 1, 2... are present, as shares of the time."""
    logarithms: Any = np.concatenate([[0.0], np.cumsum(np.log(comes) - np.log(goes))])
    shares = np.exp(logarithms - logarithms.max())
    return np.asarray(shares / shares.sum())


def _seconds_until(rate: float, crowd: Crowd) -> float:
    """How long it takes to answer a full waiting room and the people who wait besides, by halving."""
    low, high = 0.0, 1e5
    for _ in range(100):
        middle = (low + high) / 2
        if middle * rate < WAITING_PLACES + crowd.people * middle / (crowd.person_think + middle):
            low = middle
        else:
            high = middle
    return high


def _refusals(outside: float, think: float, rate: float, patient: bool) -> float:
    """Per second, of clients who find no place: those who heed Retry-After wait for their turn in the virtual queue."""
    if outside <= 0:
        return 0.0
    turn = min(WAIT_LIMIT, max(1.0, outside / rate)) if patient else 0.0
    return outside / (think + PATIENCE * turn)
