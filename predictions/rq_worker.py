"""The worker that `manage.py rqworker` runs: a batch worker that holds the active model."""

import logging
from datetime import timedelta

from django.db import DatabaseError, close_old_connections

from predictions import classifiers, services
from worker.batch_worker import BatchWorker

logger = logging.getLogger(__name__)

# A row this young may still be on its way into the queue.
RECOVER_AFTER = timedelta(seconds=10)


class PredictionWorker(BatchWorker):
    def prepare(self) -> None:
        """Loads and warms the model, so that the first picture is answered as fast as the second."""
        classifiers.current()

    def facts(self) -> dict[str, str]:
        return {"model": classifiers.loaded_version()}

    def run_maintenance_tasks(self) -> None:
        super().run_maintenance_tasks()
        close_old_connections()  # a database that was restarted meanwhile is met with a new connection
        try:
            services.predictions_recover(older_than=RECOVER_AFTER)
        except DatabaseError:
            logger.exception("Recovery has to wait: the database cannot be used.")
