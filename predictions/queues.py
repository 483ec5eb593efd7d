"""The queue of predictions."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import django_rq
import redis
from django.conf import settings
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from rq import Callback, Queue
from rq import Retry as JobRetry
from rq.job import Job, JobStatus

from predictions.request_ids import meta

logger = logging.getLogger(__name__)

NAME = "predictions"

# The attempts for each job. A transient failure (a locked database, a killed worker) gets another one; a picture that
# kills every worker does not go on killing them.
ATTEMPTS = 3
FAILURE_TTL = 86_400  # seconds that Redis keeps a failed job; its row is kept for good
RESULT_TTL = 60  # seconds that Redis keeps a successful job: one kilobyte each, up to a hundred per second

_RETRY = JobRetry(max=ATTEMPTS - 1)
_ON_FAILURE = Callback("predictions.jobs.record_failure")

# A request asks the queue at most twice, so a queue server that hangs holds it for at most twice this time.
CONNECT_SECONDS = 1
ANSWER_SECONDS = 1

# Statuses of jobs that were stopped or cancelled outside the site, in RQ's dashboard for example.
GIVEN_UP = frozenset({JobStatus.STOPPED.value, JobStatus.CANCELED.value})

# Statuses of jobs that are in a list of the queue.
IN_PROGRESS = frozenset({JobStatus.QUEUED.value, JobStatus.STARTED.value})

_STATUSES: dict[object, str] = {status.value.encode(): status.value for status in JobStatus}

SEARCHED_JOBS = 100_000  # a longer queue is not searched for single jobs


@cache
def queue() -> Queue:
    """Returns the queue. One object serves the whole process, because each new one queries the server."""
    # Uploads wait for this connection. The client's defaults, seven seconds for an absent server and no limit for one
    # that hangs, would soon block every thread of the web server. Only a lost connection is tried again: a server that
    # hangs would keep its client waiting each time.
    connection = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 2, supported_errors=(redis.ConnectionError,)),
    )
    return django_rq.get_queue(NAME, connection=connection, commit_mode="auto")


def connection() -> "redis.Redis":
    return queue().connection


def is_embedded() -> bool:
    """Whether the queue runs on the server that `manage.py up` starts, not on one that `REDIS_URL` names."""
    return bool(settings.REDIS_URL == settings.EMBEDDED_VALKEY_URL)


def enqueue(*prediction_ids: str, request_ids: Mapping[str, str] | None = None) -> None:
    """Queues a job for each prediction, with the prediction's id, in one round trip.

    `request_ids`: the id of the request that submitted each prediction, where known.

    Raises `redis.RedisError` if the queue cannot be reached.
    """
    queue().enqueue_many(
        Queue.prepare_data(
            "predictions.jobs.classify",
            args=(prediction_id,),
            meta=meta((request_ids or {}).get(prediction_id, "")),
            job_id=prediction_id,
            retry=_RETRY,
            on_failure=_ON_FAILURE,
            result_ttl=RESULT_TTL,
            failure_ttl=FAILURE_TTL,
            description=f"classify {prediction_id}",
        )
        for prediction_id in prediction_ids
    )


def position(prediction_id: UUID | str) -> int | None:
    """Returns the position of a prediction in the queue: 1 for the next one.

    `None` if it is not queued (a worker has taken it, or it has settled), or if the queue cannot be read. It takes one
    round trip. The server walks through the queue: a fraction of a millisecond at 10,000 jobs.
    """
    try:
        index: Any = connection().lpos(queue().key, str(prediction_id))
    except redis.RedisError as error:
        logger.warning("Cannot read the position of prediction %s: %s", prediction_id, error)
        return None
    return None if index is None else int(index) + 1


def job_statuses(job_ids: Sequence[str], of: Queue | None = None) -> dict[str, str | None]:
    """Returns the statuses of these jobs, in one step. `of`: their queue, if it is not that of the predictions.

    `None` stands for a job that no worker will run: there is none, it cannot be read, its status is unknown, or it
    claims to be queued or started and is in no list of the queue.
    """
    of = of or queue()
    with of.connection.pipeline() as pipeline:
        pipeline.llen(of.key)
        pipeline.lrange(of.key, 0, SEARCHED_JOBS - 1)
        pipeline.lrange(of.intermediate_queue_key, 0, -1)
        pipeline.zrange(of.started_job_registry.key, 0, -1)
        for job_id in job_ids:
            pipeline.hget(Job.key_for(job_id), "status")
        length, queued, taken, started, *statuses = pipeline.execute(raise_on_error=False)
    for answer in (length, queued, taken, started):
        if isinstance(answer, redis.RedisError):
            raise answer
    in_progress = {*queued, *taken, *(entry.partition(b":")[0] for entry in started)}
    is_complete = length <= SEARCHED_JOBS

    def status(job_id: str, value: object) -> str | None:
        if value not in _STATUSES:
            return None
        name = _STATUSES[value]
        is_lost = name in IN_PROGRESS and is_complete and job_id.encode() not in in_progress
        return None if is_lost else name

    return {job_id: status(job_id, value) for job_id, value in zip(job_ids, statuses, strict=True)}


def delete_jobs(job_ids: Sequence[str]) -> None:
    """Deletes what is left of these jobs, so that nothing of it remains in a new job with the same id."""
    if job_ids:
        connection().delete(*map(Job.key_for, job_ids))


def job_uuids(job_ids: Iterable[str]) -> list[UUID]:
    """Returns these ids as UUIDs. Leaves out ids of jobs that this site has not queued."""
    found = []
    for job_id in job_ids:
        try:
            found.append(UUID(job_id))
        except ValueError:
            logger.warning("Job %s is not of this site.", job_id)
    return found
