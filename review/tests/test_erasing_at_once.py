"""A picture is erased while others speak of it, decide it or send it again, on real connections.

Some of the tests need two transactions that write at the same time, which SQLite does not have. Run them with
`python -m devtools.services review/tests/test_erasing_at_once.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from rq import Queue

from feedback.models import Feedback
from feedback.services import feedback_give
from predictions import erasing, signals, submission
from predictions.erasing import Kept
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.tests.fakes import stored_image, stored_prediction, upload
from predictions.tests.pictures import picture
from predictions.uploads import validation as images
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, own_prediction, reviewer_named
from review.tests.test_lock_order import OtherConnection

pytestmark = pytest.mark.django_db(transaction=True)
needs_two_writers = pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL")

ADA, BEN = "a" * 64, "b" * 64


def _delete(prediction: Prediction) -> Kept:
    return erasing.prediction_delete(prediction.pk, visitor=ADA)


def _files() -> set[str]:
    root = Path(settings.MEDIA_ROOT)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@contextmanager
def _during_the_erasure(function: Callable[[], object]) -> Iterator[list[OtherConnection]]:
    """Starts `function` on another connection before the erasure commits, and waits until it waits for a lock."""
    started: list[OtherConnection] = []

    def start(**_: Any) -> None:
        started.append(OtherConnection(function))
        started[0].wait_until_blocked()

    signals.erasing.connect(start)
    try:
        yield started
    finally:
        signals.erasing.disconnect(start)


@needs_two_writers
def test_statement_that_is_stored_first_is_erased() -> None:
    prediction = own_prediction(sender=ADA)
    with transaction.atomic():
        feedback_give(prediction=prediction, author=BEN, verdict="wrong", comment="words")
        deletion = OtherConnection(lambda: _delete(prediction))
        deletion.wait_until_blocked()
    deletion.join()
    assert Feedback.objects.get().comment == ""
    assert not Case.objects.exists() and _files() == set()


@needs_two_writers
def test_statement_that_comes_second_is_refused() -> None:
    prediction = own_prediction(sender=ADA)
    stale = Prediction.objects.select_related("image").get(pk=prediction.pk)
    with _during_the_erasure(lambda: feedback_give(prediction=stale, author=BEN, verdict="wrong")) as started:
        assert _delete(prediction) == Kept.NOTHING
    started[0]._thread.join()
    assert [error.code for error in started[0].errors if isinstance(error, RequestRejected)] == ["deleted"]
    assert not Feedback.objects.exists() and not Case.objects.exists()


@needs_two_writers
def test_picture_of_a_decision_that_is_stored_first_stays() -> None:
    case, ada = open_case(sender=ADA), reviewer_named()
    kept: list[Kept] = []
    with transaction.atomic():
        case_decide(case_id=case.pk, reviewer=ada, verdict=DecisionRequest("right"))
        deletion = OtherConnection(lambda: kept.append(_delete(case.prediction)))
        deletion.wait_until_blocked()
    deletion.join()
    assert kept == [Kept.FOR_TRAINING] and len(_files()) == 1


@needs_two_writers
@pytest.mark.parametrize(("has_history", "code"), [(False, "no-such-case"), (True, "erased")])
def test_decision_that_comes_second_is_refused(has_history: bool, code: str) -> None:
    case, ada = open_case(sender=ADA), reviewer_named()
    if has_history:
        case_decide(case_id=case.pk, reviewer=ada, verdict=DecisionRequest("flagged", note="?"))
    verdict = DecisionRequest("right")
    with _during_the_erasure(lambda: case_decide(case_id=case.pk, reviewer=ada, verdict=verdict)) as started:
        assert _delete(case.prediction) == Kept.NOTHING
    started[0]._thread.join()
    assert [error.code for error in started[0].errors if isinstance(error, RequestRejected)] == [code]


@needs_two_writers
def test_upload_whose_image_is_erased_before_it_commits_is_refused(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refers to the old row, and has not written the file because it was there."""
    earlier = stored_prediction(stored_image(picture()), sender=ADA)
    record = images.record

    def record_then_erase(wanted: Iterable[Image]) -> dict[str, Image]:
        rows = record(wanted)
        if Prediction.objects.not_erased().filter(pk=earlier.pk).exists():
            OtherConnection(lambda: _delete(earlier)).join()
        return rows

    monkeypatch.setattr(images, "record", record_then_erase)
    with pytest.raises(RequestRejected) as rejected:
        submission.prediction_request(upload=upload(picture()), source=Prediction.Source.API)
    assert rejected.value.code == "busy"
    assert _files() == set() and not Prediction.objects.not_erased().exists()
    again = submission.prediction_request(upload=upload(picture()), source=Prediction.Source.API)
    assert _files() == {again.image.file.name}


def test_picture_that_is_sent_and_deleted_all_the_time_is_always_whole(queue: Queue) -> None:
    """Every prediction that is left has its file, and every file has a prediction."""
    outcomes: list[str] = []

    def send_and_delete(visitor: str) -> None:
        try:
            for _ in range(8):
                try:
                    sent = submission.prediction_request(
                        upload=upload(picture()), source=Prediction.Source.PAGE, sender=visitor
                    )
                    erasing.prediction_delete(sent.pk, visitor=visitor)
                    outcomes.append("deleted")
                except RequestRejected as rejection:
                    outcomes.append(rejection.code)
        except BaseException as error:  # noqa: BLE001 - the test shows it
            outcomes.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send_and_delete, args=(visitor * 64,)) for visitor in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"deleted", "busy"} and outcomes.count("deleted") > len(outcomes) / 2, outcomes
    erasing.erasures_finish()
    left = Image.objects.filter(predictions__erased_at__isnull=True).exclude(file="")
    assert _files() == set(left.values_list("file", flat=True))
    assert not Image.objects.being_erased().exists()
