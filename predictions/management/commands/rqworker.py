"""`manage.py rqworker`: django-rq's command with this project's defaults."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django_rq.management.commands.rqworker import Command as RQWorkerCommand

from predictions import queues
from worker.inference.engines import EngineError
from worker.inference.repository import RepositoryError


class Command(RQWorkerCommand):
    help = "Runs a worker that answers queued predictions."

    def handle(self, *args: str, **options: Any) -> None:
        unknown = sorted(set(args) - set(settings.RQ_QUEUES))
        if unknown:
            raise CommandError(f"No queue is named {unknown[0]!r}. The queues: {', '.join(settings.RQ_QUEUES)}.")
        try:
            super().handle(*(args or (queues.NAME,)), **options)  # type: ignore[no-untyped-call]
        except (RepositoryError, EngineError) as error:
            raise CommandError(str(error)) from error
