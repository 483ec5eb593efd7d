"""Cancelling at each stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.running import RunningSite, eventually
from tests.uploading.conftest import Posts, Received, card, choose, hold, wait_for_summary, wait_until_restored

pytestmark = pytest.mark.browser

Pictures = Callable[[int], list[Path]]


def _cancel(tab: Any, picture: Path) -> None:
    card(tab, picture).get_by_role("button", name="Cancel").click()


def test_a_picture_that_waits_is_not_sent(tab: Any, posts: Posts, pictures: Pictures) -> None:
    files = pictures(3)
    held: list[Any] = []
    with posts.sent(held.append):
        choose(tab, *files)
        eventually(lambda: tab.wait_for_timeout(50) or held, "the first request")
        _cancel(tab, files[1])
        held.pop().continue_()
        eventually(lambda: tab.wait_for_timeout(50) or held, "the next request")
        held.pop().continue_()
        wait_for_summary(tab, "2 of 3 answered, 1 cancelled")
    assert len(posts.keys) == 2


def test_a_picture_that_the_site_has_is_cancelled_there(
    site: RunningSite, tab: Any, posts: Posts, pictures: Pictures, suspended_worker: Callable[[], None]
) -> None:
    """The site has the whole picture, but its answer has not arrived."""
    files = pictures(2)
    held: list[Received] = []
    with posts.received(tab, held.append):
        choose(tab, *files)
        eventually(lambda: tab.wait_for_timeout(50) or held, "the first response")
        _cancel(tab, files[0])
        held.pop().deliver()
        eventually(lambda: _state(site, posts.accepted[0], tab) == "cancelled", "the cancellation on the site")
        eventually(lambda: tab.wait_for_timeout(50) or held, "the next response")
        held.pop().deliver()
    suspended_worker()
    wait_for_summary(tab, "1 of 2 answered, 1 cancelled")


def test_a_queued_picture_is_cancelled_on_the_site(
    site: RunningSite, tab: Any, posts: Posts, pictures: Pictures, suspended_worker: Callable[[], None]
) -> None:
    files = pictures(2)
    with posts.received(tab, Received.deliver):
        choose(tab, *files)
        card(tab, files[1]).get_by_text("1 before it").wait_for()
        _cancel(tab, files[1])
        card(tab, files[1]).get_by_text("Cancelled").wait_for()
        assert _state(site, posts.accepted[1], tab) == "cancelled"
    suspended_worker()
    wait_for_summary(tab, "1 of 2 answered, 1 cancelled")


def test_sending_is_aborted(tab: Any, posts: Posts, pictures: Pictures, tmp_path: Path) -> None:
    """The picture is sent slowly, so that the site has only a part of it."""
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    devtools.send("Network.emulateNetworkConditions", slow)
    [small] = pictures(1)
    large = tmp_path / "large.png"
    large.write_bytes(small.read_bytes() + bytes(3_000_000))
    failed: list[str] = []
    tab.on("requestfailed", lambda request: failed.append(request.failure))
    choose(tab, large, small)
    card(tab, large).get_by_text("Sending: 0.").wait_for()
    _cancel(tab, large)
    card(tab, large).get_by_text("Cancelled").wait_for()
    eventually(lambda: tab.wait_for_timeout(50) or failed == ["net::ERR_ABORTED"], "the end of the request")
    wait_for_summary(tab, "1 of 2 answered, 1 cancelled")


def test_cancelling_a_single_picture_shows_the_form_again(
    tab: Any, posts: Posts, pictures: Pictures, tmp_path: Path
) -> None:
    with posts.sent(hold):
        choose(tab, *pictures(1))
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_label("Choose pictures").wait_for()
        assert tab.evaluate("document.activeElement.id") == "file"
    tab.reload()
    wait_until_restored(tab, tmp_path / "empty.png")
    assert tab.locator(".card-name").all_inner_texts() == ["empty.png"], "it is not kept"


def test_the_rest_is_cancelled_at_once(tab: Any, posts: Posts, pictures: Pictures) -> None:
    with posts.sent(lambda route: route.continue_() if len(posts.keys) == 1 else None):
        choose(tab, *pictures(20))
        wait_for_summary(tab, "1 of 20 answered")
        tab.get_by_role("button", name="Cancel the rest").click()
        wait_for_summary(tab, "1 of 20 answered, 19 cancelled")


def test_accepted_pictures_are_cancelled_one_after_the_other(
    tab: Any, pictures: Pictures, suspended_worker: Callable[[], None]
) -> None:
    """The site limits the requests of a client."""
    files = pictures(6)
    choose(tab, *files)
    tab.get_by_text("5 before it").wait_for()
    under_way: list[int] = [0]

    def count(route: Any) -> None:
        under_way.append(under_way[-1] + 1)
        tab.wait_for_timeout(50)
        under_way.append(under_way[-1] - 1)
        route.continue_()

    tab.route("**/cancel", count)
    tab.get_by_role("button", name="Cancel the rest").click()
    wait_for_summary(tab, "0 of 6 answered, 6 cancelled")
    assert max(under_way) == 1 and len(under_way) == 13


def _state(site: RunningSite, prediction_id: str, tab: Any) -> Any:
    tab.wait_for_timeout(50)  # lets the page go on
    return site.get(f"/api/predictions/{prediction_id}").json()["state"]
