"""In a group, a failure affects only the request that caused it, and no failure passes for a success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError
from rq import Queue

from predictions import queues
from predictions.exceptions import RequestRejected
from predictions.group_commit import GroupCommit
from predictions.models import Image, Prediction
from predictions.tests.concurrent_writes import ConcurrentWrites
from predictions.tests.fakes import stored_image
from predictions.tests.pictures import picture
from predictions.uploads import validation as images

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def writes() -> ConcurrentWrites:
    return ConcurrentWrites()


@pytest.mark.parametrize("invalid", [{"state": "nonsense"}, {"file_name": "\udc80"}], ids=["constraint", "surrogate"])
def test_one_bad_row_fails_alone(writes: ConcurrentWrites, queue: Queue, invalid: dict[str, Any]) -> None:
    writes.write_together({}, invalid, {"seed": 0}, {})
    assert list(writes.errors) == [1] and isinstance(writes.errors[1], (DatabaseError, UnicodeError))
    assert writes.states() == ["queued", None, "queued", "queued"]
    assert set(queue.job_ids) == {str(writes.predictions[number].pk) for number in (0, 2, 3)}
    assert Image.objects.count() == 2, "the image of the failed prediction is not stored"


def test_repeats_a_group_after_another_process_has_used_its_keys(
    writes: ConcurrentWrites, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other images are stored between the failure of a group and its repetition one by one."""
    one_by_one = GroupCommit._commit_one_by_one

    def late(self: GroupCommit, *args: Any, **options: Any) -> None:
        monkeypatch.undo()
        for seed in range(10, 14):
            stored_image(picture(seed=seed))
        one_by_one(self, *args, **options)

    monkeypatch.setattr(GroupCommit, "_commit_one_by_one", late)
    writes.write_together({"state": "nonsense"}, {}, {})
    assert (writes.states(), list(writes.errors)) == ([None, "queued", "queued"], [0])


@pytest.mark.parametrize("times", [1, 2])
def test_retries_once_if_another_process_stores_the_same_image(
    writes: ConcurrentWrites, queue: Queue, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second collision is another kind of error."""
    record, tries = images.record, []

    def collide(found: Sequence[Image]) -> dict[str, Image]:
        tries.append(1)
        if len(tries) <= times:
            raise IntegrityError("UNIQUE constraint failed")
        return record(found)

    monkeypatch.setattr(images, "record", collide)
    writes.write_together({})
    assert len(tries) == 2
    assert (writes.states(), len(writes.errors)) == ((["queued"], 0) if times == 1 else ([None], 1))


def test_a_locked_database_is_tried_once_for_the_whole_group(
    writes: ConcurrentWrites, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock times out after twenty seconds. Repeating that for each request would take minutes."""
    tries = []

    def locked(_images: Sequence[Image]) -> dict[str, Image]:
        tries.append(1)
        raise OperationalError("database is locked")

    monkeypatch.setattr(images, "record", locked)
    writes.write_together({}, {}, {})
    assert len(tries) == 1 and len(writes.errors) == 3
    assert queue.job_ids == []


def test_rejects_all_requests_if_the_queue_cannot_be_reached(writes: ConcurrentWrites, no_queue: None) -> None:
    writes.write_together({}, {}, {})
    for number in range(3):
        rejection = writes.errors[number]
        assert isinstance(rejection, RequestRejected)
        assert (rejection.code, rejection.status, rejection.headers) == ("queue-unavailable", 503, {"Retry-After": "5"})
    rows = Prediction.objects.exclude(finished_at=None).values_list("state", "error_code")
    assert list(rows) == [("failed", "queue-unavailable")] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("a defect")])
@pytest.mark.parametrize("where", [(images, "record"), (queues, "enqueue")], ids=["rows", "queue"])
def test_an_unexpected_error_of_the_leader_fails_the_whole_group(
    writes: ConcurrentWrites,
    queue: Queue,
    where: tuple[Any, str],
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(*where, breaks)
    writes.write_together({}, {}, {})
    assert sorted(writes.errors) == [0, 1, 2], "no request may take it for a success"
    assert any(found is error for found in writes.errors.values())


def test_requests_after_a_failed_group_succeed(
    writes: ConcurrentWrites, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_images: Sequence[Image]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "record", breaks)
    writes.write_together({}, {})
    monkeypatch.undo()
    writes.start(5)
    writes.join()
    assert writes.states() == [None, None, "queued"]
