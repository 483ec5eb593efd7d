"""The first statements about an image are stored at the same time, on two or three real connections of PostgreSQL.

The tests need two transactions that write at the same time, which SQLite does not have. Run them with
`python -m devtools.services review/tests/test_first_statements_at_once.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from feedback.models import Feedback
from feedback.signals import feedback_stored
from predictions.models import Prediction
from review.models import Case
from review.tests.cases import own_prediction

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL"),
]

WAIT_SECONDS = 30


class CommitBarrier:
    """Delays the commit of each transaction until all of `parties` have stored and counted their statement.

    A transaction that waits for a lock cannot go on before another one commits, so it counts as ready.
    """

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self.ready = 0
        self.one_is_ready = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, **_: Any) -> None:
        """Receives `feedback_stored`, after the receiver that counts the statement."""
        with self._lock:
            self.ready += 1
        self.one_is_ready.set()
        deadline = time.monotonic() + WAIT_SECONDS
        while self.ready + _blocked() < self.parties:
            assert time.monotonic() < deadline, "another statement neither was stored nor waits for a lock"
            time.sleep(0.01)


def _blocked() -> int:
    """Returns how many connections wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


@pytest.fixture
def prediction() -> Prediction:
    return own_prediction()


@pytest.fixture
def barrier(request: pytest.FixtureRequest) -> Iterator[CommitBarrier]:
    barrier = CommitBarrier(parties=request.param)
    feedback_stored.connect(barrier)
    yield barrier
    feedback_stored.disconnect(barrier)


def _post_at_once(prediction: Prediction, barrier: CommitBarrier, *statements: dict[str, str]) -> list[int]:
    """Posts each statement on a separate connection, all before the first commits. Returns the HTTP statuses.

    The second request starts when the first statement is stored, but not committed.
    """
    statuses: list[int] = []

    def post(statement: dict[str, str]) -> None:
        try:
            payload = {"prediction": str(prediction.id)} | statement
            client = Client(raise_request_exception=False)
            statuses.append(client.post("/api/feedback", payload, content_type="application/json").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post, args=(statement,)) for statement in statements]
    for thread in threads:
        thread.start()
        assert barrier.one_is_ready.wait(WAIT_SECONDS)
    for thread in threads:
        thread.join(2 * WAIT_SECONDS)
        assert not thread.is_alive()
    return statuses


@pytest.mark.parametrize("barrier", [2], indirect=True)
@pytest.mark.parametrize(
    ("first", "second", "wrong_count"), [("right", "wrong", 1), ("wrong", "right", 1), ("wrong", "wrong", 2)]
)
def test_counts_two_first_statements(
    prediction: Prediction, barrier: CommitBarrier, first: str, second: str, wrong_count: int
) -> None:
    statements = [{"verdict": first, "author": "ada"}, {"verdict": second, "author": "ben"}]
    assert _post_at_once(prediction, barrier, *statements) == [201, 201]
    case = Case.objects.get()
    assert (case.weight, case.wrong_count) == (2, wrong_count)


@pytest.mark.parametrize("barrier", [3], indirect=True)
def test_counts_the_last_of_three_statements_of_one_author(prediction: Prediction, barrier: CommitBarrier) -> None:
    statements = [{"verdict": "wrong", "author": "ada", "comment": str(number)} for number in range(3)]
    assert _post_at_once(prediction, barrier, *statements) == [201, 201, 201]
    assert Case.objects.get().weight == 1
    assert (Feedback.objects.count(), Feedback.objects.current().count()) == (3, 1)
