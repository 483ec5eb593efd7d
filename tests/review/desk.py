"""A running site for the tests of the reviewing desk, with the actions of its visitors and reviewers."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from devtools.running import RunningSite
from review.sample_photos import samples

PHOTOS = 24

# Reports violations of the content security policy to the console.
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));"""


class Desk:
    """A running site, used over HTTP. The tests write to its database only to let time pass and to clear it."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self.url = f"{site.url}/admin/review/case"
        self.passwords = dict([site.login])
        photos = [content for _name, content in samples(PHOTOS)]
        self.answers = [_answer(site.predict(photo)) for photo in photos]

    # --- Visitors ---------------------------------------------------------------------------------

    def say(
        self, photo: int, expected: str = "", *, comment: str = "", verdict: str = "wrong", author: str = ""
    ) -> int:
        """Gives feedback on the answer to a photo. Returns the id of its case."""
        statement = {
            "prediction": self.answers[photo]["id"],
            "verdict": verdict,
            "expected_label": expected,
            "comment": comment,
            "author": author or "somebody",
        }
        response = requests.post(f"{self.site.url}/api/feedback", json=statement, timeout=60)
        assert response.status_code == 201, response.text
        return self.case_of(photo)

    def open_cases(self, number: int, expected: str = "cup") -> list[int]:
        """Opens cases; returns their ids in the order of the queue."""
        return [self.say(photo, expected) for photo in range(number)]

    def labels(self, photo: int) -> list[str]:
        """Returns the model's labels for the photo, best first."""
        return [entry["label"] for entry in self.answers[photo]["labels"]]

    # --- Database ---------------------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.site.data_dir / "db.sqlite3", timeout=20)) as database, database:
            return database.execute(query, values).fetchall()

    def case_of(self, photo: int) -> int:
        prediction = self.answers[photo]["id"].replace("-", "")
        query = "SELECT c.id FROM review_case c JOIN predictions_prediction p USING (image_id) WHERE p.id = ?"
        return int(self.rows(query, prediction)[0][0])

    def decisions(self, case: int | None = None) -> list[tuple[str, str, str]]:
        """Returns (kind, label, reviewer) of all decisions, or of those of one case, oldest first."""
        return self.rows(
            "SELECT kind, label, username FROM review_decision d JOIN auth_user u ON u.id = reviewer_id"
            " WHERE ? IS NULL OR case_id = ? ORDER BY d.id",
            case,
            case,
        )

    def state(self, case: int) -> str:
        return str(self.rows("SELECT state FROM review_case WHERE id = ?", case)[0][0])

    def claimed_by(self, case: int) -> str | None:
        query = "SELECT username FROM review_case c LEFT JOIN auth_user u ON u.id = claimed_by_id WHERE c.id = ?"
        return self.rows(query, case)[0][0]  # type: ignore[no-any-return]

    def let_claims_expire(self) -> None:
        """Lets `REVIEW_CLAIM_MINUTES` pass."""
        self.rows("UPDATE review_case SET claimed_until = '2020-01-01 00:00:00' WHERE claimed_until IS NOT NULL")

    def picture_file(self, photo: int) -> Path:
        query = "SELECT file FROM predictions_image i JOIN predictions_prediction p ON p.image_id = i.id WHERE p.id = ?"
        name = self.rows(query, self.answers[photo]["id"].replace("-", ""))[0][0]
        return self.site.data_dir / "uploads" / str(name)

    def clear(self) -> None:
        """Deletes cases and feedback, but not the predictions, for the next test."""
        for table in ("review_decision", "review_skip", "feedback_feedback", "review_case", "learning_export"):
            self.rows(f"DELETE FROM {table}")


def _answer(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return dict(response.json())


# --- In a browser ---------------------------------------------------------------------------------


class ConsoleErrors(list[str]):
    """The errors in a tab's console: scripts, policy violations, missing files."""

    def __init__(self, tab: Any) -> None:
        super().__init__()
        tab.on("console", lambda message: self.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: self.append(str(error)))

    def unexpected(self, expected: str) -> list[str]:
        """Returns the errors that the pattern `expected` does not match."""
        # Chromium repeats requests when the machine's network changes, for example when a container starts.
        return [error for error in self if not re.search(f"{expected}|ERR_NETWORK_CHANGED", error)]


def log_in(tab: Any, desk: Desk, name: str) -> None:
    tab.goto(f"{desk.site.url}/admin/")
    tab.get_by_label("Username:").fill(name)
    tab.get_by_label("Password:").fill(desk.passwords[name])
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url(f"{desk.site.url}/admin/")


def add_reviewer(lead: Any, desk: Desk, name: str) -> None:
    """Adds an account as a lead; the site generates the password and shows it once."""
    lead.goto(f"{desk.site.url}/admin/auth/user/add/")
    lead.get_by_label("Username:").fill(name)
    lead.get_by_role("button", name="Save", exact=True).click()
    desk.passwords[name] = lead.locator(".messagelist strong").inner_text()


def start_reviewing(tab: Any, desk: Desk, query: str = "") -> None:
    """Opens the queue and presses "Next for me". `query`: the filters, with a question mark."""
    tab.goto(f"{desk.url}/{query}")
    tab.get_by_role("button", name="Next for me").click()


# Keys are ignored until the picture has been painted.
PAINTED = """async () => {
    await document.querySelector(".picture-frame img")?.decode().catch(() => {});
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    await frame();
    await frame();
}"""


def case_on(tab: Any) -> int:
    """Returns the id of the case that a tab shows."""
    return int(tab.locator("#review[data-case]").get_attribute("data-case"))


def wait_for_case(tab: Any, case: int) -> None:
    """Waits until the tab shows the case and accepts keys. Needs JavaScript."""
    tab.locator(f'#review[data-case="{case}"]').wait_for()
    tab.wait_for_load_state()  # a click that leads to the page does not wait for its scripts
    tab.evaluate(PAINTED)
