"""The upload page in a browser, for the tests of how pictures reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from devtools.running import RunningSite, eventually

SCRIPT = re.compile("<script.*?</script>", re.DOTALL)
LISTEN = """async () => {
  const { listen } = await import("/static/upload/sources.js");
  window.added = [];
  listen(document.querySelector("form.upload"), (files) => window.added.push(files.map((file) => file.name)));
}"""
COUNT_ACTIONS = """
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => window.acted(kind), { capture: true });
"""


@contextmanager
def new_tab(browser: Any, **options: Any) -> Iterator[Any]:
    """A new tab. An error on its console (a violated policy, a missing file) fails the test."""
    context = browser.new_context(**options)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    assert complaints == []


def counted_actions(tab: Any) -> list[str]:
    """Returns a list that gets an entry for each press of a button or key in the tab."""
    actions: list[str] = []
    tab.expose_function("acted", lambda kind: actions.append(kind))
    tab.add_init_script(COUNT_ACTIONS)
    return actions


def load_sources_only(site: RunningSite, tab: Any) -> None:
    """Loads the upload page without its own scripts, and keeps what `sources.js` adds in `window.added`."""

    def without_scripts(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=SCRIPT.sub("", response.text()))

    tab.route(f"{site.url}/", without_scripts)
    tab.goto(site.url)
    tab.evaluate(LISTEN)


def added_names(tab: Any, count: int = 1) -> list[list[str]]:
    """Waits until pictures were added this many times, and returns their names."""
    eventually(lambda: tab.evaluate("added.length") >= count, "an added picture")
    names: list[list[str]] = tab.evaluate("added")
    assert len(names) == count
    return names
