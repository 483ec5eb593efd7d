"""The worker that `manage.py exporter` runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db import close_old_connections
from rq import Queue
from rq.job import Job

from learning.datasets import jobs, services
from predictions import queues, request_ids
from review.label_reopening import LabelWatcher
from worker.rq_batch import BatchWorker

logger = logging.getLogger(__name__)

# The job of a younger row may not have reached the queue yet.
RECOVER_AFTER = timedelta(seconds=10)


class ExportWorker(BatchWorker):
    """Writes one export after the other. It holds no model, and ends after an export that loads TensorFlow.

    Between exports it returns cases to the desk whose label was split or dropped.
    """

    def prepare(self) -> None:
        jobs.stopping.clear()
        self._labels = LabelWatcher()

    def context(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        return request_ids.logged_for(jobs)

    def _shutdown(self) -> None:
        """Asks the running export to stop and go back to the queue, already at the first signal."""
        super()._shutdown()
        jobs.stopping.set()

    def execute_job(self, job: Job, queue: Queue) -> None:
        super().execute_job(job, queue)
        if "tensorflow" in sys.modules:
            # TensorFlow takes half a gigabyte and may not be needed for weeks. The supervisor restarts this process.
            self.log.info("Worker %s: ends to free the memory of TensorFlow", self.name)
            self._stop_requested = True

    def handle_dropped(self, jobs: Sequence[Job]) -> None:
        super().handle_dropped(jobs)
        close_old_connections()
        services.exports_fail(queues.job_uuids(job.id for job in jobs), "Its job was cancelled in the queue.")

    def handle_unreadable(self, job_id: str) -> None:
        close_old_connections()
        services.exports_fail(queues.job_uuids([job_id]), "Its job in the queue could not be read.")

    def recover(self) -> None:
        """Also queues lost exports again, removes unfinished files, and returns cases whose label changed."""
        super().recover()
        close_old_connections()
        try:
            services.exports_recover(older_than=RECOVER_AFTER)
            services.exports_tidy()
            self._labels.check()
        except DatabaseError:
            logger.exception("Recovery failed: the database is unavailable.")
        except OSError:
            logger.exception("Cannot remove drafts of exports.")
