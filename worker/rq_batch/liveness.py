"""Finds the live workers of a queue: by their entries in Redis, and by the processes on this machine."""

import contextlib
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from rq import Queue, worker_registration
from rq.utils import as_text, decode_redis_hash, utcparse


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
    its entry counts only while its process exists.
    """
    keys = [as_text(key) for key in worker_registration.get_keys(queue=queue)]
    with queue.connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
        entries = pipeline.execute()
    here = host_identity()
    found = []
    for key, entry in zip(keys, entries, strict=True):
        facts = decode_redis_hash(entry, decode_values=True)
        if "pid" not in facts or "death" in facts or "last_heartbeat" not in facts:
            continue
        worker = LiveWorker(
            name=key.rpartition(":")[2],
            hostname=facts.get("hostname", ""),
            pid=int(facts["pid"]),
            state=facts.get("state", "?"),
            last_heartbeat=utcparse(facts["last_heartbeat"]),
            facts=facts,
        )
        if facts.get("host") != here or _process_exists(worker.pid):
            found.append(worker)
    return found


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
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
