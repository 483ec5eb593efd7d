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
        active = self.repository.known_active_name()
        width = max((len(str(version)) for version in versions), default=0)
        for version in versions:
            mark = "*" if str(version) == active else " "
            reference = version.manifest.source.reference
            self.stdout.write(f"{mark} {version!s:<{width}}  {file_size(version.size_on_disk):>9}  {reference}")
        self._report_problems()

    def _report_problems(self) -> None:
        problem_of_active = self.repository.problem_of_active()
        for problem in [*self.repository.damaged(), *([problem_of_active] if problem_of_active else [])]:
            self.stderr.write(str(problem))
