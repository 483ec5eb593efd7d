"""The error of importing a network. Its message is one line and says what to do where that is known."""

from __future__ import annotations

from worker.inference.repository.errors import RepositoryError


class ImportRefused(RepositoryError):
    """The network, its labels or its preprocessing cannot be used as they are. Nothing was installed."""
