"""Who uses the site: visitors, programs, people who send a picture, and reviewers."""

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

REFUSED = "REFUSED"  # in place of the HTTP method: refusals stand in lines of their own, neither successes nor failures

# Different batches add up in different orders: the same picture may differ by so much in its score.
SCORE_TOLERANCE = 0.02

# Scores come with four digits, and those of the list have been rounded once before.
ROUNDING = 0.00011

_STATIC = re.compile(r'(?:href|src)="(/static/[^"]+)"')
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_HIDDEN = re.compile(r'type="hidden" name="(seen_\w+|key)" value="([^"]*)"')
_DECIDE = re.compile(r'action="([^"]+/decide/[^"]*)"')
_WAITS = re.compile(r'http-equiv="refresh" content="(\d+)"')

Check = Callable[[Any], str]

BOUNDARY = "photo-0f3c9a57"


@dataclass(frozen=True)
class Photo:
    """`form`: the body of a form with the photo in it, made once and sent often."""

    name: str
    form: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> Photo:
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")  # as browsers do
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n'
        return cls(name, head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode())


UPLOAD = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class SiteUser(FastHttpUser):
    """Tells answers, refusals and failures apart, and thinks in between.

    What all share is set once for the whole process, from the options: see the locustfile.
    """

    abstract = True

    photos: ClassVar[list[Photo]] = []
    think_seconds: ClassVar[tuple[float, float]] = (2, 8)
    is_patient: ClassVar[bool] = True
    wait_limit: ClassVar[float] = 30

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.asked_to_wait = 0.0

    def wait_time(self) -> float:
        """Thinks; after a refusal not before the time that it named, and not all at the same moment."""
        asked, self.asked_to_wait = self.asked_to_wait, 0.0
        patience = asked * random.uniform(1, 1.5) if self.is_patient else 0.0  # noqa: S311
        return patience + random.uniform(*self.think_seconds)  # noqa: S311 - for variety, not for secrets

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
        """The response, or `None` if it was refused or failed. `check` says what is wrong with one, if anything."""
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
        """A line in the statistics for something that took several requests. `started`: seconds since the epoch."""
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
        """The page and what belongs to it, as a browser does that was never here."""
        page = self.ask("GET", "/", name="/", check=lambda response: _without(response.text, "<form"))
        if page is not None:
            for path in dict.fromkeys(_STATIC.findall(page.text)):
                self.ask("GET", path, name="/static/")


class Visitor(SiteUser):
    """Looks at the start page."""

    weight = 2

    @task
    def look(self) -> None:
        self.open_start_page()


class ApiClient(SiteUser):
    """A program: sends one picture after another, and looks closely at the answers."""

    weight = 6

    # What was answered first to each photo, of all clients of this process.
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
            if not (answer["success"] is True and answer["state"] == "done" and answer["id"] and answer["model"]):
                return "an answer that is not done"
            is_first = labels[0]["label"] == label and abs(scores[0] - score) < ROUNDING
            if not (is_first and scores == sorted(scores, reverse=True)):
                return "an answer whose best label is not its first"
            if not (len(labels) == 5 and 0 < score <= 1 and sum(scores) <= 1.001):
                return "an answer whose scores cannot be"
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return f"an answer that cannot be read: {type(error).__name__}"
        first_label, first_score = self.answers.setdefault(photo, (label, score))
        differs = label != first_label and score - scores[1] > SCORE_TOLERANCE
        if differs or abs(score - first_score) > SCORE_TOLERANCE:
            return "another answer than before to the same picture"
        return ""


class Steps(SequentialTaskSet):
    """One step after the other, thinking in between."""

    def begin_again(self) -> NoReturn:
        """From the first step, after thinking."""
        raise InterruptTaskSet(reschedule=False)  # type: ignore[no-untyped-call]


class Visit(Steps):
    """Opens the page, sends a picture, waits for the answer, says whether it is right."""

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
        """Loads the result page until the answer is in it, as the page itself asks a browser to."""
        while time.time() < self.sent_at + self.user.wait_limit:
            page = self.user.ask("GET", self.address, name="/predictions/<uuid>/")
            waits = _WAITS.search(page.text) if page is not None else None
            if page is not None and waits is None:
                self.page = page.text
                self.user.report("from upload to answer", self.sent_at, _without(page.text, 'class="labels"'))
                self.user.ask("GET", f"{self.address}picture", name="/predictions/<uuid>/picture")
                return
            time.sleep(float(waits[1]) if waits else 1)  # Locust's own, which lets the other users go on
        self.user.report("from upload to answer", self.sent_at, "no answer within the wait limit")
        self.begin_again()

    @task
    def say(self) -> None:
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


class Shift(Steps):
    """A look at the queue, and one case."""

    user: Reviewer
    page = ""

    def on_start(self) -> None:
        if not self.user.is_logged_in:
            self.user.log_in()

    @task
    def queue(self) -> None:
        self.user.ask("GET", "/admin/review/case/", name="/admin/review/case/", check=_is_desk)

    @task
    def next(self) -> None:
        page = self.user.ask("GET", "/admin/review/case/next/", name="/admin/review/case/next/", check=_is_desk)
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
    """Works through the queue of cases. There are as many as the options say, not a share of all users."""

    fixed_count = 0
    tasks = [Shift]
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


def _is_desk(response: Any) -> str:
    return _without(response.text, "/admin/logout/")
