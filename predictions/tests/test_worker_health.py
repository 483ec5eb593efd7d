"""`manage.py worker_health`."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from rq import Queue

from devtools.running import eventually
from predictions import queues
from predictions.tests.fakes import FakeClassifier
from worker.rq_batch import liveness

pytestmark = pytest.mark.django_db(transaction=True)


def _health(*arguments: str) -> str:
    output = StringIO()
    call_command("worker_health", *arguments, stdout=output)
    return output.getvalue()


def test_succeeds_with_a_live_worker_on_this_host(worker: FakeClassifier) -> None:
    eventually(lambda: liveness.live_workers(queues.queue()), "the worker's first heartbeat")
    assert _health().split()[-1] == worker.version
    with pytest.raises(CommandError, match="No live worker of 'exports' runs here"):
        _health("exports")


def test_fails_if_the_worker_runs_elsewhere(worker: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = eventually(lambda: liveness.live_workers(queues.queue()), "the worker's first heartbeat")
    found.facts["host"] = "another container"
    monkeypatch.setattr("predictions.management.commands.worker_health.live_workers", lambda _queue: [found])
    with pytest.raises(CommandError, match="No live worker of 'predictions' runs here"):
        _health()


def test_fails_without_a_worker(queue: Queue) -> None:
    with pytest.raises(CommandError, match="No live worker of 'predictions' runs here"):
        _health()


def test_fails_without_a_queue(no_queue: None) -> None:
    with pytest.raises(CommandError, match="The queue cannot be reached"):
        _health()
