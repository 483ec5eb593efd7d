"""The worker that `manage.py rqworker` runs: a batch worker that holds the active model."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, close_old_connections
from rq.job import Job

from predictions import answering, classifiers, recovery, request_ids
from worker.rq_batch import BatchWorker

logger = logging.getLogger(__name__)

# A row this young may still be on its way into the queue.
RECOVER_AFTER = timedelta(seconds=10)


class PredictionWorker(BatchWorker):
    _followed = ""  # the version that was the active one when this worker last looked

    def prepare(self) -> None:
        """Loads and warms the model, so that the first picture is answered as fast as the second."""
        classifiers.current()

    def context(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """What is logged while these run says which requests it is for."""
        return request_ids.logged_for(jobs)

    def facts(self) -> dict[str, str]:
        return {"model": classifiers.loaded_version()}

    def handle_dropped(self, jobs: Sequence[Job]) -> None:
        """Whoever waits for a prediction whose job was cancelled in the queue, past the site, learns of it."""
        super().handle_dropped(jobs)
        close_old_connections()
        answering.predictions_fail([UUID(job.id) for job in jobs], "cancelled in the queue")

    def run_maintenance_tasks(self) -> None:
        super().run_maintenance_tasks()
        close_old_connections()  # a database that was restarted meanwhile is met with a new connection
        self._follow()
        try:
            recovery.predictions_recover(older_than=RECOVER_AFTER)
        except DatabaseError:
            logger.exception("Recovery has to wait: the database cannot be used.")

    def _follow(self) -> None:
        """Loads a newly activated version also while no picture comes, so that the site gets ready to answer with it.

        Once: one that turns out to be damaged is tried again with the next picture, and not every few seconds.
        """
        active = classifiers.active_name()
        if active != self._followed:
            self._followed = active
            classifiers.current()
