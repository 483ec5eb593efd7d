from __future__ import annotations

import hypothesis
import pytest
from rq import Queue

from feedback.export import queue as exports_queue

# A machine that is busy with something else is no reason to fail.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def exports(queue: Queue) -> Queue:
    """The queue of exports, empty."""
    return exports_queue.queue()
