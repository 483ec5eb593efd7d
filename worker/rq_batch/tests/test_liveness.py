"""Which workers count as alive."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from rq import Queue

from worker.rq_batch import BatchWorker
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.tests.batch_jobs import CALLS, HERE


def test_killed_worker_counts_as_dead_while_its_entry_remains(
    queue: Queue, start_worker: Callable[..., subprocess.Popen[bytes]]
) -> None:
    queue.enqueue(f"{HERE}.never_ends", "a")
    process = start_worker()
    assert queue.connection.blpop([CALLS], timeout=30)
    assert [(worker.pid, worker.state) for worker in live_workers(queue)] == [(process.pid, "busy")]
    process.kill()
    process.wait(20)
    assert queue.connection.scard(f"rq:workers:{queue.name}") == 1, "the entry is still there"
    assert live_workers(queue) == []


def test_entry_alone_decides_about_a_worker_on_another_machine(queue: Queue) -> None:
    worker = BatchWorker([queue])
    worker.register_birth()
    queue.connection.hset(worker.key, mapping={"hostname": "elsewhere", "host": "elsewhere", "pid": 2**22 + 1})
    assert [found.hostname for found in live_workers(queue)] == ["elsewhere"]
    worker.register_death()
    assert live_workers(queue) == []


def test_worker_whose_entry_expired_registers_again(queue: Queue) -> None:
    worker = BatchWorker([queue])
    worker.register_birth()
    queue.connection.flushdb()  # as after a suspension of some minutes, or on a server that lost its data
    assert live_workers(queue) == []
    worker.heartbeat()
    assert [found.name for found in live_workers(queue)] == [worker.name]
