"""Requests that arrive at the same moment, whatever the machine has to do just then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from predictions import group_commit as intake
from predictions.group_commit import Intake
from predictions.models import Image, Prediction
from predictions.tests.fakes import upload
from predictions.tests.pictures import picture
from predictions.uploads import validation as images


class Arrivals:
    """Requests that meet at one intake."""

    def __init__(self) -> None:
        self.intake = Intake()
        self.predictions: list[Prediction] = []
        self.errors: dict[int, BaseException] = {}
        self.statements: list[str] = []  # that wrote something, in whatever thread
        self._threads: list[threading.Thread] = []

    def start(self, seed: int = 0, **changes: Any) -> None:
        """One more request, in a thread of its own, with another picture for each seed."""
        image = self._new(seed, changes)
        self._threads.append(threading.Thread(target=self._accept, args=(len(self._threads), image), daemon=True))
        self._threads[-1].start()

    def here(self, seed: int = 0) -> None:
        """One more request, in this thread and its transaction."""
        image = self._new(seed, {})
        self.intake.accept(self.predictions[-1], image)

    def _new(self, seed: int, changes: dict[str, Any]) -> Image:
        self.predictions.append(Prediction(**{"source": "api", "file_name": "a.png", **changes}))
        return images.store(images.admit(upload(picture(seed=seed))))

    def _accept(self, number: int, image: Image) -> None:
        try:
            with connection.execute_wrapper(self._note):
                self.intake.accept(self.predictions[number], image)
        except BaseException as error:  # noqa: BLE001 - also what ends a program
            self.errors[number] = error
        finally:
            connection.close()

    def _note(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE")):
            self.statements.append(sql)
        return execute(sql, *arguments)

    def until_arrived(self, number: int) -> None:
        while len(self.intake._arrived) < number:
            threading.Event().wait(0.005)

    def together(self, *all_changes: dict[str, Any]) -> None:
        """These requests, none of which is written before all have arrived. Returns when all are answered."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intake, "GATHER_SECONDS", 60)
            with self.intake.coming():
                for number, changes in enumerate(all_changes):
                    self.start(**{"seed": number, **changes})
                self.until_arrived(len(all_changes))
            self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a request was forgotten"

    def states(self) -> list[str | None]:
        rows = dict(Prediction.objects.values_list("pk", "state"))
        return [rows.get(prediction.pk) for prediction in self.predictions]
