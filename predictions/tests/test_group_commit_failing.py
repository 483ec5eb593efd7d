"""Requests that are written together: what fails, fails for its own sender only, and nobody takes it for a success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError
from rq import Queue

from predictions import queues
from predictions.exceptions import RequestRejected
from predictions.group_commit import Intake
from predictions.models import Image, Prediction
from predictions.tests.arrivals import Arrivals
from predictions.tests.fakes import stored_image
from predictions.tests.pictures import picture
from predictions.uploads import validation as images

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


@pytest.mark.parametrize(
    "unbearable", [{"state": "nonsense"}, {"file_name": "\udc80"}], ids=["constraint", "surrogate"]
)
def test_one_bad_row_fails_alone(arrivals: Arrivals, queue: Queue, unbearable: dict[str, Any]) -> None:
    arrivals.together({}, unbearable, {"seed": 0}, {})
    assert list(arrivals.errors) == [1] and isinstance(arrivals.errors[1], (DatabaseError, UnicodeError))
    assert arrivals.states() == ["queued", None, "queued", "queued"]
    assert set(queue.job_ids) == {str(arrivals.predictions[number].pk) for number in (0, 2, 3)}
    assert Image.objects.count() == 2, "nothing is left of a picture whose prediction was not recorded"


def test_another_process_took_the_number(arrivals: Arrivals, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is written again, one by one, after others have stored new images in between."""
    alone = Intake._record_alone

    def late(self: Intake, *args: Any, **options: Any) -> None:
        monkeypatch.undo()
        for seed in range(10, 14):
            stored_image(picture(seed=seed))
        alone(self, *args, **options)

    monkeypatch.setattr(Intake, "_record_alone", late)
    arrivals.together({"state": "nonsense"}, {}, {})
    assert (arrivals.states(), list(arrivals.errors)) == ([None, "queued", "queued"], [0])


@pytest.mark.parametrize("times", [1, 2])
def test_another_process_was_faster(
    arrivals: Arrivals, queue: Queue, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once is bad luck and is tried again; the second time it is something else."""
    record, tries = images.record, []

    def collide(found: Sequence[Image]) -> dict[str, Image]:
        tries.append(1)
        if len(tries) <= times:
            raise IntegrityError("UNIQUE constraint failed")
        return record(found)

    monkeypatch.setattr(images, "record", collide)
    arrivals.together({})
    assert len(tries) == 2
    assert (arrivals.states(), len(arrivals.errors)) == ((["queued"], 0) if times == 1 else ([None], 1))


def test_no_database(arrivals: Arrivals, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried once for all: a lock that ran out after twenty seconds must not be waited for again by each."""
    tries = []

    def locked(_images: Sequence[Image]) -> dict[str, Image]:
        tries.append(1)
        raise OperationalError("database is locked")

    monkeypatch.setattr(images, "record", locked)
    arrivals.together({}, {}, {})
    assert len(tries) == 1 and len(arrivals.errors) == 3
    assert queue.job_ids == []


def test_no_queue(arrivals: Arrivals, no_queue: None) -> None:
    arrivals.together({}, {}, {})
    for number in range(3):
        refusal = arrivals.errors[number]
        assert isinstance(refusal, RequestRejected)
        assert (refusal.code, refusal.status, refusal.headers) == ("queue-unavailable", 503, {"Retry-After": "5"})
    rows = Prediction.objects.exclude(finished_at=None).values_list("state", "error_code")
    assert list(rows) == [("failed", "queue-unavailable")] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("a defect")])
@pytest.mark.parametrize("where", [(images, "record"), (queues, "enqueue")], ids=["rows", "queue"])
def test_whoever_writes_for_the_others_breaks_down(
    arrivals: Arrivals, queue: Queue, where: tuple[Any, str], error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(*where, breaks)
    arrivals.together({}, {}, {})
    assert sorted(arrivals.errors) == [0, 1, 2], "nobody may take it for a success"
    assert any(found is error for found in arrivals.errors.values())


def test_the_next_ones_are_none_the_worse(arrivals: Arrivals, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_images: Sequence[Image]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "record", breaks)
    arrivals.together({}, {})
    monkeypatch.undo()
    arrivals.start(5)
    arrivals.join()
    assert arrivals.states() == [None, None, "queued"]
