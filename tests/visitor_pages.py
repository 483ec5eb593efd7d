"""The visitors' pages in all their states, for the tests that look at each of them.

One line in `PAGES` adds a page: its name, and how a visitor opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import psutil
import requests
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpResponse
from django.test import RequestFactory

from devtools.running import RunningSite, eventually
from mlsite import errors
from predictions.exceptions import RequestRejected, unavailable
from predictions.tests.pictures import corrupt


@dataclass
class Visitor:
    """A visitor with one tab.

    `photo`: a picture to send. `addresses`: the pages of pictures that others have sent, by state.
    """

    site: RunningSite
    tab: Any
    photo: bytes
    addresses: dict[str, str]

    def goes_to(self, address: str) -> None:
        """Loads the page at a path, or at a whole address."""
        self.tab.goto(urljoin(self.site.url, address))

    def sees(self, response: HttpResponse, path: str = "/nowhere") -> None:
        """Shows a response of this process as the response of the site: an error that is hard to cause."""
        self._sees(response.text, response.status_code, dict(response.items()), path)

    def has_sent(self) -> str:
        """Sends the picture. Returns the address of its page."""
        response = self._post(self.photo)
        assert response.status == 303, response.text()
        return str(response.headers["location"])

    def is_rejected(self, content: bytes) -> None:
        """Shows the page that rejects a file, as a browser without JavaScript gets it."""
        response = self._post(content)
        assert response.status == 415, response.text()
        self._sees(response.text(), response.status, {}, "/")

    def has_deleted(self) -> None:
        self.goes_to(self.has_sent() + "delete/")
        self.tab.get_by_role("button", name="Delete").click()
        self.tab.get_by_text("This result was deleted").wait_for()

    def waits(self) -> None:
        self.goes_to(self.addresses["waiting"])
        self.tab.get_by_role("button", name="Cancel").wait_for()  # a script shows it

    def has_history(self, address: str) -> None:
        """Loads a page that shows what the visitor has sent."""
        self.has_sent()
        self.goes_to(address)

    def makes_link(self) -> None:
        self.has_history("/history/")
        self.tab.get_by_role("link", name="Other devices").click()
        self.tab.wait_for_url("**/history/link/")

    def uploads_two(self) -> None:
        """Uploads a picture that is answered, and one that waits."""
        self.goes_to("/")
        contents = [self.photo, self.photo + b"3"]
        files = [
            {"name": f"photo-{number}.jpg", "mimeType": "image/jpeg", "buffer": content}
            for number, content in enumerate(contents)
        ]
        self.tab.locator("#file").set_input_files(files)
        self.tab.locator(".uploads-summary").get_by_text("1 of 2 answered").wait_for()

    def _post(self, content: bytes) -> Any:
        """Sends a file as the form does, with the cookies of the browser."""
        file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": content}
        return self.tab.context.request.post(self.site.url + "/", multipart={"file": file}, max_redirects=0)

    def _sees(self, text: str, status: int, headers: dict[str, str], path: str) -> None:
        address = self.site.url + path
        self.tab.route(
            lambda url: url == address,
            lambda route: route.fulfill(status=status, headers={"Content-Type": "text/html"} | headers, body=text),
        )
        self.tab.goto(address)


@contextmanager
def pictures(site: RunningSite, photo: bytes) -> Iterator[dict[str, str]]:
    """Sends a picture for each state, and yields the addresses of their pages.

    The worker is suspended meanwhile, so that one picture waits.
    """
    done, failed = _queued(site, photo), _queued(site, corrupt())
    for prediction, state in ((done, "done"), (failed, "failed")):
        eventually(lambda: requests.get(prediction["self"], timeout=60).json()["state"] == state, state)  # noqa: B023 - used at once
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    try:
        cancelled, waiting = _queued(site, photo + b"1"), _queued(site, photo + b"2")
        requests.post(f"{cancelled['self']}/cancel", timeout=60).raise_for_status()
        states = {"done": done, "failed": failed, "cancelled": cancelled, "waiting": waiting}
        yield {state: links["page"] for state, links in states.items()}
    finally:
        worker.resume()


def _queued(site: RunningSite, content: bytes) -> dict[str, str]:
    """Returns the links of a prediction."""
    links: dict[str, str] = site.predict(content, Prefer="respond-async").json()["links"]
    return links


def _rejected(status: int, code: str, message: str, retry_after: int | None = None) -> HttpResponse:
    rejection = RequestRejected(code, message, status=status, retry_after=retry_after)
    return errors.rejection_response(_get, rejection)


_get, _post = RequestFactory().get("/nowhere"), RequestFactory().post("/nowhere")

PAGES: dict[str, Callable[[Visitor], None]] = {
    "upload": lambda visitor: visitor.goes_to("/"),
    "upload, rejected": lambda visitor: visitor.is_rejected(b"no picture"),
    "result": lambda visitor: visitor.goes_to(visitor.addresses["done"]),
    "result, waiting": lambda visitor: visitor.waits(),
    "result, failed": lambda visitor: visitor.goes_to(visitor.addresses["failed"]),
    "result, cancelled": lambda visitor: visitor.goes_to(visitor.addresses["cancelled"]),
    "delete": lambda visitor: visitor.goes_to(visitor.has_sent() + "delete/"),
    "deleted": lambda visitor: visitor.has_deleted(),
    "history": lambda visitor: visitor.has_history("/history/"),
    "history, empty": lambda visitor: visitor.goes_to("/history/"),
    "history, delete all": lambda visitor: visitor.has_history("/history/delete/"),
    "history, link": lambda visitor: visitor.makes_link(),
    "history, open": lambda visitor: visitor.goes_to("/history/open/"),
    "report": lambda visitor: visitor.goes_to("/feedback"),
    "error 400": lambda visitor: visitor.sees(errors.bad_request(_get, SuspiciousOperation())),
    "error 403": lambda visitor: visitor.goes_to(visitor.addresses["done"] + "delete/"),
    "error 403, expired form": lambda visitor: visitor.sees(errors.csrf_failure(_post)),
    "error 404": lambda visitor: visitor.goes_to("/nothing-here"),
    "error 405": lambda visitor: visitor.goes_to("/predict"),
    "error 413": lambda visitor: visitor.sees(errors.bad_request(_post, RequestDataTooBig())),
    "error 429": lambda visitor: visitor.sees(_rejected(429, "busy", "You have sent too many requests.", 30)),
    "error 500": lambda visitor: visitor.sees(errors.server_error(_get)),
    "error 503": lambda visitor: visitor.sees(_rejected(503, "busy", "The site is busy.", 30)),
    "error 503, database away": lambda visitor: visitor.sees(errors.rejection_response(_get, unavailable("database"))),
}

# What a page shows after an action, which loads more than the page.
STATES = PAGES | {"upload, list": lambda visitor: visitor.uploads_two()}


@contextmanager
def answer_marked_as_wrong(
    site: RunningSite, browser: Any, photo: bytes, *, width: int = 390, height: int = 844
) -> Iterator[Any]:
    """The result page of a picture, with the field for what it really is. The page must not complain meanwhile."""
    tab = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(site.predict(photo).json()["links"]["page"])
    tab.get_by_text("No", exact=True).click()
    tab.locator(".combobox").wait_for()  # the page loads the module now
    yield tab
    tab.close()
    assert complaints == []
