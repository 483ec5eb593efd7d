"""Taking in together what arrives together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import transaction
from rq import Queue

from predictions import group_commit as intake
from predictions import queues
from predictions.admission import backpressure
from predictions.models import Image, Prediction
from predictions.tests.arrivals import Arrivals
from predictions.uploads import validation as images

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


@pytest.fixture
def queued(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs went into the queue with each round trip."""
    numbers: list[int] = []
    enqueue = queues.enqueue

    def noted(*prediction_ids: str, request_ids: dict[str, str]) -> None:
        numbers.append(len(prediction_ids))
        enqueue(*prediction_ids, request_ids=request_ids)

    monkeypatch.setattr(queues, "enqueue", noted)
    return numbers


def test_it_works(queue: Queue, arrivals: Arrivals) -> None:
    length = backpressure.load.length
    arrivals.together({})
    prediction = Prediction.objects.select_related("image").get()
    assert (arrivals.errors, prediction.state, prediction.image.width) == ({}, "queued", 32)
    assert arrivals.predictions[0].image == prediction.image
    assert queue.job_ids == [str(prediction.id)]
    assert backpressure.load.length == length + 1


def test_who_arrives_while_one_writes_is_written_together(
    arrivals: Arrivals, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = images.record

    def slowly(found: Sequence[Image]) -> dict[str, Image]:
        arrivals.until_arrived(0 if queued else 4)
        return record(found)

    monkeypatch.setattr(images, "record", slowly)
    arrivals.start(0)
    for seed in (1, 2, 3, 4):
        arrivals.start(seed)
    arrivals.join()
    assert sum(queued) == 5 and len(queued) == 2, "one transaction and round trip for the first, one for the others"
    assert len(arrivals.statements) == 4  # images and predictions, twice
    assert (arrivals.states(), arrivals.errors) == (["queued"] * 5, {})


def test_who_is_on_the_way_is_waited_for(
    arrivals: Arrivals, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "GATHER_SECONDS", 600)
    with arrivals.intake.coming():
        arrivals.start(1)
        arrivals.until_arrived(1)
        arrivals.start(2)
        arrivals.until_arrived(2)
        assert queued == []
    arrivals.join()
    assert queued == [2]


def test_but_not_for_long(arrivals: Arrivals, queued: list[int]) -> None:
    with arrivals.intake.coming():
        arrivals.start()
        arrivals.join()
    assert queued == [1]


def test_nobody_is_on_the_way(arrivals: Arrivals, queued: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after one that turned back."""
    monkeypatch.setattr(intake, "GATHER_SECONDS", 600)
    with pytest.raises(ZeroDivisionError), arrivals.intake.coming():
        raise ZeroDivisionError
    arrivals.start()
    arrivals.join()
    assert queued == [1]


def test_enough_have_arrived(arrivals: Arrivals, queued: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "GATHER_SECONDS", 600)
    monkeypatch.setattr(intake, "GATHER_AT_MOST", 2)
    with arrivals.intake.coming():
        arrivals.start(1)
        arrivals.start(2)
        arrivals.join()
    assert queued == [2]


@pytest.mark.parametrize("number", [1, 10])
def test_one_round_trip_whatever_the_number(arrivals: Arrivals, queued: list[int], number: int) -> None:
    arrivals.together(*[{} for _ in range(number)])
    assert (queued, len(arrivals.statements)) == ([number], 2)  # images, predictions


def test_the_same_new_picture_twice(arrivals: Arrivals, queued: list[int]) -> None:
    arrivals.together({"seed": 1}, {"seed": 1}, {"seed": 2})
    assert (arrivals.errors, queued) == ({}, [3])
    assert (Image.objects.count(), Prediction.objects.count()) == (2, 3)
    assert Prediction.objects.values("image").distinct().count() == 2


def test_the_same_new_picture_in_several_processes(queue: Queue) -> None:
    processes = [Arrivals() for _ in range(6)]  # each intake has its own locks, as those of other processes
    for process in processes:
        process.start(1)
    for process in processes:
        process.join()
    assert [process.errors for process in processes] == [{}] * 6
    assert (Image.objects.count(), len(queue)) == (1, 6)


def test_in_a_transaction_of_its_sender(arrivals: Arrivals, queued: list[int]) -> None:
    """Queued when that is committed and not before; nobody else's rows depend on it."""
    with transaction.atomic():
        arrivals.here(1)
        assert queued == []
    assert (arrivals.states(), queued) == (["queued"], [1])


def test_in_a_transaction_that_is_taken_back(arrivals: Arrivals, queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        arrivals.here(1)
        raise ZeroDivisionError
    assert (arrivals.states(), queue.job_ids, Image.objects.count()) == ([None], [], 0)
