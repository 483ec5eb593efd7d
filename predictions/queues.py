"""The queue that predictions wait in."""

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

# A job is tried this often in all: what fails by bad luck (a locked database, a killed worker) gets another chance,
# a picture that kills every worker it meets does not kill for ever.
ATTEMPTS = 3
FAILURE_TTL = 86_400  # seconds that Redis remembers a failed job; the row remembers for good
RESULT_TTL = 60  # seconds that it remembers one that went well: a kilobyte each, and a hundred come in a second

_RETRY = JobRetry(max=ATTEMPTS - 1)
_ON_FAILURE = Callback("predictions.jobs.record_failure")

CONNECT_SECONDS = 2
ANSWER_SECONDS = 3

# Somebody stopped or cancelled the job by hand, past the site: in RQ's dashboard, say.
GIVEN_UP = frozenset({JobStatus.STOPPED, JobStatus.CANCELED})


@cache
def queue() -> Queue:
    """One queue object for the life of the process: each new one asks the server for its facts."""
    # Who sends a picture waits on this connection. The client's own patience with a server that is not there, seven
    # seconds for each call, or with one that hangs, for ever, would soon keep every thread of the web server waiting.
    connection = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 2),
    )
    return django_rq.get_queue(NAME, connection=connection, commit_mode="auto")


def connection() -> "redis.Redis":
    return queue().connection


def is_embedded() -> bool:
    """Whether the queue is the server that `manage.py up` starts, and not one that `REDIS_URL` names."""
    return bool(settings.REDIS_URL == settings.EMBEDDED_VALKEY_URL)


def enqueue(*prediction_ids: str, request_ids: Mapping[str, str] | None = None) -> None:
    """Puts predictions into the queue, under their own ids, in one round trip.

    `request_ids`: for each prediction the request that it came with, where that is known.

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
    """What the queue knows of these predictions, in one round trip; `None` where it knows nothing."""
    with connection().pipeline(transaction=False) as pipeline:
        for prediction_id in prediction_ids:
            pipeline.hget(Job.key_for(prediction_id), "status")
        found = pipeline.execute()
    return {
        prediction_id: JobStatus(status.decode()) if status else None
        for prediction_id, status in zip(prediction_ids, found, strict=True)
    }
