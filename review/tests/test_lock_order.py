"""Transactions that lock images and cases take them in one order, on two real connections of PostgreSQL.

SQLite runs writing transactions one after the other. Run the tests with
`python -m devtools.services review/tests/test_lock_order.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction
from pytest_django import Settings

from predictions.models import Image, Prediction
from predictions.signals import Answered
from review import opening, receivers
from review.history import lock_case
from review.models import Case
from review.tests.cases import own_prediction

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL"),
]

WAIT_SECONDS = 30


class OtherConnection:
    """Runs a function on another connection. `wait_until_blocked` returns when that connection waits for a lock."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.errors: list[Exception] = []
        self._function = function
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function()
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.errors.append(error)
        finally:
            connections.close_all()

    def wait_until_blocked(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _is_lock_awaited():
            assert self._thread.is_alive() and time.monotonic() < deadline, self.errors or "nothing waits for a lock"
            time.sleep(0.01)

    def join(self) -> None:
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
        assert self.errors == []


def _is_lock_awaited() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def _open_case(prediction: Prediction) -> Case:
    with transaction.atomic():
        (case,) = opening.cases_open([prediction], source=Case.OpenedBy.LOW_SCORE)
    return case


def test_audit_locks_cases_in_the_order_of_bulk_decisions() -> None:
    later_image, earlier_image = own_prediction(), own_prediction()
    predictions = [earlier_image, later_image]
    first, second = (_open_case(prediction) for prediction in predictions)
    Case.objects.filter(pk=first.pk).update(weight=first.weight)  # PostgreSQL now stores it after the second case

    def audit() -> None:
        with transaction.atomic():
            opening.cases_open(predictions, source=Case.OpenedBy.AUDIT)

    with transaction.atomic():
        lock_case(first.pk)
        other = OtherConnection(audit)
        other.wait_until_blocked()
        lock_case(second.pk)
    other.join()
    assert Case.objects.filter(in_audit=True).count() == 2


def test_answers_lock_all_images_before_existing_cases(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled, uncertain = own_prediction(), own_prediction()
    case = _open_case(sampled)
    monkeypatch.setattr(opening, "is_sampled", lambda sha256: sha256 == sampled.image.sha256)
    settings.REVIEW_BELOW_SCORE = 1.0
    answers = [Answered(each.id, each.image.sha256, each.label, 0.5) for each in (sampled, uncertain)]

    with transaction.atomic():
        Image.objects.select_for_update(no_key=True).get(pk=uncertain.image_id)
        other = OtherConnection(lambda: receivers.open_cases_for_answers(answers))
        other.wait_until_blocked()
        Case.objects.select_for_update(nowait=True).get(pk=case.pk)
    other.join()
    assert Case.objects.get(pk=case.pk).in_audit
    assert Case.objects.filter(image=uncertain.image).exists()
