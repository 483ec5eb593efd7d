"""Which workers of a queue are alive, told by what they wrote into Redis and by a look at the processes here."""

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
    name: str
    hostname: str
    pid: int
    state: str
    last_heartbeat: datetime
    facts: dict[str, str]


def live_workers(queue: Queue) -> list[LiveWorker]:
    """The workers of `queue` that are neither dead nor gone, in one round trip.

    A killed worker's entry stays in Redis until it runs out, some seconds later. If it ran on this machine, its process
    is looked for, and the entry does not count when there is none.
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
    """A name for the place in which this process's id means something: machine, boot, and container.

    Host names alone will not do: containers may share one and count their processes each for themselves.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # not Linux: the host name has to do
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
