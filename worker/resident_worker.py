"""An RQ worker that stays in one process with what was expensive to load.

RQ's default worker forks for each job, which would load the network anew each time (and TensorFlow does not survive a
fork). This one runs jobs in its own process, prepares before it takes the first of them, and takes back the jobs of
workers that were killed. It knows nothing of images.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rq import Queue, worker_registration
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import as_text, now
from rq.worker import SimpleWorker

from worker.liveness import host_identity, live_workers

MAINTENANCE_SECONDS = 15

# Between taking a job from the queue and starting it a living worker spends milliseconds.
UNSTARTED_SECONDS = 10

# One step, so that neither a death nor another worker in between loses the job or doubles it.
_PUT_BACK = """
if redis.call('lrem', KEYS[1], 1, ARGV[1]) == 1 then
    redis.call('lpush', KEYS[2], ARGV[1])
end
"""


class ResidentWorker(SimpleWorker):
    """`SimpleWorker`, with a preparation, facts about itself in Redis, and a quick eye for dead colleagues.

    Serialises as JSON whatever the command line says, so that what a job carries is data and never code. Who can
    write to Redis can still name any function for a worker to call: Redis has to be as private as the database.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        kwargs["maintenance_interval"] = MAINTENANCE_SECONDS
        super().__init__(*args, **kwargs)

    def prepare(self) -> None:
        """Called once, in the worker's process, before it registers and takes jobs. Does nothing here."""

    def facts(self) -> dict[str, str]:
        """What the worker says of itself in Redis, beside what RQ says of it. Nothing here."""
        return {}

    def work(self, *args: Any, **kwargs: Any) -> bool:
        self.prepare()
        return bool(super().work(*args, **kwargs))

    def serialize(self) -> dict[str, Any]:
        return {**super().serialize(), "host": host_identity(), **self.facts()}

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Says that this worker lives, and all that there is to say of it.

        RQ writes the rest only once, at birth. A worker whose entry ran out (a suspended machine, a queue server that
        was emptied) would go on working and count as dead for ever after.
        """
        if pipeline is None:
            with self.connection.pipeline() as own:
                self.heartbeat(timeout, own)
                own.execute()
            return
        super().heartbeat(timeout, pipeline)
        if self.birth_date is not None:
            pipeline.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipeline)

    def run_maintenance_tasks(self) -> None:
        for queue in self.queues:
            self._take_back_jobs(queue)
            self._put_back_unstarted_jobs(queue)
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def _take_back_jobs(self, queue: Queue) -> None:
        """Jobs that dead workers had started: tried again where they have tries left, failed otherwise.

        RQ does the same itself once a job's time-out and a minute have passed; here they are made overdue at once.
        """
        registry = StartedJobRegistry(queue=queue)
        orphans = list(self._orphans(queue, registry))
        if not orphans:
            return
        lock = f"{registry.key}:taking-back"  # two workers must not put the same job back twice
        if not self.connection.set(lock, self.name, nx=True, ex=timedelta(seconds=MAINTENANCE_SECONDS)):
            return
        self.log.warning("Worker %s: taking back %d jobs of dead workers", self.name, len(orphans))
        self.connection.zadd(registry.key, {execution.composite_key: 0 for execution in orphans}, xx=True)
        registry.cleanup(timestamp=1, exception_handlers=self._exc_handlers)
        self.connection.delete(lock)

    def _orphans(self, queue: Queue, registry: StartedJobRegistry) -> Iterator[Execution]:
        started = registry.get_job_and_execution_ids(cleanup=False)
        if not started:
            return
        alive = {colleague.name for colleague in live_workers(queue)}
        for job_id, execution_id in started:
            execution = Execution(execution_id, job_id, connection=self.connection)
            name = self.connection.hget(execution.key, "worker_name")
            if name is None or as_text(name) not in alive | {self.name}:
                yield execution

    def _put_back_unstarted_jobs(self, queue: Queue) -> None:
        """Jobs that a worker took from the queue and never started, because it died just then: first in line again.

        RQ does much the same itself after a minute or two. Here it is after some seconds, and at once if this is the
        only worker: then nobody can be about to start them.
        """
        intermediate = queue.intermediate_queue
        taken = intermediate.get_job_ids()
        if not taken:
            return
        colleagues = [worker for worker in live_workers(queue) if worker.name != self.name]
        started = set(StartedJobRegistry(queue=queue).get_job_ids(cleanup=False))
        for job_id in taken:
            if job_id not in started and (not colleagues or _has_waited(intermediate, job_id)):
                self.log.warning("Worker %s: putting back job %s, which was never started", self.name, job_id)
                self.connection.eval(_PUT_BACK, 2, intermediate.key, queue.key, job_id)
                self.connection.delete(intermediate.get_first_seen_key(job_id))


def _has_waited(intermediate: IntermediateQueue, job_id: str) -> bool:
    """Whether a job was seen here before, and long enough ago."""
    if intermediate.set_first_seen(job_id):
        return False
    first_seen = intermediate.get_first_seen(job_id)
    return first_seen is not None and now() - first_seen > timedelta(seconds=UNSTARTED_SECONDS)
