from __future__ import annotations

import pytest
from rq import Queue

from learning.datasets import export_queue as export_queue


@pytest.fixture
def exports(queue: Queue) -> Queue:
    """The empty queue of exports."""
    return export_queue.queue()
