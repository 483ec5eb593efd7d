"""Concurrent writes to one group commit, synchronised so that the speed of the machine does not matter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from predictions import group_commit
from predictions.group_commit import GroupCommit
from predictions.models import Image, Prediction
from predictions.tests.fakes import upload
from predictions.tests.pictures import picture
from predictions.uploads import validation as images


class ConcurrentWrites:
    """Requests that write to the same `GroupCommit`, each in its own thread."""

    def __init__(self) -> None:
        self.writer = GroupCommit()
        self.predictions: list[Prediction] = []
        self.errors: dict[int, BaseException] = {}
        self.statements: list[str] = []  # the INSERTs and UPDATEs of all threads
        self._threads: list[threading.Thread] = []

    def start(self, seed: int = 0, **changes: Any) -> None:
        """Starts one more request in a new thread. Each seed gives another picture."""
        image = self._new(seed, changes)
        self._threads.append(threading.Thread(target=self._write, args=(len(self._threads), image), daemon=True))
        self._threads[-1].start()

    def write_here(self, seed: int = 0) -> None:
        """Writes one more request in this thread, inside its transaction."""
        image = self._new(seed, {})
        self.writer.write(self.predictions[-1], image)

    def _new(self, seed: int, changes: dict[str, Any]) -> Image:
        self.predictions.append(Prediction(**{"source": "api", "file_name": "a.png", **changes}))
        return images.store(images.validate(upload(picture(seed=seed))))

    def _write(self, number: int, image: Image) -> None:
        try:
            with connection.execute_wrapper(self._record_statement):
                self.writer.write(self.predictions[number], image)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt too
            self.errors[number] = error
        finally:
            connection.close()

    def _record_statement(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE")):
            self.statements.append(sql)
        return execute(sql, *arguments)

    def wait_until_pending(self, number: int) -> None:
        while len(self.writer._pending) < number:
            threading.Event().wait(0.005)

    def write_together(self, *all_changes: dict[str, Any]) -> None:
        """Writes these requests in one group. Returns when all have ended."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(group_commit, "GATHER_SECONDS", 60)
            with self.writer.expect_write():
                for number, changes in enumerate(all_changes):
                    self.start(**{"seed": number, **changes})
                self.wait_until_pending(len(all_changes))
            self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a request never ended"

    def states(self) -> list[str | None]:
        rows = dict(Prediction.objects.values_list("pk", "state"))
        return [rows.get(prediction.pk) for prediction in self.predictions]
