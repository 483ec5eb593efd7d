"""The camera on the upload page: the live one of desktops, and a phone's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.browsing import another_chromium
from devtools.running import RunningSite, eventually
from tests.review.axe import Findings
from tests.upload_page import added_names, counted_actions, load_sources_only, new_tab

pytestmark = pytest.mark.browser

# Keeps the tracks of each camera that the page opens.
WATCH_TRACKS = """
  window.tracks = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
"""
FAIL_CAMERA = """(name) => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
}"""


@pytest.fixture(scope="module")
def camera_browser(browser) -> Iterator[Any]:
    """A browser with a fake camera. Only tabs with the permission `camera` may use it."""
    with another_chromium(browser, "--use-fake-device-for-media-stream") as running:
        yield running


@pytest.fixture
def camera_tab(site: RunningSite, camera_browser) -> Iterator[Any]:
    with new_tab(camera_browser, permissions=["camera"]) as tab:
        tab.add_init_script(WATCH_TRACKS)
        load_sources_only(site, tab)
        yield tab


def _open_camera(tab: Any) -> Any:
    """Opens the dialog, waits until the camera's picture is shown, and returns the button that takes it."""
    tab.get_by_role("button", name="Use the camera").click()
    shutter = tab.get_by_role("button", name="Take picture")
    eventually(shutter.is_enabled, "the camera's picture")
    assert tab.evaluate("tracks.map((track) => track.readyState)") == ["live"]
    return shutter


def _camera_is_off(tab: Any) -> bool:
    off: bool = tab.evaluate("tracks.length > 0 && tracks.every((track) => track.readyState === 'ended')")
    return off


def test_takes_a_picture_with_the_camera(camera_tab) -> None:
    shutter = _open_camera(camera_tab)
    assert shutter.evaluate("button => button === document.activeElement")
    shutter.press("Enter")
    assert added_names(camera_tab) == [["camera.jpg"]]
    assert _camera_is_off(camera_tab)
    assert not camera_tab.get_by_role("dialog").is_visible()
    assert camera_tab.evaluate("document.activeElement.id") == "camera-button"


LEAVE: dict[str, Callable[[Any], None]] = {
    "Close": lambda tab: tab.get_by_role("button", name="Close").click(),
    "Escape": lambda tab: tab.keyboard.press("Escape"),
    "hidden page": lambda tab: tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))"),
    "left page": lambda tab: tab.evaluate("dispatchEvent(new Event('pagehide'))"),
}


@pytest.mark.parametrize("way", LEAVE)
def test_camera_is_off_after_each_way_out(camera_tab, way: str) -> None:
    _open_camera(camera_tab)
    LEAVE[way](camera_tab)
    camera_tab.get_by_role("dialog").wait_for(state="hidden")
    eventually(lambda: _camera_is_off(camera_tab), "the end of the camera's tracks")
    assert camera_tab.evaluate("added") == []
    camera_tab.evaluate("tracks.length = 0")
    _open_camera(camera_tab).click()
    assert added_names(camera_tab) == [["camera.jpg"]]


def test_camera_that_starts_after_the_dialog_is_closed_is_turned_off(camera_tab) -> None:
    camera_tab.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia;
          const released = new Promise((resolve) => (window.release = resolve));
          navigator.mediaDevices.getUserMedia = (wanted) => released.then(() => open(wanted));
        }"""
    )
    camera_tab.get_by_role("button", name="Use the camera").click()
    camera_tab.get_by_text("Starting the camera…").wait_for()
    camera_tab.keyboard.press("Escape")
    camera_tab.get_by_role("dialog").wait_for(state="hidden")
    camera_tab.evaluate("release()")
    eventually(lambda: _camera_is_off(camera_tab), "the end of the camera's tracks")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("NotFoundError", "No camera was found."),
        ("NotReadableError", "Close other programs that use it"),
        ("AbortError", "The camera can't be started."),
    ],
)
def test_says_why_the_camera_cannot_be_used(camera_tab, error: str, message: str) -> None:
    camera_tab.evaluate(FAIL_CAMERA, error)
    camera_tab.get_by_role("button", name="Use the camera").click()
    camera_tab.get_by_role("status").get_by_text(message).wait_for()
    assert camera_tab.get_by_role("button", name="Take picture").is_disabled()
    camera_tab.get_by_role("button", name="Close").click()
    assert not camera_tab.get_by_role("dialog").is_visible()


def test_says_that_the_camera_is_not_allowed(site: RunningSite, camera_browser) -> None:
    with new_tab(camera_browser) as tab:
        load_sources_only(site, tab)
        tab.get_by_role("button", name="Use the camera").click()
        tab.get_by_text("The browser doesn't allow this page to use the camera.").wait_for()


def test_phones_open_their_own_camera(site: RunningSite, browser, coffee: bytes, tmp_path: Path) -> None:
    photo = tmp_path / "coffee.jpg"
    photo.write_bytes(coffee)
    with new_tab(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as tab:
        load_sources_only(site, tab)
        with tab.expect_file_chooser() as chooser:
            tab.get_by_role("button", name="Take a photo").tap()
        assert chooser.value.element.get_attribute("capture") == "environment"
        chooser.value.set_files(photo)
        assert added_names(tab) == [["coffee.jpg"]]
        assert not tab.get_by_role("button", name="Choose a folder").is_visible()


def test_camera_dialog_is_accessible(site: RunningSite, camera_browser) -> None:
    findings = {scheme: Findings(scheme) for scheme in ("light", "dark")}
    for scheme, found in findings.items():
        with new_tab(camera_browser, permissions=["camera"], color_scheme=scheme) as tab:
            tab.add_init_script(WATCH_TRACKS)
            load_sources_only(site, tab)
            found.check(tab, f"upload page, {scheme}")
            _open_camera(tab)
            found.check(tab, f"camera, {scheme}")
    assert [finding for found in findings.values() for finding in found] == []


def test_a_photo_is_taken_and_answered_by_two_clicks(site: RunningSite, camera_browser) -> None:
    with new_tab(camera_browser, permissions=["camera"]) as tab:
        actions = counted_actions(tab)
        tab.goto(site.url)
        tab.get_by_role("button", name="Use the camera").click()
        tab.get_by_role("button", name="Take picture").click()
        tab.wait_for_url("**/predictions/*/")
        tab.get_by_alt_text("The picture that was sent: camera.jpg").wait_for()
        assert len(actions) == 2
