"""System check of the queue server."""

from typing import Any

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

SECONDS = 1  # a command must not wait long for a server that is away
KEEPS_ALL = "noeviction"


@register()
def queue_evicts_nothing(**_: Any) -> list[CheckMessage]:
    """Warns of a queue server that may delete jobs when it is full. Without a server, it cannot tell."""
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry=None
        ) as server:
            policy = server.info("memory").get("maxmemory_policy", KEEPS_ALL)
    except redis.RedisError:
        return []
    if policy == KEEPS_ALL:
        return []
    return [
        Warning(
            f"The queue server may evict jobs when it is full (maxmemory-policy {policy}).",
            hint=f"Set its maxmemory-policy to {KEEPS_ALL}.",
            id="predictions.W001",
        )
    ]
