"""An RQ worker that runs many queued jobs of the same function as one call. See README.md.

    @batched(max_size=32)
    def square(arguments):
        return [number * number for (number,) in arguments]

`square` is an ordinary job function to enqueue. A `BatchWorker` takes up to 32 of its jobs at once, calls it with the
list of their arguments, and records one result or exception for each job.
"""

from worker.rq_batch.batched import batched
from worker.rq_batch.worker import BatchWorker

__all__ = ["BatchWorker", "batched"]
