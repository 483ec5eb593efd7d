"""What axe-core finds on a page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

axe = Axe()

EVERYTHING = {"resultTypes": ["violations"]}
COLOURS = {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]}


class Findings(list[str]):
    """What axe finds on pages, each with its place. In the dark nothing but the colours is another."""

    def __init__(self, scheme: str) -> None:
        super().__init__()
        self.options = EVERYTHING if scheme == "light" else COLOURS

    def look(self, tab: Any, name: str) -> None:
        for rule in axe.run(tab, options=self.options).response["violations"]:
            for node in rule["nodes"]:
                self.append(f"{name}: {rule['id']} ({rule['help']}): {node['target']} {node['html'][:200]}")
