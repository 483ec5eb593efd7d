"""Every visitors' page is light, and loads nothing from other sites."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.running import RunningSite
from tests.visitor_pages import PAGES, Visitor, pictures

pytestmark = pytest.mark.browser

MOST_BYTES = 60_000
MOST_REQUESTS = 6
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
YEAR = 365 * 24 * 60 * 60


@pytest.fixture(scope="module")
def addresses(site: RunningSite, coffee: bytes) -> Iterator[dict[str, str]]:
    with pictures(site, coffee) as found:
        yield found


@pytest.fixture
def visitor(site: RunningSite, browser: Any, addresses: dict[str, str], coffee: bytes) -> Iterator[Visitor]:
    """A visitor whose browser has nothing in its cache."""
    context = browser.new_context()
    yield Visitor(site, context.new_page(), coffee, addresses)
    context.close()


def _responses_of_the_last_page(visitor: Visitor, name: str) -> list[Any]:
    """Opens a page. Returns the responses from the last document on: some pages follow others."""
    responses: list[Any] = []
    visitor.tab.on("response", lambda response: responses.append(response))
    PAGES[name](visitor)
    visitor.tab.wait_for_load_state()
    documents = [number for number, response in enumerate(responses) if response.request.is_navigation_request()]
    return responses[documents[-1] :]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_light(visitor: Visitor, name: str) -> None:
    responses = _responses_of_the_last_page(visitor, name)
    # The icon of the tab is a picture too, which the browser loads as a request of no type.
    counted = [one for one in responses if not one.headers.get("content-type", "").startswith("image/")]
    sizes = {response.url: response.request.sizes()["responseBodySize"] for response in counted}
    assert len(counted) <= MOST_REQUESTS, sizes
    assert 0 < sum(sizes.values()) <= MOST_BYTES, sizes


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_other_sites(visitor: Visitor, name: str) -> None:
    requested: list[str] = []
    visitor.tab.on("request", lambda request: requested.append(request.url))
    PAGES[name](visitor)
    visitor.tab.wait_for_load_state()
    assert len(requested) > 1
    assert [url for url in requested if not url.startswith((f"{visitor.site.url}/", "blob:", "data:"))] == []


@pytest.mark.parametrize("name", ["upload", "result", "error 404"])
def test_static_files_are_kept_for_a_year_and_compressed(visitor: Visitor, name: str) -> None:
    files = [one for one in _responses_of_the_last_page(visitor, name) if "/static/" in one.url]
    assert len(files) >= 3
    for file in files:
        headers = file.headers
        assert HASHED.search(file.url), "a name with a hash always has the same content"
        seconds = re.search(r"max-age=(\d+)", headers["cache-control"])
        assert seconds and int(seconds[1]) >= YEAR and "immutable" in headers["cache-control"], file.url
        if file.url.endswith((".css", ".js")) and len(file.body()) > 1000:
            assert headers["content-encoding"] == "gzip", file.url
