"""How pictures reach the upload page besides its file field: drop, folder, paste, camera and examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from devtools.browsing import another_chromium
from devtools.running import RunningSite, eventually
from tests.review.axe import Findings

pytestmark = pytest.mark.browser

SCRIPT = re.compile("<script.*?</script>", re.DOTALL)
LISTEN = """async () => {
  const { listen } = await import("/static/upload/sources.js");
  window.added = [];
  listen(document.querySelector("form.upload"), (files) => window.added.push(files.map((file) => file.name)));
}"""
# Folders that exist only in the page. Like the browser's, they give 100 entries at a time and none at the end.
DROP_FOLDER = """(tree) => {
  const entry = ([name, children]) =>
    children === null
      ? { name, isFile: true, isDirectory: false, file: (resolve) => resolve(new File(["x"], name)) }
      : { name, isFile: false, isDirectory: true, createReader: () => reader(Object.entries(children).map(entry)) };
  const reader = (entries) => ({
    readEntries: (resolve) => setTimeout(() => resolve(entries.splice(0, 100))),
  });
  const items = Object.entries(tree).map((child) => ({
    kind: "file", webkitGetAsEntry: () => entry(child), getAsFile: () => new File(["x"], child[0]),
  }));
  const event = new Event("drop", { bubbles: true, cancelable: true });
  event.dataTransfer = { types: ["Files"], items };
  document.body.dispatchEvent(event);
}"""
PASTE = """(element, [text, names]) => {
  const clipboardData = new DataTransfer();
  if (text) clipboardData.setData("text/plain", text);
  for (const name of names) clipboardData.items.add(new File(["x"], name));
  const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
  return element.dispatchEvent(event);
}"""
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
FAIL_CAMERA = """
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "%s"));
"""


def _picture(colour: int = 0) -> bytes:
    result = BytesIO()
    PIL.Image.new("L", (16, 16), colour).save(result, "PNG")
    return result.getvalue()


@pytest.fixture
def photo(tmp_path: Path, coffee: bytes) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(coffee)
    return path


@contextmanager
def _tab(browser: Any, **options: Any) -> Iterator[Any]:
    """A new tab. An error on its console (a violated policy, a missing file) fails the test."""
    context = browser.new_context(**options)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    assert complaints == []


def _with_sources_only(site: RunningSite, tab: Any) -> None:
    """Loads the upload page without its own scripts, and keeps what `sources.js` adds in `window.added`."""

    def without_scripts(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=SCRIPT.sub("", response.text()))

    tab.route(f"{site.url}/", without_scripts)
    tab.goto(site.url)
    tab.evaluate(LISTEN)


@pytest.fixture
def tab(site: RunningSite, browser) -> Iterator[Any]:
    """The upload page with `sources.js` alone."""
    with _tab(browser, permissions=["clipboard-read", "clipboard-write"]) as tab:
        _with_sources_only(site, tab)
        yield tab


def _added(tab: Any, count: int = 1) -> list[list[str]]:
    """Waits until pictures were added this many times, and returns their names."""
    eventually(lambda: tab.evaluate("added.length") >= count, "an added picture")
    names: list[list[str]] = tab.evaluate("added")
    assert len(names) == count
    return names


def _drag(tab: Any, kind: str, *paths: Path) -> None:
    """Does what the browser does when files of the computer are dragged over the heading of the page."""
    box = tab.get_by_role("heading", level=1).bounding_box()
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    point = {"x": box["x"] + 5, "y": box["y"] + 5}
    session = tab.context.new_cdp_session(tab)
    session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **point})
    session.detach()


def _drop(tab: Any, *paths: Path) -> None:
    for kind in ("dragEnter", "dragOver", "drop"):
        _drag(tab, kind, *paths)


# --- Dropping -------------------------------------------------------------------------------------


def test_adds_files_that_are_dropped_beside_the_form(tab, photo: Path) -> None:
    other = photo.with_name("second.jpg")
    other.write_bytes(photo.read_bytes())
    _drop(tab, photo, other)
    assert _added(tab) == [["coffee.jpg", "second.jpg"]]
    assert tab.url.endswith("/"), "the browser does not open the file"


def test_marks_the_form_while_files_are_over_the_page(tab, photo: Path) -> None:
    target = tab.locator("form.is-drop-target")
    _drag(tab, "dragEnter", photo)
    _drag(tab, "dragOver", photo)
    target.wait_for()
    # What the browser sends when the pointer leaves the window. The protocol's "dragCancel" sends nothing.
    tab.evaluate("document.body.dispatchEvent(new DragEvent('dragleave', { bubbles: true }))")
    target.wait_for(state="detached")
    _drop(tab, photo)
    _added(tab)
    assert target.count() == 0


def test_says_which_files_are_no_pictures(tab, photo: Path, tmp_path: Path) -> None:
    notes, letter = tmp_path / "notes.txt", tmp_path / "letter.pdf"
    notes.write_text("notes")
    letter.write_text("letter")
    _drop(tab, photo, notes)
    assert _added(tab) == [["coffee.jpg"]]
    tab.get_by_text("“notes.txt” was left out: it isn't a picture.").wait_for()
    _drop(tab, letter, notes)
    tab.get_by_text("2 files were left out: they aren't pictures.").wait_for()
    assert len(_added(tab)) == 1


def test_adds_all_pictures_of_a_dropped_folder(tab, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "day 2" / "evening").mkdir(parents=True)
    for number in range(230):
        (folder / f"{number}.png").write_bytes(_picture())
    (folder / "day 2" / "evening" / "230.PNG").write_bytes(_picture())
    (folder / "day 2" / "notes.txt").write_text("notes")
    (folder / ".hidden.png").write_bytes(b"")
    _drop(tab, folder)
    [names] = _added(tab)
    assert names == [*(f"{number}.png" for number in range(230)), "230.PNG"]
    tab.get_by_text("“notes.txt” was left out").wait_for()


def test_reads_folders_that_give_100_entries_at_a_time(tab) -> None:
    tree = {"a": {f"{number}.jpg": None for number in range(250)}, "b": {"c": {"d": {"250.heic": None}}}, "e.gif": None}
    tab.evaluate(DROP_FOLDER, tree)
    assert _added(tab) == [[*(f"{number}.jpg" for number in range(250)), "250.heic", "e.gif"]]


def test_adds_at_most_1000_pictures_at_once(tab) -> None:
    tree = {"a": {f"{number}.jpg": None for number in range(1000)}, "b": {"one more.jpg": None, "notes.txt": None}}
    tab.evaluate(DROP_FOLDER, tree)
    [names] = _added(tab)
    assert len(names) == 1000 and "one more.jpg" not in names
    tab.get_by_text("Only the first 1,000 pictures were added.").wait_for()


def test_says_that_a_folder_has_no_pictures(tab) -> None:
    tab.evaluate(DROP_FOLDER, {"empty": {}})
    tab.get_by_text("There are no pictures in it.").wait_for()
    assert tab.evaluate("added") == []


def test_adds_a_chosen_folder(tab, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "day").mkdir(parents=True)
    for name in ("10.png", "9.png", "day/1.png", "notes.txt"):
        (folder / name).write_bytes(_picture())
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)
    assert _added(tab) == [["9.png", "10.png", "1.png"]]
    tab.get_by_text("“notes.txt” was left out").wait_for()


# --- Pasting --------------------------------------------------------------------------------------


def test_adds_a_picture_that_is_pasted_anywhere(tab) -> None:
    tab.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          const picture = await new Promise((resolve) => canvas.toBlob(resolve));
          await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
        }"""
    )
    tab.keyboard.press("Control+v")
    assert _added(tab) == [["image.png"]]


@pytest.mark.parametrize(
    ("text", "names", "is_added"),
    [("a word", [], False), ("a word", ["a.png"], False), ("", ["a.png"], True)],
    ids=["text", "text and a picture", "a picture"],
)
def test_pasting_into_a_text_field_adds_only_files_without_text(
    tab, text: str, names: list[str], is_added: bool
) -> None:
    tab.evaluate("document.querySelector('main').append(document.createElement('input'))")
    is_left_to_the_field = tab.locator("main > input").evaluate(PASTE, [text, names])
    assert is_left_to_the_field is not is_added
    tab.locator("body").evaluate(PASTE, ["", ["last.png"]])
    assert _added(tab, 1 + is_added)[-1] == ["last.png"]


def test_adds_a_picture_that_is_pasted_together_with_text(tab) -> None:
    tab.locator("body").evaluate(PASTE, ["a word", ["a.png"]])
    assert _added(tab) == [["a.png"]]


# --- Camera ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def camera_browser(browser) -> Iterator[Any]:
    """A browser with a fake camera. Only tabs with the permission `camera` may use it."""
    with another_chromium(browser, "--use-fake-device-for-media-stream") as running:
        yield running


@pytest.fixture
def camera_tab(site: RunningSite, camera_browser) -> Iterator[Any]:
    with _tab(camera_browser, permissions=["camera"]) as tab:
        tab.add_init_script(WATCH_TRACKS)
        _with_sources_only(site, tab)
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
    assert _added(camera_tab) == [["camera.jpg"]]
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
    assert _added(camera_tab) == [["camera.jpg"]]


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
    camera_tab.evaluate(FAIL_CAMERA % error)
    camera_tab.get_by_role("button", name="Use the camera").click()
    camera_tab.get_by_role("status").get_by_text(message).wait_for()
    assert camera_tab.get_by_role("button", name="Take picture").is_disabled()
    camera_tab.get_by_role("button", name="Close").click()
    assert not camera_tab.get_by_role("dialog").is_visible()


def test_says_that_the_camera_is_not_allowed(site: RunningSite, camera_browser) -> None:
    with _tab(camera_browser) as tab:
        _with_sources_only(site, tab)
        tab.get_by_role("button", name="Use the camera").click()
        tab.get_by_text("The browser doesn't allow this page to use the camera.").wait_for()


def test_phones_open_their_own_camera(site: RunningSite, browser, photo: Path) -> None:
    with _tab(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as tab:
        _with_sources_only(site, tab)
        with tab.expect_file_chooser() as chooser:
            tab.get_by_role("button", name="Take a photo").tap()
        assert chooser.value.element.get_attribute("capture") == "environment"
        chooser.value.set_files(photo)
        assert _added(tab) == [["coffee.jpg"]]
        assert not tab.get_by_role("button", name="Choose a folder").is_visible()


def test_camera_dialog_is_accessible(site: RunningSite, camera_browser) -> None:
    findings = {scheme: Findings(scheme) for scheme in ("light", "dark")}
    for scheme, found in findings.items():
        with _tab(camera_browser, permissions=["camera"], color_scheme=scheme) as tab:
            tab.add_init_script(WATCH_TRACKS)
            _with_sources_only(site, tab)
            found.check(tab, f"upload page, {scheme}")
            _open_camera(tab)
            found.check(tab, f"camera, {scheme}")
    assert [finding for found in findings.values() for finding in found] == []


# --- Examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_first_answer_is_one_click_after_landing(site: RunningSite, browser, with_javascript: bool) -> None:
    with _tab(browser, java_script_enabled=with_javascript) as tab:
        tab.goto(site.url)
        clicks = 0
        tab.get_by_role("button", name="A cup of coffee").click()
        clicks += 1
        tab.get_by_role("heading", name="espresso").wait_for()
        assert clicks == 1
        picture = tab.get_by_alt_text("The picture that was sent: coffee.jpg")
        eventually(lambda: picture.evaluate("image => image.naturalWidth") > 0, "the picture")


def test_examples_are_reached_and_sent_by_keyboard(site: RunningSite, browser) -> None:
    with _tab(browser) as tab:
        tab.goto(site.url)
        last = tab.locator(".examples button").last
        for _ in range(40):
            if last.evaluate("button => button === document.activeElement"):
                break
            tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.get_by_role("heading", name="Is this right?").wait_for()


def test_previews_of_the_examples_are_shown(site: RunningSite, browser) -> None:
    with _tab(browser) as tab:
        tab.goto(site.url)
        for preview in tab.locator(".examples img").all():
            eventually(lambda preview=preview: preview.evaluate("image => image.naturalWidth") > 0, "the preview")
