"""The network or the site goes away, the page is left or closed: no picture is lost, and none is sent twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.running import RunningSite, eventually
from tests.uploading.conftest import (
    QUEUE_LENGTH,
    OpenTab,
    Posts,
    Received,
    card,
    cards,
    choose,
    hold,
    lose,
    pass_on,
    wait_for_summary,
    wait_until_restored,
)

pytestmark = pytest.mark.browser

Pictures = Callable[[int], list[Path]]

# How many uploads the browser's database holds.
NUMBER_KEPT = """async () => {
    const result = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await result(indexedDB.open("uploads"));
    const number = await result(database.transaction("uploads").objectStore("uploads").count());
    database.close();
    return number;
}"""

# Whether the site has all pictures that the browser's database holds.
ALL_QUEUED = """async () => {
    const result = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await result(indexedDB.open("uploads"));
    const uploads = await result(database.transaction("uploads").objectStore("uploads").getAll());
    database.close();
    return uploads.length > 0 && uploads.every(({ state }) => state === "queued");
}"""

KEPT = "kept in this browser, and sent when the connection is back."


def _wait_until_kept(tab: Any) -> None:
    tab.get_by_role("alert").get_by_text(KEPT).wait_for()


def test_pictures_wait_while_the_network_is_away(tab: Any, pictures: Pictures) -> None:
    tab.context.set_offline(True)
    choose(tab, *pictures(3))
    tab.get_by_role("alert").get_by_text(f"You're offline. Your 3 pictures are {KEPT}").wait_for()
    tab.context.set_offline(False)
    wait_for_summary(tab, "3 of 3 answered")
    assert not tab.get_by_role("alert").get_by_text("offline").count()


def test_one_picture_leads_to_its_result_page_when_the_network_is_back(tab: Any, pictures: Pictures) -> None:
    tab.context.set_offline(True)
    choose(tab, *pictures(1))
    tab.get_by_text(f"You're offline. Your picture is {KEPT}").wait_for()
    tab.context.set_offline(False)
    tab.wait_for_url("**/predictions/*/")


def test_pictures_chosen_before_the_page_is_complete_are_sent(
    site: RunningSite, context: Any, pictures: Pictures
) -> None:
    tab = context.new_page()
    tab.goto(site.url)
    context.route("**/upload/page.*js", lambda route: route.abort())
    choose(tab, *pictures(2))
    tab.get_by_text("it keeps trying to send your pictures").wait_for()
    context.unroute("**/upload/page.*js")
    wait_for_summary(tab, "2 of 2 answered")


def test_waits_until_the_site_can_be_reached_again(tab: Any, posts: Posts, pictures: Pictures) -> None:
    with posts.sent(lambda route: route.fulfill(status=502, body="Bad Gateway")):
        choose(tab, *pictures(2))
        tab.get_by_text(f"The site can't be reached at the moment. Your 2 pictures are {KEPT}").wait_for()
    wait_for_summary(tab, "2 of 2 answered")


def test_a_picture_whose_answer_is_lost_is_accepted_once(tab: Any, posts: Posts, pictures: Pictures) -> None:
    def lose_first(received: Received) -> None:
        if len(posts.accepted) == 1:
            received.lose()
        else:
            received.deliver()

    with posts.received(tab, lose_first):
        choose(tab, *pictures(2))
        wait_for_summary(tab, "2 of 2 answered")
    assert len(posts.accepted) == 3 and len(set(posts.accepted)) == 2


def test_a_picture_that_alone_fails_does_not_hold_up_the_others(tab: Any, posts: Posts, pictures: Pictures) -> None:
    bad, *others = pictures(4)

    def fail_first(route: Any) -> None:
        if posts.keys[-1] == posts.keys[0]:
            route.abort()
        else:
            route.continue_()

    with posts.sent(fail_first):
        choose(tab, bad, *others)
        wait_for_summary(tab, "3 of 4 answered, 1 failed")
    assert "although others could" in card(tab, bad).inner_text()
    card(tab, bad).get_by_role("button", name="Try again").click()
    wait_for_summary(tab, "4 of 4 answered")


@pytest.mark.parametrize("leave", ["reload", "back"])
def test_a_page_that_is_left_goes_on_when_it_is_back(
    site: RunningSite, open_tab: OpenTab, posts: Posts, pictures: Pictures, leave: str
) -> None:
    tab = open_tab()
    answered, *others = pictures(4)

    is_left = False

    def hold_after_first_until_left(route: Any) -> None:
        if is_left or len(posts.keys) == 1:
            route.continue_()

    # One handler for both pages: while there is none, the browser would let go the requests that are held.
    with posts.sent(hold_after_first_until_left):
        choose(tab, answered, *others)
        wait_for_summary(tab, "1 of 4 answered")
        eventually(lambda: tab.wait_for_timeout(50) or len(posts.keys) == 3, "two requests that get no answer")
        eventually(lambda: tab.evaluate(NUMBER_KEPT) == 4, "all of them are kept")
        if leave == "back":
            tab.goto(f"{site.url}/nothing-here")
        is_left = True
        tab.go_back() if leave == "back" else tab.reload()
        wait_for_summary(tab, "4 of 4 answered")
    history = tab.context.request.get(f"{site.url}/history/").text()
    assert history.count('<li class="sent">') == 4, "each is accepted once, however often it was sent"
    assert len(set(posts.keys)) == 4, "each picture keeps its key"
    assert set(posts.keys[1:3]) <= set(posts.keys[3:]), "the same pictures are sent again with their keys"
    assert [element.split("\n")[0] for element in cards(tab).all_inner_texts()] == [
        picture.name for picture in (answered, *others)
    ]


def test_unsent_pictures_of_a_closed_tab_are_sent_by_the_next(
    open_tab: OpenTab, posts: Posts, pictures: Pictures, tmp_path: Path
) -> None:
    tab, other = open_tab(), open_tab()
    with posts.sent(lose):
        choose(tab, *pictures(2))
        _wait_until_kept(tab)
        other.reload()
        wait_until_restored(other, tmp_path / "empty.png")
        names = other.locator(".card-name").all_inner_texts()
        assert names == ["empty.png"], "a tab leaves the pictures of an open one alone"
        tab.close()
    posts.keys.clear()
    with posts.sent(pass_on):
        next_tab = open_tab()
        wait_for_summary(next_tab, "2 of 2 answered")
    assert len(posts.keys) == len(set(posts.keys)) == 2


def test_a_picture_of_a_closed_tab_that_failed_can_be_sent_by_the_next(
    open_tab: OpenTab, posts: Posts, pictures: Pictures
) -> None:
    [picture] = pictures(1)

    def fail(route: Any) -> None:
        route.fulfill(status=500, json={"code": "error", "detail": "Something went wrong."})

    with posts.sent(fail):
        tab = open_tab()
        choose(tab, picture)
        card(tab, picture).get_by_text("Something went wrong.").wait_for()
        eventually(lambda: tab.evaluate(NUMBER_KEPT) == 1, "it is kept")
        tab.close()
    next_tab = open_tab()
    card(next_tab, picture).get_by_role("button", name="Try again").click()
    next_tab.locator("[data-state=done]").wait_for()


def test_says_that_kept_pictures_are_sent(open_tab: OpenTab, posts: Posts, pictures: Pictures) -> None:
    with posts.sent(lose):
        tab = open_tab()
        choose(tab, *pictures(1))
        _wait_until_kept(tab)
        tab.close()
    held: list[Any] = []
    with posts.sent(held.append):
        tab = open_tab()
        tab.get_by_text("These pictures were kept in this browser and are sent now.").wait_for()
        held.pop().continue_()
    tab.locator("[data-state=done]").wait_for()


def test_two_tabs_send_their_own_pictures_once(open_tab: OpenTab, posts: Posts, pictures: Pictures) -> None:
    files = pictures(6)
    first, second = open_tab(), open_tab()
    with posts.sent(pass_on):
        choose(first, *files[:3])
        choose(second, *files[3:])
        wait_for_summary(first, "3 of 3 answered")
        wait_for_summary(second, "3 of 3 answered")
    assert len(posts.keys) == len(set(posts.keys)) == 6


def test_a_duplicated_tab_sends_nothing_again(
    open_tab: OpenTab, posts: Posts, pictures: Pictures, tmp_path: Path
) -> None:
    tab = open_tab()
    with posts.sent(hold):
        choose(tab, *pictures(2))
        eventually(lambda: tab.wait_for_timeout(50) or posts.keys, "the first request")
        with tab.expect_popup() as opened:
            tab.evaluate("open(location.href)")  # it has a copy of the session storage, as a duplicated tab has
        wait_until_restored(opened.value, tmp_path / "empty.png")
        assert opened.value.locator(".card-name").all_inner_texts() == ["empty.png"]
        assert len(posts.keys) == 1


def test_pictures_that_expire_after_a_reload_are_to_be_chosen_again(
    tab: Any, pictures: Pictures, suspended_worker: Callable[[], None]
) -> None:
    """The browser keeps no file that the site has, so it cannot send the picture again."""

    def expire(route: Any) -> None:
        answer = route.fetch().json()
        for prediction in answer["predictions"]:
            prediction |= {"state": "expired", "error": {"code": "expired", "detail": "No worker started it in time."}}
        route.fulfill(json=answer)

    files = pictures(2)
    choose(tab, *files)
    eventually(lambda: tab.evaluate(ALL_QUEUED), "the site has both")
    tab.route("**/api/predictions?*", expire)
    tab.reload()
    card(tab, files[1]).get_by_text("Please choose the picture again.").wait_for()
    wait_for_summary(tab, "0 of 2 answered, 2 failed")
    assert not tab.get_by_role("button", name="Try again").count()


def test_choosing_the_same_pictures_twice_sends_them_once(tab: Any, posts: Posts, pictures: Pictures) -> None:
    files = pictures(2)
    held: list[Any] = []
    with posts.sent(held.append):
        choose(tab, *files)
        eventually(lambda: tab.wait_for_timeout(50) or held, "the first request")
        choose(tab, *files)
        assert cards(tab).count() == 2
        held.pop().continue_()
    wait_for_summary(tab, "2 of 2 answered")


def test_never_sends_more_than_the_site_admits(
    tab: Any, pictures: Pictures, suspended_worker: Callable[[], None]
) -> None:
    statuses: list[int] = []
    tab.on("response", lambda response: statuses.append(response.status) if response.request.method == "POST" else None)
    files = pictures(QUEUE_LENGTH + 70)
    choose(tab, *files)
    tab.get_by_role("alert").get_by_text("We're busy. Trying again in").wait_for(timeout=120_000)
    assert set(statuses) == {201, 503} and statuses.count(503) <= 3, "the others wait in the browser"
    suspended_worker()
    wait_for_summary(tab, f"{len(files)} of {len(files)} answered")
    assert statuses.count(201) == len(files)


def test_says_how_many_are_before_and_when_answers_are_delayed(
    tab: Any, pictures: Pictures, suspended_worker: Callable[[], None]
) -> None:
    files = pictures(3)
    tab.clock.install()
    choose(tab, *files)
    card(tab, files[0]).get_by_text("Next", exact=True).wait_for()
    for words in ("1 before it", "2 before it"):  # the last two are sent at the same time
        cards(tab).get_by_text(words).wait_for()
    tab.clock.fast_forward(60_000)
    tab.get_by_text("Answers are delayed. Your pictures are saved, and answered later.").wait_for()
    suspended_worker()
    wait_for_summary(tab, "3 of 3 answered")
    eventually(lambda: not tab.get_by_text("Answers are delayed.").count(), "the end of the notice")
