"""`manage.py exporter`: runs the worker that writes exports."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from learning.datasets import export_queue
from learning.datasets.export_worker import ExportWorker


class Command(BaseCommand):
    help = "Runs a worker that writes the data sets requested in the admin."

    def handle(self, *args: Any, **options: Any) -> None:
        worker_class = f"{ExportWorker.__module__}.{ExportWorker.__qualname__}"
        call_command("rqworker", export_queue.NAME, worker_class=worker_class, verbosity=options["verbosity"])
