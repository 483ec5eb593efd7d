"""Load for a running site: visitors, API clients, people who send a picture, and reviewers.

    .venv/bin/locust -f stress/locustfile.py --host http://127.0.0.1:8000 --headless -u 20 -r 5 -t 30s

Load only sites that you run yourself. Refusals (503 with `Retry-After`) are listed separately, with the type REFUSED.
"""

import json
import logging
import math
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from locust import events
from locust.env import Environment

from review import sample_photos
from stress.recorder import FAILED, OK, REFUSED, Recorder
from stress.users import REFUSED as REFUSED_TYPE
from stress.users import ApiClient, Person, PhotoForm, Reviewer, SiteUser, Visitor  # noqa: F401 - Locust runs the imported users

DEFAULT_COUNT = 50


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("The users of this site")
    group.add_argument("--photos", default="", help="folder of pictures to send (default: cuts of sample photos)")
    group.add_argument("--reviewers", type=int, default=0, help="how many reviewers there are (default: none)")
    group.add_argument("--login", default="", metavar="NAME:PASSWORD", help="the reviewers' login")
    group.add_argument("--think-min", type=float, default=2, help="seconds between two steps, at least (default: 2)")
    group.add_argument("--think-max", type=float, default=8, help="and at most (default: 8)")
    group.add_argument("--figures", default="", metavar="FILE", help="write the results to this file, as JSON")
    group.add_argument("--begins", type=float, default=0, help="when to begin to count, in seconds since the epoch (0)")
    group.add_argument("--ends", type=float, default=math.inf, help="and when to stop (never)")


@events.init.add_listener  # type: ignore[untyped-decorator]
def set_up(environment: Environment, **_: object) -> None:
    options = environment.parsed_options
    if options is None:
        return
    Reviewer.fixed_count = options.reviewers
    name, _colon, password = options.login.partition(":")
    Reviewer.login = (name, password)
    if not options.reviewers:
        environment.user_classes[:] = [user for user in environment.user_classes if user is not Reviewer]
    found = sample_photos.from_folder(Path(options.photos)) if options.photos else sample_photos.samples(DEFAULT_COUNT)
    SiteUser.photos = [PhotoForm.of(name, content) for name, content in found]
    SiteUser.think_seconds = (options.think_min, options.think_max)
    if options.figures:
        _record(environment, options)


def _record(environment: Environment, options: Namespace) -> None:
    """Makes Locust count the answers, and write the results to a file when it quits."""
    recorder = Recorder(options.begins, options.ends)

    def check_time(**_: object) -> None:
        if options.begins and time.time() > options.begins:
            logging.error("The users start after the measured seconds have begun.")
            environment.process_exit_code = 2

    def add(
        request_type: str,
        name: str,
        start_time: float,
        response_time: float,
        exception: Exception | None,
        **_: object,
    ) -> None:
        outcome = FAILED if exception else REFUSED if request_type == REFUSED_TYPE else OK
        reason = f"{name}: {exception}" if exception else ""
        recorder.add(name, outcome, started=start_time, milliseconds=response_time, reason=reason)

    def write(**_: object) -> None:
        Path(options.figures).write_text(json.dumps(recorder.as_json()))

    for event, listener in {"test_start": check_time, "request": add, "quitting": write}.items():
        getattr(environment.events, event).add_listener(listener)
