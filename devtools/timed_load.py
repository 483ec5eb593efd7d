"""Clients that wait for each answer, with the time of each request."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import requests

from devtools.running import Site


@dataclass(frozen=True)
class TimedAnswer:
    """One request. `began`: `time.monotonic`. `status`: 0 if the connection failed. `body`: the parsed JSON."""

    began: float
    seconds: float
    status: int
    body: dict[str, Any]


class TimedLoad:
    """Clients that send distinct photos to `/api/predict` one after another, until the end of the block.

    A photo differs from the others by bytes after its end, which no decoder reads.
    """

    def __init__(self, site: Site, photo: bytes, *, clients: int) -> None:
        self.answers: list[TimedAnswer] = []
        self._address = f"{site.url}/api/predict"
        self._photo = photo
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._send) for _ in range(clients)]

    def __enter__(self) -> TimedLoad:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for client in self._clients:
            client.join()

    def _send(self) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                photo = self._photo + str(next(self._numbers)).encode()
                began = time.monotonic()
                status, body = self._post(session, photo)
                self.answers.append(TimedAnswer(began, time.monotonic() - began, status, body))

    def _post(self, session: requests.Session, photo: bytes) -> tuple[int, dict[str, Any]]:
        try:
            response = session.post(self._address, files={"file": ("photo.jpg", photo, "image/jpeg")}, timeout=120)
            return response.status_code, response.json()
        except (requests.RequestException, ValueError) as error:
            return 0, {"error": repr(error)}

    def between(self, start: float, end: float) -> list[TimedAnswer]:
        """Returns the requests that began in this time."""
        return [answer for answer in list(self.answers) if start <= answer.began < end]


def p99_ms(answers: Iterable[TimedAnswer]) -> float:
    """Returns the 99th percentile in milliseconds; not a number if there are no answers."""
    seconds = sorted(answer.seconds for answer in answers)
    return 1000 * seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))] if seconds else float("nan")
