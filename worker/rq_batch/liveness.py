"""Finds the live workers of a queue: by their entries in Redis, and by the processes on this machine."""

import contextlib
import math
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import redis
from rq import Queue, worker_registration
from rq.utils import decode_redis_hash, utcparse

from worker.rq_batch.outages import is_outage


@dataclass(frozen=True)
class LiveWorker:
    """A worker that is alive. `facts` holds all fields of its entry in Redis."""

    name: str
    hostname: str
    pid: int
    state: str
    last_heartbeat: datetime
    facts: dict[str, str]


def live_workers(queue: Queue) -> list[LiveWorker]:
    """Returns the live workers of `queue`.

    The entry of a killed worker stays in Redis for some seconds, until it expires. If the worker ran on this machine,
    its entry counts only while its process exists. A damaged entry does not count: the worker writes it anew with its
    next heartbeat.
    """
    registered: Any = queue.connection.smembers(worker_registration.WORKERS_BY_QUEUE_KEY % queue.name)
    keys = [key.decode(errors="replace") for key in registered]
    with queue.connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
        entries = pipeline.execute(raise_on_error=False)
    here = host_identity()
    found = []
    for key, entry in zip(keys, entries, strict=True):
        if isinstance(entry, redis.RedisError) and is_outage(entry):
            raise entry
        worker = _read(key, entry)
        if worker and (worker.facts.get("host") != here or _process_exists(worker.pid)):
            found.append(worker)
    return found


def _read(key: str, entry: object) -> LiveWorker | None:
    """Returns the worker of this entry; `None` if it has ended or the entry is damaged."""
    if not isinstance(entry, dict):
        return None
    try:
        facts = decode_redis_hash(entry, decode_values=True)
        if "death" in facts or not 0 <= float(facts.get("rate") or 0) < math.inf:
            return None
        return LiveWorker(
            name=key.rpartition(":")[2],
            hostname=facts.get("hostname", ""),
            pid=int(facts["pid"]),
            state=facts.get("state", "?"),
            last_heartbeat=utcparse(facts["last_heartbeat"]),
            facts=facts,
        )
    except (KeyError, ValueError):
        return None


@cache
def host_identity() -> str:
    """Returns a name for the scope of this process's id: machine, boot and container.

    The host name alone is not enough: containers may share one, and each numbers its own processes.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # not Linux: only the host name is available
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
