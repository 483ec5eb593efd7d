"""Moves many jobs through the keys of RQ in one round trip.

| operation   | moves jobs from                           | to                                      |
|-------------|-------------------------------------------|-----------------------------------------|
| `take`      | queue                                     | intermediate queue                      |
| `start`     | intermediate queue                        | started job registry                    |
| `finish`    | started job registry                      | finished job registry                   |
| `put_back`  | intermediate queue, started job registry  | front of the queue                      |
| `take_back` | started job registry, of a dead worker    | front of the queue, with one more death |

Each operation is a Lua script, which the server runs as a single step. A worker that dies therefore leaves no
operation half done. The scripts write the same keys as the functions of RQ that they name.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
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

# Most seconds that a key is given to live. Redis rejects a number that is too large, in the middle of a script.
LONGEST_SECONDS = 10**9

HandleUnreadable = Callable[[str], None]


def _ignore(job_id: str) -> None:
    """Does nothing: for callers that need not know about unreadable jobs."""


@dataclass
class TakenJob:
    """A job that this worker has taken out of its queue, with its execution once it is started.

    `deaths` is the number of workers that were killed while they ran this job.
    """

    job: Job
    deaths: int
    execution: Execution | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether a worker died while it ran this job, perhaps because of it. A suspect runs alone."""
        return self.deaths > 0

    @property
    def started(self) -> Execution:
        """The execution. Raises `ValueError` if the job was not started."""
        if self.execution is None:
            raise ValueError(f"job {self.job.id} was not started")
        return self.execution

    @property
    def ids(self) -> tuple[str, str]:
        """The ids of the job and of its execution, which is empty before the start."""
        return self.job.id, self.execution.id if self.execution else ""


class FinishCode(IntEnum):
    """What `finish` did with a job: nothing if another worker has taken it over, or if other jobs depend on it."""

    TAKEN_OVER = 0
    RECORDED = 1
    HAS_DEPENDENTS = 2


class Bookkeeper:
    """The bulk operations of one worker, over its connection and under its name.

    `handle_unreadable` is called with the id of each job that cannot be read, before the job is deleted.
    """

    def __init__(
        self,
        connection: redis.Redis,
        worker_name: str,
        worker_key: str,
        executions_key: str,
        handle_unreadable: HandleUnreadable = _ignore,
    ) -> None:
        self._connection = connection
        self._handle_unreadable = handle_unreadable
        self._worker_name = worker_name
        self._worker_keys = [worker_key, executions_key]
        self._scripts = {path.stem: connection.register_script(path.read_text()) for path in LUA.glob("*.lua")}

    def take(self, queue: Queue, most: int, *, already: Sequence[str | bytes] = ()) -> list[TakenJob]:
        """Moves up to `most` jobs from the queue to the intermediate queue, and reads them.

        `already` are the ids of jobs that are in the intermediate queue already. They come first and count too. Jobs
        that cannot be read are deleted.
        """
        while True:
            found = self._scripts["take"](
                keys=[queue.key, queue.intermediate_queue_key], args=[most, Job.redis_job_namespace_prefix, *already]
            )
            taken = []
            for job_id, fields in zip(found[::2], found[1::2], strict=True):
                if job := self._restore(queue, job_id, fields):
                    taken.append(job)
            if taken or not found:
                return taken
            already = ()  # no job could be read, but there may be more in the queue

    def _restore(self, queue: Queue, job_id: bytes, fields: Sequence[bytes] | None) -> TakenJob | None:
        try:
            if fields is None:
                raise TypeError("the key of the job is no hash")
            job = queue.job_class(job_id.decode(), connection=self._connection, serializer=queue.serializer)
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            job.restore(values)
            return TakenJob(job, int(values.get(b"deaths", 0)))
        except Exception as error:  # noqa: BLE001 - damaged fields may raise anything
            self.delete_unreadable(job_id, error)
            self._connection.lrem(queue.intermediate_queue_key, -1, job_id)  # type: ignore[arg-type]
            return None

    def delete_unreadable(self, job_id: bytes, error: Exception) -> None:
        """Deletes a job that cannot be read. No worker could ever run it, and it would stop each one that tries."""
        name = job_id.decode(errors="backslashreplace")
        logger.error("Job %s cannot be read and is deleted (%s: %s).", name, type(error).__name__, error)
        try:
            self._handle_unreadable(name)
        except Exception:
            logger.exception("The handler of the unreadable job %s raised.", name)
        self._connection.delete(Job.redis_job_namespace_prefix.encode() + job_id)

    def wait(self, queue: Queue, seconds: float) -> bytes | None:
        """Waits up to so many seconds for a job. Moves it to the intermediate queue and returns its id, or `None`."""
        return self._connection.blmove(queue.key, queue.intermediate_queue_key, seconds)  # type: ignore[arg-type,return-value]

    def start(
        self, queue: Queue, taken: Sequence[TakenJob], *, seconds: Sequence[int], worker_ttl: int
    ) -> tuple[list[Job], list[Job]]:
        """Marks jobs as started, and gives each an execution.

        `seconds` says for each job how long it may run until RQ considers it abandoned.

        Returns two lists of jobs that must not be run: those that were cancelled meanwhile, and those that another
        worker has put back, because they were in the intermediate queue for too long.
        """
        at = now()
        arguments: list[str | int] = []
        for member, ttl in zip(taken, seconds, strict=True):
            # A repetition after a lost reply must name the same execution: that tells it that the job was started.
            if member.execution is None:
                member.execution = Execution(
                    uuid4().hex, member.job.id, self._connection, worker_name=self._worker_name
                )
            member.execution.created_at = member.execution.last_heartbeat = at
            arguments += [member.job.id, member.execution.id, min(ttl, LONGEST_SECONDS)]
            member.job.worker_name = self._worker_name
            member.job.started_at = member.job.last_heartbeat = at
        cancelled, not_ours = self._scripts["start"](
            keys=[queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key, *self._worker_keys],
            args=[RQ_KEY_PREFIX, self._worker_name, utcformat(at), at.timestamp(), worker_ttl, *arguments],
        )
        jobs = {member.job.id: member.job for member in taken}
        return [jobs[as_text(job_id)] for job_id in cancelled], [jobs[as_text(job_id)] for job_id in not_ours]

    def finish(
        self, queue: Queue, returned: Sequence[tuple[TakenJob, object, int]], ended: datetime
    ) -> list[FinishCode]:
        """Records jobs that returned, each given as (job, result, seconds to keep the result).

        -1 keeps a result for ever. 0 is not allowed: RQ's own code records such jobs.
        """
        if not returned:
            return []
        started = returned[0][0].started.created_at
        arguments: list[str | int] = []
        for member, result, ttl in returned:
            arguments += [*member.ids, min(ttl, LONGEST_SECONDS), _serialised(member.job, result)]
        # Each job counts with its share of the time. Otherwise a batch of ten would count ten times.
        share = (ended - started).total_seconds() / len(returned)
        codes = self._scripts["finish"](
            keys=[StartedJobRegistry(queue=queue).key, FinishedJobRegistry(queue=queue).key, *self._worker_keys],
            args=[
                *(RQ_KEY_PREFIX, self._worker_name, utcformat(started), utcformat(ended)),
                *(started.timestamp(), ended.timestamp(), share, *arguments),
            ],
        )
        return [FinishCode(code) for code in codes]

    def owned(self, queue: Queue, members: Sequence[TakenJob]) -> list[bool]:
        """Returns for each job whether it still belongs to this worker, and no other worker has taken it over."""
        registry = StartedJobRegistry(queue=queue)
        with self._connection.pipeline(transaction=False) as pipeline:
            for member in members:
                pipeline.zscore(registry.key, member.started.composite_key)
            return [score is not None for score in pipeline.execute()]

    def put_back(self, queue: Queue, members: Iterable[TakenJob]) -> int:
        """Moves jobs from the intermediate queue or the started job registry to the front of the queue, in this order.

        Skips jobs that are in neither. Returns how many it moved.
        """
        ids = [part for member in members for part in member.ids]
        if not ids:
            return 0
        keys = [queue.key, queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key, self._worker_keys[1]]
        return int(self._scripts["put_back"](keys=keys, args=[RQ_KEY_PREFIX, *ids]))

    def take_back(self, queue: Queue, orphans: Sequence[Execution], *, too_many: int) -> tuple[int, list[Execution]]:
        """Moves jobs of dead workers from the started job registry to the front of the queue, and counts a death each.

        Leaves a job where it is if `too_many` workers have died while they ran it. Returns the number of jobs moved,
        and the executions of those left.
        """
        arguments = [part for orphan in orphans for part in (orphan.job_id, orphan.id, orphan.worker_name)]
        keys = [queue.key, StartedJobRegistry(queue=queue).key]
        put_back, *abandoned = self._scripts["take_back"](keys=keys, args=[RQ_KEY_PREFIX, too_many, *arguments])
        abandoned_ids = {as_text(execution_id) for execution_id in abandoned[1::2]}
        return int(put_back), [orphan for orphan in orphans if orphan.id in abandoned_ids]


def _serialised(job: Job, result: object) -> str:
    """Encodes a result the way `rq.results.Result.serialize` does, without the rest of that object."""
    if result is None:
        return ""
    try:
        content = job.serializer.dumps(result)
    except Exception:  # noqa: BLE001 - a serialiser may raise anything for an unknown type
        content = job.serializer.dumps(UNSERIALIZABLE_RETURN_VALUE_PAYLOAD)
    return b64encode(content).decode()
