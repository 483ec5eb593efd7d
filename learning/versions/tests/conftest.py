from __future__ import annotations

from worker.inference.tests.conftest import repository, weights

__all__ = ["repository", "weights"]
