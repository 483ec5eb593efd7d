"""The simulated users: visitors, API clients, people who send a picture, and reviewers."""

from __future__ import annotations

import html
import random
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from locust import FastHttpUser, SequentialTaskSet, task
from locust.exception import InterruptTaskSet

REFUSED = "REFUSED"  # replaces the HTTP method, so that refusals count neither as successes nor as failures

WAIT_SECONDS = 30  # that a person waits for an answer

# Floating-point sums depend on the batch, so the score of the same picture may vary by this much.
SCORE_TOLERANCE = 0.02

# Scores have four digits, and those in the list are rounded twice.
ROUNDING = 0.00011

_STATIC = re.compile(r'(?:href|src)="(/static/[^"]+)"')
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_HIDDEN = re.compile(r'type="hidden" name="(seen_\w+|key)" value="([^"]*)"')
_DECIDE = re.compile(r'action="([^"]+/decide/[^"]*)"')
_WAITS = re.compile(r'http-equiv="refresh" content="(\d+)"')

Check = Callable[[Any], str]

BOUNDARY = "photo-0f3c9a57"


@dataclass(frozen=True)
class PhotoForm:
    """An upload form with one photo, encoded once and sent many times."""

    name: str
    form: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> PhotoForm:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'
        return cls(name, head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode())


UPLOAD = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class SiteUser(FastHttpUser):
    """A simulated user, who thinks between requests and heeds `Retry-After`.

    Requests end as answers, refusals or failures. The locustfile sets the class variables once, from the options.
    """

    abstract = True

    photos: ClassVar[list[PhotoForm]] = []
    think_seconds: ClassVar[tuple[float, float]] = (2, 8)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.asked_to_wait = 0.0

    def wait_time(self) -> float:
        """Returns the thinking time in seconds. After a refusal, it includes `Retry-After` and a random delay."""
        asked, self.asked_to_wait = self.asked_to_wait, 0.0
        return asked * random.uniform(1, 1.5) + random.uniform(*self.think_seconds)  # noqa: S311 - not for secrets

    def ask(
        self,
        method: str,
        path: str,
        *,
        name: str,
        statuses: Collection[int] = (200,),
        check: Check | None = None,
        **options: Any,
    ) -> Any:
        """Returns the response, or `None` if it was refused or failed. `check` returns what is wrong with it, or ""."""
        with self.client.request(method, path, name=name, catch_response=True, **options) as response:
            complaint = self._complaint(response, statuses)
            if response.request_meta["request_type"] == REFUSED:
                response.success()
                return None
            complaint = complaint or (check(response) if check else "")
            if complaint:
                response.failure(complaint)
                return None
            response.success()
            return response

    def _complaint(self, response: Any, statuses: Collection[int]) -> str:
        if response.status_code == 0:
            return f"connection: {type(response.error).__name__}: {response.error}"
        if response.status_code == 503 and 503 not in statuses:
            wait = response.headers.get("Retry-After") or ""
            if not wait.isdecimal():
                return "503 without Retry-After"
            self.asked_to_wait = float(wait)
            response.request_meta["request_type"] = REFUSED
        elif response.status_code not in statuses:
            return f"status {response.status_code}"
        return ""

    def report(self, name: str, started: float, complaint: str = "") -> None:
        """Adds a line to the statistics for a flow of several requests. `started`: seconds since the epoch."""
        self.environment.events.request.fire(
            request_type="FLOW",
            name=name,
            start_time=started,
            response_time=1000 * (time.time() - started),
            response_length=0,
            exception=RuntimeError(complaint) if complaint else None,
            context={},
        )

    def open_start_page(self) -> None:
        """Loads the page and its files, as a browser with an empty cache does."""
        page = self.ask("GET", "/", name="/", check=lambda response: _without(response.text, "<form"))
        if page is not None:
            for path in dict.fromkeys(_STATIC.findall(page.text)):
                self.ask("GET", path, name="/static/")


class Visitor(SiteUser):
    """A user who only opens the start page."""

    weight = 2

    @task
    def look(self) -> None:
        self.open_start_page()


class ApiClient(SiteUser):
    """A program that sends one picture after another and verifies the answers."""

    weight = 6

    # The first answer to each photo, shared by all clients of this process.
    answers: ClassVar[dict[str, tuple[str, float]]] = {}

    @task
    def predict(self) -> None:
        photo = random.choice(self.photos)  # noqa: S311
        self.ask(
            *("POST", "/api/predict"),
            name="/api/predict",
            data=photo.form,
            headers=UPLOAD,
            check=lambda response: self._wrong_with(response, photo.name),
        )

    def _wrong_with(self, response: Any, photo: str) -> str:
        try:
            answer = response.json()
            label, score, labels = answer["prediction"], answer["score"], answer["labels"]
            scores = [each["score"] for each in labels]
            is_done = answer["success"] is True and answer["state"] == "done" and answer["id"] and answer["model"]
            is_first = labels[0]["label"] == label and abs(scores[0] - score) < ROUNDING
            is_possible = 0 < len(labels) <= 5 and 0 < score <= 1 and sum(scores) <= 1.001
            if not (is_done and is_first and is_possible and scores == sorted(scores, reverse=True)):
                return "an answer that is not done, or whose labels and scores are impossible"
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return f"an answer that cannot be read: {type(error).__name__}"
        first_label, first_score = self.answers.setdefault(photo, (label, score))
        differs = label != first_label and score - (scores[1] if len(scores) > 1 else 0) > SCORE_TOLERANCE
        if differs or abs(score - first_score) > SCORE_TOLERANCE:
            return "a different answer to the same picture"
        return ""


class Steps(SequentialTaskSet):
    """Steps in a fixed order, with thinking time between them."""

    def begin_again(self) -> NoReturn:
        """Returns to the first step, after thinking."""
        raise InterruptTaskSet(reschedule=False)  # type: ignore[no-untyped-call]


class Visit(Steps):
    """Opens the page, sends a picture, waits for the answer, and gives feedback."""

    user: Person
    sent_at = 0.0
    address = ""
    page = ""

    @task
    def open(self) -> None:
        self.user.open_start_page()

    @task
    def send(self) -> None:
        photo = random.choice(self.user.photos)  # noqa: S311
        self.sent_at = time.time()
        sent = self.user.ask(
            *("POST", "/"),
            name="/ (form)",
            statuses=(303,),
            data=photo.form,
            headers=UPLOAD,
            allow_redirects=False,
        )
        if sent is None:
            self.begin_again()
        self.address = sent.headers["Location"]
        self.look()

    def look(self) -> None:
        """Reloads the result page until it shows the answer, after the delays that the page asks for."""
        while time.time() < self.sent_at + WAIT_SECONDS:
            page = self.user.ask("GET", self.address, name="/predictions/<uuid>/")
            waits = _WAITS.search(page.text) if page is not None else None
            if page is not None and waits is None:
                self.page = page.text
                self.user.report("from upload to answer", self.sent_at, _without(page.text, 'class="labels"'))
                self.user.ask("GET", f"{self.address}picture", name="/predictions/<uuid>/picture")
                return
            time.sleep(float(waits[1]) if waits else 1)  # gevent's, which lets other users run
        self.user.report("from upload to answer", self.sent_at, "no answer within the wait limit")
        self.begin_again()

    @task
    def give_feedback(self) -> None:
        token = _TOKEN.search(self.page)
        if token is None:
            self.begin_again()
        verdict = random.choices(("right", "wrong", "unsure"), (7, 2, 1))[0]  # noqa: S311
        self.user.ask(
            *("POST", f"{self.address}feedback/"),
            name="/predictions/<uuid>/feedback/",
            statuses=(302,),
            data=f"csrfmiddlewaretoken={token[1]}&verdict={verdict}",
            headers=FORM,
            allow_redirects=False,
        )


class Person(SiteUser):
    """Sends pictures with the form of the start page, and gives feedback."""

    weight = 2
    tasks = [Visit]


class DecideCase(Steps):
    """Opens the queue and decides one case."""

    user: Reviewer
    queue_page = ""
    page = ""

    def on_start(self) -> None:
        if not self.user.is_logged_in:
            self.user.log_in()

    @task
    def queue(self) -> None:
        page = self.user.ask("GET", "/admin/review/case/", name="/admin/review/case/", check=_not_the_desk)
        self.queue_page = page.text if page is not None else ""

    @task
    def next(self) -> None:
        token = _TOKEN.search(self.queue_page)
        page = self.user.ask(
            *("POST", "/admin/review/case/next/"),
            name="/admin/review/case/next/",
            data=f"csrfmiddlewaretoken={token[1]}" if token else "",
            headers=FORM,
            check=_not_the_desk,
        )
        self.page = page.text if page is not None else ""

    @task
    def decide(self) -> None:
        action, token = _DECIDE.search(self.page), _TOKEN.search(self.page)
        if action is None or token is None:  # nothing is left to decide
            self.begin_again()
        fields = dict(_HIDDEN.findall(self.page)) | {"csrfmiddlewaretoken": token[1], "verdict": "right"}
        self.user.ask(
            *("POST", html.unescape(action[1])),
            name="/admin/review/case/<id>/decide/",
            statuses=(303,),
            data="&".join(f"{name}={value}" for name, value in fields.items()),
            headers=FORM,
            allow_redirects=False,
        )
        self.begin_again()


class Reviewer(SiteUser):
    """Decides one case after another. The options give their number, not their share of all users."""

    fixed_count = 0
    tasks = [DecideCase]
    login: ClassVar[tuple[str, str]] = ("", "")
    is_logged_in = False

    def log_in(self) -> None:
        page = self.ask("GET", "/admin/login/", name="/admin/login/")
        token = _TOKEN.search(page.text) if page is not None else None
        if token is None:
            return
        name, password = self.login
        answer = self.ask(
            *("POST", "/admin/login/?next=/admin/"),
            name="/admin/login/ (form)",
            statuses=(302,),
            data=f"csrfmiddlewaretoken={token[1]}&username={name}&password={password}&next=/admin/",
            headers=FORM,
            allow_redirects=False,
        )
        self.is_logged_in = answer is not None


def _without(text: str, part: str) -> str:
    return "" if part in text else f"a page without {part}"


def _not_the_desk(response: Any) -> str:
    return _without(response.text, "/admin/logout/")
