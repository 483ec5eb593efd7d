"""Labels with reference images, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.running import RunningSite, folder_with_model
from tests.visitor_pages import answer_marked_as_wrong
from worker.inference.repository import Repository
from worker.inference.tests.reference_zips import OF_ANIMALS
from worker.inference.tests.tiny_networks import add_version

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    repository = Repository(tmp_path_factory.mktemp("models"))
    repository.activate(str(add_version(repository, references=OF_ANIMALS)))
    with RunningSite(folder_with_model(tmp_path_factory.mktemp("site"), repository.root)) as running:
        yield running


@pytest.fixture
def tab(site: RunningSite, browser, coffee: bytes) -> Iterator[Any]:
    with answer_marked_as_wrong(site, browser, coffee) as tab:
        yield tab


def test_option_shows_the_first_image_of_its_label(tab) -> None:
    requested: list[str] = []
    tab.on("request", lambda request: requested.append(request.url))
    # The answer itself is no option.
    answer = tab.locator("[data-exclude]").get_attribute("data-exclude")
    word, name, path = ("tab", "tabby", "0/1") if answer != "tabby" else ("husk", "Eskimo dog, husky", "4/1")
    tab.get_by_role("combobox", name="What is it really?").press_sequentially(word)
    option = tab.get_by_role("option", name=name)  # the image adds nothing to its name
    image = option.locator("img")
    tab.wait_for_function("image => image.complete && image.naturalWidth === 320", arg=image.element_handle())
    assert image.get_attribute("src") == f"/api/models/animals@1/labels/{path}.jpg"
    assert (image.get_attribute("alt"), image.get_attribute("loading")) == ("", "lazy")
    box, around = image.bounding_box(), option.bounding_box()
    assert (box["width"], box["height"]) == (40, 40)
    assert around["width"] < 390 and box["x"] > around["x"]
    assert len([url for url in requested if url.endswith(".jpg")]) == 1


def test_space_of_an_image_is_kept_before_it_comes(tab) -> None:
    tab.route("**/api/models/**", lambda route: None)  # never answered
    field = tab.get_by_role("combobox", name="What is it really?")
    field.click()
    image = tab.get_by_role("option").locator("img").first
    image.wait_for()
    assert not image.evaluate("image => image.complete")
    assert image.bounding_box()["height"] == 40
    tab.unroute_all(behavior="ignoreErrors")


def test_option_without_image_has_no_space_for_one(tab) -> None:
    tab.get_by_role("combobox", name="What is it really?").press_sequentially("crane")
    option = tab.get_by_role("option", name="crane (machine)")
    option.wait_for()
    assert option.locator("img").count() == 0
