"""Load on a running site, and the answer to every accepted photo."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import Any

import PIL.Image
import redis
import requests
import skimage.data

from devtools.running import Site, eventually
from predictions.announcements import CHANNEL

ENOUGH_WAITING = 64  # jobs: two full batches
SIDE = 300  # pixels
_coffee: Any = skimage.data.coffee


def cut(number: int) -> bytes:
    """Returns a JPEG of another part of the coffee photo for each number up to 30,000."""
    left, top = number % 300, number // 300 % 100
    part = PIL.Image.fromarray(_coffee()[top : top + SIDE, left : left + SIDE])
    file = BytesIO()
    part.save(file, "JPEG")
    return file.getvalue()


def queue_connection(site: Site) -> Any:
    """Opens a connection to the site's queue server: a `redis.Redis` that returns `str`."""
    return redis.Redis.from_url(site.queue_url, decode_responses=True)


class Announcements:
    """Listens to the workers' announcements. `done` counts the announced answers by prediction."""

    def __init__(self, site: Site) -> None:
        self.done: Counter[str] = Counter()
        self._server = queue_connection(site)
        self._stop = threading.Event()
        self._subscribed = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Announcements:
        self._thread.start()
        if not self._subscribed.wait(20):
            raise AssertionError("no subscription to the announcements")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._server.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with self._server.pubsub() as pubsub:
                    pubsub.subscribe(CHANNEL)
                    while not self._stop.is_set():
                        self._count(pubsub.get_message(timeout=0.2))
            except redis.ConnectionError:
                time.sleep(0.1)  # the server restarts

    def _count(self, message: dict[str, Any] | None) -> None:
        if message and message["type"] == "subscribe":
            self._subscribed.set()
        if message and message["type"] == "message":
            for prediction_id, columns in json.loads(message["data"]).items():
                self.done[prediction_id] += bool(columns and columns["state"] == "done")

    @property
    def answered(self) -> int:
        return sum(self.done.values())


class SiteLoad:
    """Clients that keep the queue filled with photos.

    `accepted` maps ids of predictions to numbers of photos; `rejected` holds all other responses.
    """

    def __init__(self, site: Site, photo: Callable[[int], bytes] = cut, *, clients: int = 3) -> None:
        self.site = site
        self.accepted: dict[str, int] = {}
        self.rejected: list[requests.Response] = []
        self.announcements = Announcements(site)
        self._server = queue_connection(site)
        self._photo = photo
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._errors: list[Exception] = []
        self._clients = [threading.Thread(target=self._send) for _ in range(clients)]

    def __enter__(self) -> SiteLoad:
        self.announcements.__enter__()
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.announcements.__exit__()
            self._server.close()

    def stop(self) -> None:
        """Stops sending, but keeps listening. Raises the error of a client that failed."""
        self._stop.set()
        for client in self._clients:
            client.join()
        for error in self._errors:
            raise error

    def _waiting(self) -> int:
        try:
            return int(self._server.llen("rq:queue:predictions"))
        except redis.RedisError:
            return 0

    def _send(self) -> None:
        try:
            while not self._stop.is_set():
                if self._waiting() > ENOUGH_WAITING:
                    time.sleep(0.02)
                    continue
                number = next(self._numbers)
                response = self.site.predict(self._photo(number), Prefer="respond-async")
                if response.status_code == 202:
                    self.accepted[response.json()["id"]] = number
                else:
                    self.rejected.append(response)
        except Exception as error:  # noqa: BLE001 - raised in the test by `stop`
            self._errors.append(error)

    def until_answered(self, more: int, seconds: float = 60) -> None:
        """Waits until `more` further predictions have been answered."""
        enough = self.announcements.answered + more
        eventually(lambda: self.announcements.answered >= enough, f"{more} more answers", seconds)

    def settled(self, seconds: float = 150) -> dict[str, dict[str, Any]]:
        """Stops sending, waits until all predictions have ended, and returns the site's answer to each accepted one."""
        self.stop()
        found: dict[str, dict[str, Any]] = {}

        def all_settled() -> bool:
            for prediction_id in self.accepted.keys() - found.keys():
                answer = self.site.get(f"/api/predictions/{prediction_id}").json()
                if answer["state"] not in {"queued", "running"}:
                    found[prediction_id] = answer
            return len(found) == len(self.accepted)

        eventually(all_settled, "the last answer", seconds)
        return found
