"""How pictures reach the upload page besides its file field: drop, folder, paste and examples."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from devtools.running import RunningSite, eventually
from tests.upload_page import added_names, counted_actions, load_sources_only, new_tab

pytestmark = pytest.mark.browser

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


def _picture(colour: int = 0) -> bytes:
    result = BytesIO()
    PIL.Image.new("L", (16, 16), colour).save(result, "PNG")
    return result.getvalue()


@pytest.fixture
def photo(tmp_path: Path, coffee: bytes) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(coffee)
    return path


@pytest.fixture
def tab(site: RunningSite, browser) -> Iterator[Any]:
    """The upload page with `sources.js` alone."""
    with new_tab(browser, permissions=["clipboard-read", "clipboard-write"]) as tab:
        load_sources_only(site, tab)
        yield tab


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
    assert added_names(tab) == [["coffee.jpg", "second.jpg"]]
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
    added_names(tab)
    assert target.count() == 0


def test_says_which_files_are_no_pictures(tab, photo: Path, tmp_path: Path) -> None:
    notes, letter = tmp_path / "notes.txt", tmp_path / "letter.pdf"
    notes.write_text("notes")
    letter.write_text("letter")
    _drop(tab, photo, notes)
    assert added_names(tab) == [["coffee.jpg"]]
    tab.get_by_text("“notes.txt” was left out: it isn't a picture.").wait_for()
    _drop(tab, letter, notes)
    tab.get_by_text("2 files were left out: they aren't pictures.").wait_for()
    assert len(added_names(tab)) == 1


def test_adds_all_pictures_of_a_dropped_folder(tab, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "day 2" / "evening").mkdir(parents=True)
    for number in range(230):
        (folder / f"{number}.png").write_bytes(_picture())
    (folder / "day 2" / "evening" / "230.PNG").write_bytes(_picture())
    (folder / "day 2" / "notes.txt").write_text("notes")
    (folder / ".hidden.png").write_bytes(b"")
    _drop(tab, folder)
    [names] = added_names(tab)
    assert names == [*(f"{number}.png" for number in range(230)), "230.PNG"]
    tab.get_by_text("“notes.txt” was left out").wait_for()


def test_reads_folders_that_give_100_entries_at_a_time(tab) -> None:
    tree = {"a": {f"{number}.jpg": None for number in range(250)}, "b": {"c": {"d": {"250.heic": None}}}, "e.gif": None}
    tab.evaluate(DROP_FOLDER, tree)
    assert added_names(tab) == [[*(f"{number}.jpg" for number in range(250)), "250.heic", "e.gif"]]


def test_adds_at_most_1000_pictures_at_once(tab) -> None:
    tree = {"a": {f"{number}.jpg": None for number in range(1000)}, "b": {"one more.jpg": None, "notes.txt": None}}
    tab.evaluate(DROP_FOLDER, tree)
    [names] = added_names(tab)
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
    assert added_names(tab) == [["9.png", "10.png", "1.png"]]
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
    assert added_names(tab) == [["image.png"]]


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
    assert added_names(tab, 1 + is_added)[-1] == ["last.png"]


def test_adds_a_picture_that_is_pasted_together_with_text(tab) -> None:
    tab.locator("body").evaluate(PASTE, ["a word", ["a.png"]])
    assert added_names(tab) == [["a.png"]]


# --- The whole page -------------------------------------------------------------------------------


def test_a_dropped_photo_is_answered(site: RunningSite, browser, photo: Path) -> None:
    with new_tab(browser) as tab:
        tab.goto(site.url)
        tab.locator("form.is-enhanced").wait_for()
        _drop(tab, photo)
        tab.get_by_role("heading", name="espresso").wait_for()


def test_each_picture_of_a_dropped_folder_gets_a_card(site: RunningSite, browser, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(_picture(number))
    (folder / "notes.txt").write_text("notes")
    with new_tab(browser) as tab:
        tab.goto(site.url)
        tab.locator("form.is-enhanced").wait_for()
        _drop(tab, folder)
        eventually(lambda: tab.locator(".card-of-picture[data-state=done]").count() == 3, "three answers")
        assert tab.get_by_text("“notes.txt” was left out").is_visible()


# --- Examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_first_answer_is_one_click_after_landing(site: RunningSite, browser, with_javascript: bool) -> None:
    with new_tab(browser, java_script_enabled=with_javascript) as tab:
        actions = counted_actions(tab)
        tab.goto(site.url)
        tab.get_by_role("button", name="A cup of coffee").click()
        tab.get_by_role("heading", name="espresso").wait_for()
        assert len(actions) == int(with_javascript)  # without JavaScript there is nothing to count them
        picture = tab.get_by_alt_text("The picture that was sent: coffee.jpg")
        eventually(lambda: picture.evaluate("image => image.naturalWidth") > 0, "the picture")


def test_a_double_click_on_an_example_sends_it_once(site: RunningSite, browser) -> None:
    with new_tab(browser) as tab:
        posts: list[str] = []
        tab.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
        tab.goto(site.url)
        tab.get_by_role("button", name="A cup of coffee").dblclick()
        tab.get_by_role("heading", name="espresso").wait_for()
        assert len(posts) == 1


def test_examples_are_reached_and_sent_by_keyboard(site: RunningSite, browser) -> None:
    with new_tab(browser) as tab:
        tab.goto(site.url)
        last = tab.locator(".examples button").last
        for _ in range(40):
            if last.evaluate("button => button === document.activeElement"):
                break
            tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.get_by_role("heading", name="Is this right?").wait_for()


def test_previews_of_the_examples_are_shown(site: RunningSite, browser) -> None:
    with new_tab(browser) as tab:
        tab.goto(site.url)
        for preview in tab.locator(".examples img").all():
            eventually(lambda preview=preview: preview.evaluate("image => image.naturalWidth") > 0, "the preview")
