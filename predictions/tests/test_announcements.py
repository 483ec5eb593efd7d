from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from rq import Queue

from predictions import announcements, queues
from predictions.announcements import Listener, announce
from predictions.tests.fakes import until_listening
from worker.rq_batch.outages import OutageLog


@pytest.fixture
def listener(queue: Queue) -> Listener:
    until_listening()
    return announcements.listener


def _subscriptions() -> int:
    return int(queues.connection().pubsub_numsub(announcements.CHANNEL)[0][1])


def test_wakes_only_the_request_that_waits_for_the_prediction(listener: Listener) -> None:
    mine, other = uuid4(), uuid4()
    with listener.expect(mine) as waiter, listener.expect(other) as other_waiter:
        announce({mine: None})
        assert waiter.wait(20)
        assert not other_waiter.is_set()


def test_waiters_get_the_columns_of_their_prediction(listener: Listener) -> None:
    mine, other, silent = uuid4(), uuid4(), uuid4()
    finished_at = datetime(2026, 7, 1, 12, 30, 5, 123456, tzinfo=UTC)
    columns = {"state": "done", "score": 0.5, "top": [["cup", 0.5]], "finished_at": finished_at, "started_at": None}
    with (
        listener.expect(mine) as first,
        listener.expect(mine) as second,
        listener.expect(other) as third,
        listener.expect(silent) as fourth,
    ):
        announce({mine: columns, other: {"state": "failed"}, silent: None})
        assert all(waiter.wait(20) for waiter in (first, second, third, fourth))
        assert first.payload is not None and first.payload == second.payload
        # Times are exact to the microsecond, as in the row.
        assert {**first.payload, "finished_at": datetime.fromisoformat(first.payload["finished_at"])} == columns
        assert (third.payload, fourth.payload) == ({"state": "failed"}, None)


def test_wakes_all_requests_that_wait_for_the_prediction(listener: Listener) -> None:
    prediction_id = uuid4()
    with listener.expect(prediction_id) as first, listener.expect(prediction_id) as second:
        announce({uuid4(): None, prediction_id: None})
        assert first.wait(20) and second.wait(20)


def test_a_request_that_stops_waiting_does_not_affect_others(listener: Listener) -> None:
    prediction_id = uuid4()
    with listener.expect(prediction_id) as stays:
        with listener.expect(prediction_id):
            pass
        announce({prediction_id: None})
        assert stays.wait(20)


def test_forgets_requests_that_no_longer_wait(listener: Listener) -> None:
    for _ in range(100):
        with listener.expect(uuid4()):
            pass
    with pytest.raises(RuntimeError), listener.expect(uuid4()):
        raise RuntimeError
    assert not listener._waiting


def test_one_thread_listens_for_all_requests(listener: Listener) -> None:
    with listener.expect(uuid4()), listener.expect(uuid4()):
        until_listening(listener)
    assert [thread.name for thread in threading.enumerate()].count("announcements") == 1
    assert _subscriptions() == 1


def test_wakes_all_requests_after_a_lost_connection(listener: Listener) -> None:
    """Announcements may have been missed, so every request reads its row. Then listening goes on."""
    prediction_id = uuid4()
    with listener.expect(prediction_id) as waiter:
        assert queues.connection().execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
        assert waiter.wait(20)
        until_listening(listener)
        waiter.clear()
        announce({prediction_id: None})
        assert waiter.wait(20)


@pytest.mark.parametrize("nonsense", ["", "not JSON", "5", '{"a": 1}', "[1, null]"])
def test_ignores_malformed_messages_on_the_channel(listener: Listener, nonsense: str) -> None:
    queues.connection().publish(announcements.CHANNEL, nonsense)
    until_listening(listener)


def test_request_reads_its_row_if_the_announced_columns_are_malformed(listener: Listener) -> None:
    prediction_id = uuid4()
    with listener.expect(prediction_id) as waiter:
        until_listening(listener)
        waiter.clear()
        queues.connection().publish(announcements.CHANNEL, f'{{"{prediction_id}": 5}}')
        assert waiter.wait(20)
        assert waiter.payload is None


class _Enough(BaseException):
    """Ends a loop that never ends."""


def test_logs_the_beginning_and_the_end_of_an_outage_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Listener):
        attempts = 0

        def _listen(self, outage: OutageLog) -> None:
            self.attempts += 1
            if self.attempts <= 3:
                raise redis.ReadOnlyError("You can't write")
            outage.succeeded()
            raise _Enough

    monkeypatch.setattr(announcements, "RECONNECT_SECONDS", 0.01)
    with pytest.raises(_Enough):
        Failing()._listen_forever()
    assert (caplog.text.count("cannot work"), caplog.text.count("works again")) == (1, 1)


def test_announcing_logs_an_unreachable_queue(no_queue: None, caplog: pytest.LogCaptureFixture) -> None:
    announce({uuid4(): None})
    assert "Could not announce 1 settled predictions" in caplog.text


def test_announces_nothing_for_an_empty_mapping(no_queue: None, caplog: pytest.LogCaptureFixture) -> None:
    announce({})
    assert caplog.text == ""


FORKS = """
import django, os, sys, warnings; django.setup()
from uuid import uuid4
from predictions import announcements
from predictions.tests.fakes import until_listening

until_listening()
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forks of processes with threads
child = os.fork()
until_listening()
with announcements.listener.expect(uuid4()):
    assert len(announcements.listener._waiting) == 1
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
sys.stdout.flush()
os._exit(0)
"""


def test_starts_a_new_listener_thread_after_a_fork(queue: Queue) -> None:
    """Web servers fork. A forked process inherits the listener but not its thread."""
    ended = subprocess.run(
        [sys.executable, "-c", FORKS],
        env=os.environ | {"REDIS_URL": settings.REDIS_URL},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (0, "0\n"), ended.stderr
