"""The predictions of concurrent requests are written together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import transaction
from rq import Queue

from predictions import group_commit, queues
from predictions.admission import backpressure
from predictions.models import Image, Prediction
from predictions.tests.concurrent_writes import ConcurrentWrites
from predictions.uploads import validation as images

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def writes() -> ConcurrentWrites:
    return ConcurrentWrites()


@pytest.fixture
def queued(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of jobs in each round trip to the queue."""
    numbers: list[int] = []
    enqueue = queues.enqueue

    def recorded(*prediction_ids: str, request_ids: dict[str, str]) -> None:
        numbers.append(len(prediction_ids))
        enqueue(*prediction_ids, request_ids=request_ids)

    monkeypatch.setattr(queues, "enqueue", recorded)
    return numbers


def test_stores_and_queues_a_prediction(queue: Queue, writes: ConcurrentWrites) -> None:
    length = backpressure.load.length
    writes.write_together({})
    prediction = Prediction.objects.select_related("image").get()
    assert (writes.errors, prediction.state, prediction.image.width) == ({}, "queued", 32)
    assert writes.predictions[0].image == prediction.image
    assert queue.job_ids == [str(prediction.id)]
    assert backpressure.load.length == length + 1


def test_requests_during_a_commit_form_the_next_group(
    writes: ConcurrentWrites, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = images.record

    def slowly(found: Sequence[Image]) -> dict[str, Image]:
        writes.wait_until_pending(0 if queued else 4)
        return record(found)

    monkeypatch.setattr(images, "record", slowly)
    writes.start(0)
    for seed in (1, 2, 3, 4):
        writes.start(seed)
    writes.join()
    assert sum(queued) == 5 and len(queued) == 2, "one round trip for the first request, one for the others"
    assert len(writes.statements) == 4  # images and predictions, in each of two transactions
    assert (writes.states(), writes.errors) == (["queued"] * 5, {})


def test_the_leader_waits_for_an_expected_request(
    writes: ConcurrentWrites, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 600)
    with writes.writer.expect_write():
        writes.start(1)
        writes.wait_until_pending(1)
        writes.start(2)
        writes.wait_until_pending(2)
        assert queued == []
    writes.join()
    assert queued == [2]


def test_the_leader_does_not_wait_longer_than_its_limit(writes: ConcurrentWrites, queued: list[int]) -> None:
    with writes.writer.expect_write():
        writes.start()
        writes.join()
    assert queued == [1]


def test_the_leader_does_not_wait_if_no_request_is_expected(
    writes: ConcurrentWrites, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expected request that was rejected is no longer expected."""
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 600)
    with pytest.raises(ZeroDivisionError), writes.writer.expect_write():
        raise ZeroDivisionError
    writes.start()
    writes.join()
    assert queued == [1]


def test_the_leader_does_not_wait_for_more_than_a_full_group(
    writes: ConcurrentWrites, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 600)
    monkeypatch.setattr(group_commit, "GATHER_AT_MOST", 2)
    with writes.writer.expect_write():
        writes.start(1)
        writes.start(2)
        writes.join()
    assert queued == [2]


@pytest.mark.parametrize("number", [1, 10])
def test_a_group_of_any_size_takes_one_round_trip(writes: ConcurrentWrites, queued: list[int], number: int) -> None:
    writes.write_together(*[{} for _ in range(number)])
    assert (queued, len(writes.statements)) == ([number], 2)  # images, predictions


def test_two_requests_with_the_same_new_picture_share_its_row(writes: ConcurrentWrites, queued: list[int]) -> None:
    writes.write_together({"seed": 1}, {"seed": 1}, {"seed": 2})
    assert (writes.errors, queued) == ({}, [3])
    assert (Image.objects.count(), Prediction.objects.count()) == (2, 3)
    assert Prediction.objects.values("image").distinct().count() == 2


def test_several_processes_with_the_same_new_picture_share_its_row(queue: Queue) -> None:
    processes = [ConcurrentWrites() for _ in range(6)]  # the groups share no locks, like those of processes
    for process in processes:
        process.start(1)
    for process in processes:
        process.join()
    assert [process.errors for process in processes] == [{}] * 6
    assert (Image.objects.count(), len(queue)) == (1, 6)


def test_inside_a_transaction_it_queues_on_commit(writes: ConcurrentWrites, queued: list[int]) -> None:
    with transaction.atomic():
        writes.write_here(1)
        assert queued == []
    assert (writes.states(), queued) == (["queued"], [1])


def test_inside_a_transaction_that_is_rolled_back_nothing_remains(writes: ConcurrentWrites, queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        writes.write_here(1)
        raise ZeroDivisionError
    assert (writes.states(), queue.job_ids, Image.objects.count()) == ([None], [], 0)
