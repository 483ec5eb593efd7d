"""The worker that `manage.py exporter` runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, close_old_connections
from rq import Queue
from rq.job import Job

from learning.datasets import jobs, services
from predictions import request_ids
from worker.rq_batch import BatchWorker

logger = logging.getLogger(__name__)

# A row this young may still be on its way into the queue.
RECOVER_AFTER = timedelta(seconds=10)


class ExportWorker(BatchWorker):
    """Writes one export after the other. Holds no model; imports TensorFlow for TFRecords only, and then ends."""

    def prepare(self) -> None:
        jobs.stopping.clear()

    def context(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        return request_ids.logged_for(jobs)

    def _shutdown(self) -> None:
        """With the first signal: what is being written goes back to the queue."""
        super()._shutdown()
        jobs.stopping.set()

    def execute_job(self, job: Job, queue: Queue) -> None:
        super().execute_job(job, queue)
        if "tensorflow" in sys.modules:
            # Half a gigabyte that nobody may need again for weeks. Who looks after this process starts it again.
            self.log.info("Worker %s: ends, to be free of TensorFlow", self.name)
            self._stop_requested = True

    def handle_dropped(self, jobs: Sequence[Job]) -> None:
        super().handle_dropped(jobs)
        close_old_connections()
        services.exports_fail([UUID(job.id) for job in jobs], "It was cancelled in the queue.")

    def run_maintenance_tasks(self) -> None:
        super().run_maintenance_tasks()
        close_old_connections()
        try:
            services.exports_recover(older_than=RECOVER_AFTER)
            services.exports_tidy()
        except DatabaseError:
            logger.exception("Recovery has to wait: the database cannot be used.")
        except OSError:
            logger.exception("Drafts of exports cannot be removed.")
