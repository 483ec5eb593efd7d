from __future__ import annotations

import pytest
from rq import Queue

from learning.datasets import queue as exports_queue


@pytest.fixture
def exports(queue: Queue) -> Queue:
    """The queue of exports, empty."""
    return exports_queue.queue()
