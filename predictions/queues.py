"""The queue of predictions."""

from collections.abc import Mapping, Sequence
from functools import cache

import django_rq
import redis
from django.conf import settings
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from rq import Callback, Queue
from rq import Retry as JobRetry
from rq.job import Job, JobStatus

from predictions.request_ids import meta

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
GIVEN_UP = frozenset({JobStatus.STOPPED, JobStatus.CANCELED})


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


def job_statuses(prediction_ids: Sequence[str]) -> dict[str, JobStatus | None]:
    """Returns the job statuses of these predictions in one round trip; `None` for those without a job."""
    with connection().pipeline(transaction=False) as pipeline:
        for prediction_id in prediction_ids:
            pipeline.hget(Job.key_for(prediction_id), "status")
        found = pipeline.execute()
    return {
        prediction_id: JobStatus(status.decode()) if status else None
        for prediction_id, status in zip(prediction_ids, found, strict=True)
    }
