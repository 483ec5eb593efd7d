"""A visitor whose browser allows no cookies, and with them no other storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.browsing import CHROMIUM_ARGUMENTS, chromium_path
from devtools.running import RunningSite
from tests.uploading.conftest import choose, wait_for_summary

pytestmark = pytest.mark.browser

Pictures = Callable[[int], list[Path]]

BLOCK = 2  # Chromium's setting for a kind of content


@pytest.fixture
def tab(browser: Any, site: RunningSite, tmp_path: Path) -> Iterator[Any]:
    """A tab at the upload page of a browser whose user blocks all cookies."""
    settings = {"profile": {"default_content_setting_values": {"cookies": BLOCK}}}
    profile = tmp_path / "profile"
    (profile / "Default").mkdir(parents=True)
    (profile / "Default" / "Preferences").write_text(json.dumps(settings))
    context = browser.browser_type.launch_persistent_context(
        profile, executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS
    )
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(site.url)
    assert tab.evaluate("() => { try { localStorage; } catch (error) { return error.name; } }") == "SecurityError"
    yield tab
    assert context.cookies() == [] and complaints == []
    context.close()


def test_one_picture_leads_to_its_result_page(tab: Any, pictures: Pictures) -> None:
    choose(tab, *pictures(1))
    tab.wait_for_url("**/predictions/*/")


def test_several_pictures_are_answered(tab: Any, pictures: Pictures) -> None:
    choose(tab, *pictures(5))
    wait_for_summary(tab, "5 of 5 answered")


def test_page_asks_to_be_kept_open_while_the_network_is_away(tab: Any, pictures: Pictures) -> None:
    files = pictures(4)
    choose(tab, *files[:2])
    wait_for_summary(tab, "2 of 2 answered")
    tab.context.set_offline(True)
    choose(tab, *files[2:])
    tab.get_by_text("Please keep this page open. Your 2 pictures are sent when the connection is back.").wait_for()
    tab.context.set_offline(False)
    wait_for_summary(tab, "4 of 4 answered")
