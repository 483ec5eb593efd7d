"""One id for all that happens because of one request: in the web server, in the queue, in the worker.

It comes with the request (`X-Request-ID`), from a proxy or a client that wants to find it again, or is made up here; it
goes back with the answer. Whatever is logged meanwhile carries it (see `mlsite/logs.py`), and so do the jobs that the
request leaves in the queue, so that the worker's lines carry it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from uuid import uuid4

from rq.job import Job
from structlog.contextvars import bound_contextvars, get_contextvars

HEADER = "X-Request-ID"

# What comes from outside goes into logs, Redis and a header: nothing long, nothing that could pass for something else.
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)

_META = "request_id"


def accepted_or_new(given: str | None) -> str:
    return given if given and _ACCEPTED.fullmatch(given) else uuid4().hex


def current() -> str:
    """The id of the request that is being answered; an empty string outside of one."""
    return str(get_contextvars().get("request_id", ""))


def meta(request_id: str) -> dict[str, str]:
    """What a job takes along."""
    return {_META: request_id} if request_id else {}


def logged_for(jobs: Iterable[Job]) -> AbstractContextManager[None]:
    """Whatever is logged in here carries the ids of the requests that these jobs came from."""
    found = [job.meta[_META] for job in jobs if _META in job.meta]
    if not found:
        return bound_contextvars()
    return bound_contextvars(request_id=found[0]) if len(found) == 1 else bound_contextvars(request_ids=found)
