"""`manage.py model list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learning.templatetags.units import file_size
from learning.versions.subcommands.subcommand import NOTHING_INSTALLED, Subcommand


class List(Subcommand):
    name = "list"
    help = "list the installed versions; * marks the active one"

    def run(self, options: Mapping[str, Any]) -> None:
        versions = self.repository.versions()
        if not versions:
            self.stdout.write(NOTHING_INSTALLED)
            return
        active = self.repository.active()
        width = max(len(str(version)) for version in versions)
        for version in versions:
            mark = "*" if version == active else " "
            reference = version.manifest.source.reference
            self.stdout.write(f"{mark} {version!s:<{width}}  {file_size(version.size_on_disk):>9}  {reference}")
