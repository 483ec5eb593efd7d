"""The worker that `manage.py rqworker` runs: a batch worker with the active model."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from rq.job import Job

from predictions import answering, classifiers, erasing, queues, recovery, request_ids
from worker.rq_batch import BatchWorker

logger = logging.getLogger(__name__)

# Recovery leaves younger rows alone: their jobs may still be on the way to the queue.
RECOVER_AFTER = timedelta(seconds=10)


class PredictionWorker(BatchWorker):
    """A batch worker that keeps the active model loaded and recovers lost predictions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare_seconds = settings.MODEL_LOAD_SECONDS

    def prepare(self) -> None:
        """Loads and warms up the model, so that the first picture is answered as fast as the second."""
        classifiers.current()

    def context(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """Returns a context that adds the request ids of these jobs to each line logged while they run."""
        return request_ids.logged_for(jobs)

    def facts(self) -> dict[str, str]:
        """Publishes the loaded model version in the worker's entry in Redis."""
        return {"model": classifiers.loaded_version()}

    def handle_dropped(self, jobs: Sequence[Job]) -> None:
        """Fails the predictions whose jobs were cancelled outside the site. This wakes requests that wait for them."""
        super().handle_dropped(jobs)
        close_old_connections()
        answering.predictions_fail(queues.job_uuids(job.id for job in jobs), "cancelled in the queue")

    def handle_unreadable(self, job_id: str) -> None:
        """Fails the prediction whose job cannot be read."""
        close_old_connections()
        answering.predictions_fail(queues.job_uuids([job_id]), "its job cannot be read")

    def recover(self) -> None:
        """Also loads a newly activated version, and queues lost predictions again."""
        super().recover()
        close_old_connections()  # the database may have been restarted since
        classifiers.load_activated()  # without waiting for the next picture
        try:
            recovery.predictions_recover(older_than=RECOVER_AFTER)
            erasing.erasures_finish()
        except DatabaseError:
            logger.exception("Recovery is postponed: the database cannot be used.")
