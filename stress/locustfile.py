"""Load for a running site: the index page, and pictures to `/api/predict`.

    .venv/bin/locust -f stress/locustfile.py --host http://127.0.0.1:8000 --headless -u 20 -r 5 -t 30s

Only ever point this at a machine of your own.
"""

import random
from argparse import ArgumentParser
from pathlib import Path

from locust import FastHttpUser, between, events, task
from locust.env import Environment

from stress import photos

DEFAULT_COUNT = 50

Photos = list[tuple[str, bytes]]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--photos", default="", help="folder of pictures to send (default: cuts of sample photos)")


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def load_photos(environment: Environment, **_: object) -> None:
    folder = environment.parsed_options.photos if environment.parsed_options else ""
    Visitor.photos = photos.from_folder(Path(folder)) if folder else photos.samples(DEFAULT_COUNT)


class Visitor(FastHttpUser):
    """Looks at the start page now and then, and sends one picture after another."""

    wait_time = between(0.1, 0.5)
    photos: Photos

    @task(1)
    def index(self) -> None:
        self.client.get("/")

    @task(5)
    def predict(self) -> None:
        name, content = random.choice(self.photos)  # noqa: S311 - for variety, not for secrets
        files = {"file": (name, content, "image/jpeg")}
        with self.client.post("/api/predict", files=files, catch_response=True) as response:
            if response.status_code == 202:
                response.failure("accepted, but not answered within the server's wait")
            elif response.status_code != 200:
                response.failure(f"status {response.status_code}")
            elif not 0 < response.json()["score"] <= 1:
                response.failure("an answer without a score")
