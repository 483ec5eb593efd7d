"""Pictures from the file field: one, several, very many, large ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from devtools.running import RunningSite, eventually, folder_with_model
from predictions.tests.pictures import encoded, noise
from tests.upload_page import new_tab
from tests.uploading.conftest import OpenTab, Posts, card, cards, choose, pass_on, wait_for_summary
from worker.inference.tests.iso_files import heic

pytestmark = pytest.mark.browser

Pictures = Callable[[int], list[Path]]


@pytest.fixture
def photo(tmp_path: Path, coffee: bytes) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(coffee)
    return path


def test_one_picture_leads_to_its_result_page_by_one_action(site: RunningSite, tab: Any, photo: Path) -> None:
    tab.evaluate("window.isSamePage = true")
    choose(tab, photo)
    tab.get_by_role("heading", name="espresso").wait_for()
    assert "/predictions/" in tab.url and "espresso" in tab.title()
    assert tab.evaluate("window.isSamePage"), "the page is not loaded anew"
    assert tab.evaluate("document.activeElement.textContent.includes('espresso')"), "screen readers read the answer"
    picture = tab.get_by_alt_text("The picture that was sent: coffee.jpg")
    eventually(lambda: "/picture" in picture.evaluate("image => image.currentSrc"), "the picture of the site")

    address = tab.url
    tab.go_back()
    tab.get_by_label("Choose pictures").wait_for()
    assert tab.url == f"{site.url}/" and cards(tab).count() == 0
    tab.go_forward()
    tab.get_by_role("heading", name="espresso").wait_for()
    assert tab.url == address
    tab.reload()
    tab.get_by_role("heading", name="espresso").wait_for()


def test_page_works_without_examples(site: RunningSite, browser: Any, tmp_path: Path, photo: Path) -> None:
    folder = folder_with_model(tmp_path / "site", site.data_dir / "models")
    with RunningSite(folder, EXAMPLES="off") as other, new_tab(browser) as tab:
        tab.goto(other.url)
        choose(tab, photo)
        tab.get_by_role("heading", name="espresso").wait_for()


def test_preview_and_progress_are_shown_while_a_picture_is_sent(tab: Any, posts: Posts, photo: Path) -> None:
    held: list[Any] = []
    with posts.sent(held.append):
        choose(tab, photo)
        tab.get_by_text("Sending: ").or_(tab.get_by_text("The site is checking it…")).wait_for()
        preview = card(tab, photo).locator("img")
        eventually(lambda: preview.evaluate("image => image.naturalWidth") == 600, "the preview")
        assert not tab.get_by_label("Choose pictures").is_visible()
        held.pop().continue_()
        tab.get_by_role("heading", name="espresso").wait_for()


def test_several_pictures_are_answered_on_the_page(tab: Any, photo: Path, tmp_path: Path, chelsea: bytes) -> None:
    cat, text = tmp_path / "cat.jpg", tmp_path / "notes.jpg"
    cat.write_bytes(chelsea)
    text.write_text("no picture")
    choose(tab, cat, text, photo)
    wait_for_summary(tab, "2 of 3 answered, 1 failed")
    assert "espresso" in card(tab, photo).inner_text() and "cat" in card(tab, cat).inner_text()
    assert "not a picture of a known format" in card(tab, text).inner_text()
    assert not card(tab, text).get_by_role("button").count(), "another attempt would not help"
    status = tab.locator(".uploads").get_by_role("status")
    eventually(lambda: status.inner_text() == "2 of 3 answered, 1 failed", "the announcement")
    with tab.context.expect_page() as opened:
        card(tab, photo).get_by_role("link", name="espresso").click()
    opened.value.get_by_role("heading", name="espresso").wait_for()
    tab.get_by_role("button", name="Clear the list").click()
    eventually(lambda: cards(tab).count() == 0, "the empty list")


def test_the_card_of_a_picture_that_the_browser_cannot_show_has_the_sites_thumbnail(tab: Any, tmp_path: Path) -> None:
    pictures = [tmp_path / "one.heic", tmp_path / "two.tif"]
    pictures[0].write_bytes(heic())
    pictures[1].write_bytes(encoded(noise(seed=3), "TIFF"))
    choose(tab, *pictures)
    wait_for_summary(tab, "2 of 2 answered")
    for picture in pictures:
        thumbnail = card(tab, picture).locator("img")
        eventually(lambda thumbnail=thumbnail: thumbnail.evaluate("image => image.naturalWidth") > 0, "the thumbnail")


def test_the_card_of_an_answered_picture_has_a_thumbnail_after_a_reload(tab: Any, photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(encoded(noise(seed=4), "PNG"))
    choose(tab, photo, other)
    wait_for_summary(tab, "2 of 2 answered")
    tab.reload()
    thumbnail = card(tab, photo).locator("img")
    eventually(lambda: thumbnail.evaluate("image => image.naturalWidth") == 320, "the thumbnail")


def test_empty_and_too_large_files_are_not_sent(tab: Any, posts: Posts, tmp_path: Path) -> None:
    empty, large = tmp_path / "empty.jpg", tmp_path / "large.png"
    empty.write_bytes(b"")
    large.write_bytes(bytes(20 * 2**20 + 1))
    with posts.sent(pass_on):
        choose(tab, empty, large)
        wait_for_summary(tab, "0 of 2 answered, 2 failed")
    assert "This file is empty." in card(tab, empty).inner_text()
    assert "at most 20 MB are accepted" in card(tab, large).inner_text()
    assert posts.keys == []


# Counts the pictures that are sent at the same time.
COUNT_SENDING = """
let sending = 0;
window.mostSending = 0;
const { send } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.send = function (body) {
    sending += 1;
    window.mostSending = Math.max(window.mostSending, sending);
    this.addEventListener("readystatechange", () => (sending -= this.readyState === 4));
    send.call(this, body);
};
"""


def test_sends_250_pictures_a_few_at_a_time(context: Any, open_tab: OpenTab, pictures: Pictures) -> None:
    context.add_init_script(COUNT_SENDING)
    tab = open_tab()
    files = pictures(250)
    for bad in files[::50]:
        bad.write_text("no picture")
    choose(tab, *files)
    wait_for_summary(tab, "245 of 250 answered, 5 failed")
    assert tab.evaluate("window.mostSending") == 3
    for picture in (files[0], files[1], files[200], files[-1]):
        is_bad = picture in files[::50]
        assert card(tab, picture).get_attribute("data-state") == ("rejected" if is_bad else "done")


def test_first_picture_is_sent_alone_because_its_answer_sets_the_cookie(
    tab: Any, posts: Posts, pictures: Pictures
) -> None:
    held: list[Any] = []
    with posts.sent(held.append):
        choose(tab, *pictures(5))
        eventually(lambda: _number(tab, held) == 1, "the first request")
        held.pop().continue_()
        eventually(lambda: _number(tab, held) == 2, "the next requests")
        assert all("visitor=" in route.request.all_headers().get("cookie", "") for route in held)
        for route in held:
            route.continue_()
    wait_for_summary(tab, "5 of 5 answered")


def _number(tab: Any, held: list[Any]) -> int:
    """Returns how many requests are held, after Playwright has handled its events."""
    tab.wait_for_timeout(50)
    return len(held)


def test_large_photos_are_made_smaller_unless_the_originals_are_wanted(
    open_tab: OpenTab, tmp_path: Path, photo: Path
) -> None:
    large, small = tmp_path / "large.jpg", (1600, 1067)
    with PIL.Image.open(photo) as image:
        image.resize((4000, 2667)).save(large, quality=92)

    def choose_large(tab: Any) -> list[int]:
        """Returns the length of each body that is sent."""
        sent: list[int] = []
        devtools = tab.context.new_cdp_session(tab)
        devtools.on("Network.requestWillBeSentExtraInfo", lambda event: _append_length(sent, event["headers"]))
        devtools.send("Network.enable")
        choose(tab, large)
        tab.get_by_role("heading", name="espresso").wait_for()
        return sent

    tab = open_tab()
    [size] = choose_large(tab)
    assert size < large.stat().st_size / 2
    picture = tab.get_by_alt_text("The picture that was sent: large.jpg")
    eventually(lambda: "/picture" in picture.evaluate("image => image.currentSrc"), "the picture of the site")
    assert tuple(picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")) == small

    tab = open_tab()
    tab.get_by_label("Send originals").check()
    [size] = choose_large(tab)
    assert size > large.stat().st_size


def _append_length(lengths: list[int], headers: dict[str, str]) -> None:
    """Appends the length of the body, if a request has one."""
    if length := headers.get("Content-Length"):
        lengths.append(int(length))
