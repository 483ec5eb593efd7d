"""A whole site whose model knows 12,000 labels, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.running import RunningSite, folder_with_model
from tests.visitor_pages import answer_marked_as_wrong
from worker.inference.repository import Repository
from worker.inference.tests.label_examples import many_labels
from worker.inference.tests.tiny_networks import add_version

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    repository = Repository(tmp_path_factory.mktemp("models"))
    repository.activate(str(add_version(repository, "many", many_labels())))
    with RunningSite(folder_with_model(tmp_path_factory.mktemp("site"), repository.root)) as running:
        yield running


@pytest.fixture
def tab(site: RunningSite, browser, coffee: bytes) -> Iterator[Any]:
    with answer_marked_as_wrong(site, browser, coffee) as tab:
        yield tab


def test_chooses_the_last_of_12_000_labels(tab) -> None:
    field = tab.get_by_role("combobox", name="What is it really?")
    field.press_sequentially("species 11999")
    option = tab.get_by_role("option", name="species 11999")
    option.wait_for()
    assert option.get_attribute("title") == "Number 11999 of the catalogue"
    field.press("ArrowDown")
    field.press("Enter")
    label = field.input_value()
    assert label.endswith(" 11999") and "_" not in label
    field.press("Enter")  # Enter submits the form now
    tab.get_by_text(f"You said: no, it is “{label}”.").wait_for()


def test_lists_twenty_labels_for_a_frequent_word(tab) -> None:
    tab.get_by_role("combobox", name="What is it really?").press_sequentially("falcon")
    tab.get_by_text("20 labels to choose from.").wait_for()
    assert all("falcon" in text for text in tab.get_by_role("option").all_inner_texts())
