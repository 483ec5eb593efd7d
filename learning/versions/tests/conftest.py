from __future__ import annotations

from worker.inference.tests.conftest import cnn, labels_file, repository, weights

__all__ = ["cnn", "labels_file", "repository", "weights"]
