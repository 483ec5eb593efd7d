"""What RQ writes into Redis about jobs, written for many jobs in one round trip.

Each operation is a Lua script: one step for the server, so that a worker can die between any two of them and leave
nothing in between. The scripts write the same keys as the functions of RQ that they name.
"""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from rq import Queue
from rq.defaults import RQ_KEY_PREFIX, UNSERIALIZABLE_RETURN_VALUE_PAYLOAD
from rq.executions import Execution
from rq.job import Job
from rq.registry import FinishedJobRegistry, StartedJobRegistry
from rq.utils import as_text, now, utcformat

logger = logging.getLogger(__name__)

LUA = Path(__file__).parent / "lua"


@dataclass
class TakenJob:
    """A job that this worker has taken out of its queue; once started, with its execution.

    `deaths`: how many workers have died while they ran it.
    """

    job: Job
    deaths: int
    execution: Execution | None = None

    @property
    def started(self) -> Execution:
        """Its execution. Raises `ValueError` if it was not started."""
        if self.execution is None:
            raise ValueError(f"job {self.job.id} was not started")
        return self.execution

    @property
    def names(self) -> tuple[str, str]:
        return self.job.id, self.execution.id if self.execution else ""


class Recorded(IntEnum):
    """What became of the record of a job that returned."""

    NOT_OURS = 0
    YES = 1
    HAS_DEPENDENTS = 2


class Bookkeeper:
    """The bulk operations of one worker, with its connection and under its name."""

    def __init__(self, connection: redis.Redis, worker_name: str, worker_key: str, executions_key: str) -> None:
        self._connection = connection
        self._worker_name = worker_name
        self._worker_keys = [worker_key, executions_key]
        self._scripts = {path.stem: connection.register_script(path.read_text()) for path in LUA.glob("*.lua")}

    def take(self, queue: Queue, most: int, *, already: Sequence[str] = ()) -> list[TakenJob]:
        """Takes up to `most` jobs out of the queue, with those of `already` that are in the intermediate queue."""
        while True:
            found = self._scripts["take"](
                keys=[queue.key, queue.intermediate_queue_key], args=[most, Job.redis_job_namespace_prefix, *already]
            )
            taken = []
            for job_id, fields in zip(found[::2], found[1::2], strict=True):
                if job := self._restored(queue, as_text(job_id), dict(zip(fields[::2], fields[1::2], strict=True))):
                    taken.append(job)
            if taken or not found:
                return taken
            already = ()  # none of them could be read: that does not mean that the queue is empty

    def _restored(self, queue: Queue, job_id: str, fields: dict[bytes, bytes]) -> TakenJob | None:
        try:
            job = queue.job_class(job_id, connection=self._connection, serializer=queue.serializer)
            job.restore(fields)
            return TakenJob(job, int(fields.get(b"deaths", 0)))
        except Exception:
            # Whatever is wrong with it will be wrong again: kept, it would stop one worker after the other.
            logger.exception("Job %s cannot be read and is dropped from queue %s.", job_id, queue.name)
            self._connection.lrem(queue.intermediate_queue_key, -1, job_id)
            return None

    def start(
        self, queue: Queue, taken: Sequence[TakenJob], *, seconds: Sequence[int], worker_ttl: int
    ) -> tuple[list[Job], list[Job]]:
        """Marks jobs as started, and gives each its execution.

        Returns those that were cancelled meanwhile, and those that a colleague has put back. Neither is to be run.

        `seconds`: for each job, how long it may take until it counts as abandoned.
        """
        moment = now()
        arguments: list[str | int] = []
        for member, ttl in zip(taken, seconds, strict=True):
            execution = Execution(uuid4().hex, member.job.id, self._connection, worker_name=self._worker_name)
            execution.created_at = execution.last_heartbeat = moment
            member.execution = execution
            arguments += [member.job.id, execution.id, ttl]
            member.job.worker_name = self._worker_name
            member.job.started_at = member.job.last_heartbeat = moment
        cancelled, not_ours = self._scripts["start"](
            keys=[queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key, *self._worker_keys],
            args=[RQ_KEY_PREFIX, self._worker_name, utcformat(moment), moment.timestamp(), worker_ttl, *arguments],
        )
        jobs = {member.job.id: member.job for member in taken}
        return [jobs[as_text(job_id)] for job_id in cancelled], [jobs[as_text(job_id)] for job_id in not_ours]

    def finish(self, queue: Queue, returned: Sequence[tuple[TakenJob, object, int]], ended: datetime) -> list[Recorded]:
        """Records jobs that returned: (job, result, seconds to keep it, -1 for ever) each. None may be 0 seconds."""
        if not returned:
            return []
        started = returned[0][0].started.created_at
        arguments: list[str | int] = []
        for member, result, ttl in returned:
            arguments += [*member.names, ttl, _serialised(member.job, result)]
        # Each job counts with its share: a batch of ten does not keep the worker busy for ten times its duration.
        share = (ended - started).total_seconds() / len(returned)
        codes = self._scripts["finish"](
            keys=[StartedJobRegistry(queue=queue).key, FinishedJobRegistry(queue=queue).key, *self._worker_keys],
            args=[
                *(RQ_KEY_PREFIX, self._worker_name, utcformat(started), utcformat(ended)),
                *(started.timestamp(), ended.timestamp(), share, *arguments),
            ],
        )
        return [Recorded(code) for code in codes]

    def owned(self, queue: Queue, members: Sequence[TakenJob]) -> list[bool]:
        """Whether each is still this worker's, and not taken back by another that thought this one dead."""
        registry = StartedJobRegistry(queue=queue)
        with self._connection.pipeline(transaction=False) as pipeline:
            for member in members:
                pipeline.zscore(registry.key, member.started.composite_key)
            return [score is not None for score in pipeline.execute()]

    def put_back(self, queue: Queue, members: Iterable[TakenJob]) -> int:
        """Back to the front of the queue, in this order. How many were."""
        names = [name for member in members for name in member.names]
        if not names:
            return 0
        keys = [queue.key, queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key, self._worker_keys[1]]
        return int(self._scripts["put_back"](keys=keys, args=[RQ_KEY_PREFIX, *names]))

    def take_back(self, queue: Queue, orphans: Sequence[Execution], *, too_many: int) -> tuple[int, list[Execution]]:
        """Puts the jobs of dead workers into the queue again, unless `too_many` have died of one.

        How many were put back, and the executions of the others, which stay as they are.
        """
        arguments = [part for orphan in orphans for part in (orphan.job_id, orphan.id, orphan.worker_name)]
        keys = [queue.key, StartedJobRegistry(queue=queue).key]
        put_back, *dead = self._scripts["take_back"](keys=keys, args=[RQ_KEY_PREFIX, too_many, *arguments])
        too_often = {as_text(execution_id) for execution_id in dead[1::2]}
        return int(put_back), [orphan for orphan in orphans if orphan.id in too_often]


def patiently(connection: redis.Redis, operation: Any, *, seconds: float) -> Any:
    """The result of `operation`, tried again for so long while the server is not there or not ready.

    What a batch has computed is worth waiting for: a queue server that is restarted is back in seconds. Raises what
    the last try raised.
    """
    deadline, pause = time.monotonic() + seconds, 0.1
    while True:
        try:
            return operation()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if time.monotonic() + pause > deadline:
                raise
            logger.warning("The queue server does not answer (%s); trying again.", error)
            connection.connection_pool.disconnect(inuse_connections=False)
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _serialised(job: Job, result: object) -> str:
    """As `rq.results.Result` does."""
    if result is None:
        return ""
    try:
        content = job.serializer.dumps(result)
    except Exception:  # noqa: BLE001 - whatever a serialiser makes of a foreign object
        content = job.serializer.dumps(UNSERIALIZABLE_RETURN_VALUE_PAYLOAD)
    return b64encode(content).decode()
