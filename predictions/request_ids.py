"""Carries a request's id from the web server through the queue into the worker's log lines.

The request middleware (`mlsite/logs.py`) binds the id; the job takes it along in its meta.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from rq.job import Job
from structlog.contextvars import bound_contextvars, get_contextvars


def current() -> str:
    """Returns the id of the current request; an empty string outside of a request."""
    return str(get_contextvars().get("request_id", ""))


def meta(request_id: str) -> dict[str, str]:
    """Returns the `meta` of a job that this request queues."""
    return {"request_id": request_id} if request_id else {}


def logged_for(jobs: Iterable[Job]) -> AbstractContextManager[None]:
    """Adds the ids of the requests that these jobs came from to each line logged inside the context."""
    metas = [job.meta for job in jobs if isinstance(job.meta, dict)]
    found = [meta["request_id"] for meta in metas if "request_id" in meta]
    if not found:
        return bound_contextvars()
    return bound_contextvars(request_id=found[0]) if len(found) == 1 else bound_contextvars(request_ids=found)
