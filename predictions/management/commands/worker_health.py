"""`manage.py worker_health`: a health check for the container or supervisor of a worker."""

from typing import Any

import django_rq
import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions import queues
from worker.rq_batch.liveness import host_identity, live_workers


class Command(BaseCommand):
    help = "Exits with 0 if a live worker of this queue runs on this host or in this container."
    requires_system_checks = ()  # it runs every few seconds and needs none of them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "queue", nargs="?", default=queues.NAME, choices=sorted(settings.RQ_QUEUES), help="default: %(default)s"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        queue = django_rq.get_queue(options["queue"], connection=queues.connection())
        try:
            workers = live_workers(queue)
        except redis.RedisError as error:
            raise CommandError(f"The queue cannot be reached: {error}") from error
        here = [worker for worker in workers if worker.facts.get("host") == host_identity()]
        if not here:
            raise CommandError(f"No live worker of {queue.name!r} runs here.")
        for worker in here:
            self.stdout.write(" ".join(filter(None, [worker.name, worker.state, worker.facts.get("model")])))
