"""Fixtures of the reviewing desk's tests: one site and one browser for all of them, and tabs of reviewers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devtools.browsing import chromium
from devtools.running import RunningSite, folder_with_model
from tests.review.desk import REPORT_VIOLATIONS, ConsoleErrors, Desk, add_reviewer, log_in
from worker.inference.repository import Repository

REVIEWERS = ("ada", "grace")
WINDOW = {"width": 1280, "height": 900}


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="package")
def busy_desk(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[Desk]:
    """A site with its own database and queue, because the tests read and empty them."""
    folder = folder_with_model(tmp_path_factory.mktemp("desk"), models.root)
    with RunningSite(folder, DATABASE_URL="", REDIS_URL="", REVIEW_BELOW_SCORE="0") as site:
        yield Desk(site)


@pytest.fixture(scope="package")
def logins(busy_desk: Desk, browser: Any) -> dict[str, Any]:
    """The cookies of each account after a login. The lead adds the reviewers' accounts."""
    cookies = {}
    for name in ("lead", *REVIEWERS):
        context = browser.new_context()
        tab = context.new_page()
        log_in(tab, busy_desk, name)
        if name == "lead":
            for reviewer in REVIEWERS:
                add_reviewer(tab, busy_desk, reviewer)
        cookies[name] = context.storage_state()
        context.close()
    return cookies


@pytest.fixture
def desk(busy_desk: Desk) -> Iterator[Desk]:
    """The desk without cases."""
    busy_desk.clear()
    yield busy_desk
    busy_desk.clear()


OpenTab = Callable[..., Any]


@pytest.fixture
def open_tab(desk: Desk, browser: Any, logins: dict[str, Any]) -> Iterator[OpenTab]:
    """Opens a tab with its own cookies: `open_tab("ada")` is logged in, `open_tab("")` is not.

    An error in its console fails the test, unless `expects` matches it.
    """
    tabs = []

    def open_tab(name: str = "ada", *, expects: str = "^$", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": WINDOW, "storage_state": logins.get(name)} | options)
        context.add_init_script(REPORT_VIOLATIONS)
        tab = context.new_page()
        tab.set_default_timeout(15_000)
        tabs.append((context, ConsoleErrors(tab), expects))
        return tab

    yield open_tab
    for context, _errors, _expects in tabs:
        context.close()
    assert [error for _, errors, expects in tabs for error in errors.unexpected(expects)] == []
