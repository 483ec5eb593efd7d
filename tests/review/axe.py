"""Accessibility checks of a page with axe-core."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

axe = Axe()

# Without a preload: axe would load the style sheets again, inline, which the security policy of the site forbids.
EVERYTHING = {"resultTypes": ["violations"], "preload": False}
COLOURS = EVERYTHING | {"runOnly": ["color-contrast", "link-in-text-block"]}


class Findings(list[str]):
    """Violations that axe finds, each with the name of its page. In the dark scheme it checks only the colours."""

    def __init__(self, scheme: str) -> None:
        super().__init__()
        self.options = EVERYTHING if scheme == "light" else COLOURS

    def check(self, tab: Any, name: str) -> None:
        for rule in axe.run(tab, options=self.options).response["violations"]:
            for node in rule["nodes"]:
                self.append(f"{name}: {rule['id']} ({rule['help']}): {node['target']} {node['html'][:200]}")
