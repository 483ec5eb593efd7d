"""What the page of all models shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from learning.templatetags.units import file_size
from learning.versions.description import moment_in_words, printable
from learning.versions.usage import UNUSED, Usage, usage
from predictions import classifiers
from worker.inference.repository import ModelVersion, Problem, activations
from worker.inference.repository.activations import Activation

SHOWN_ACTIVATIONS = 10


@dataclass(frozen=True)
class VersionRow:
    """One installed version."""

    version: ModelVersion
    usage: Usage
    is_active: bool

    @property
    def reference(self) -> str:
        return str(self.version)

    @property
    def input(self) -> str:
        rule = self.version.manifest.preprocessing
        return f"{rule.width} x {rule.height}"

    @property
    def size(self) -> str:
        return file_size(self.version.size_on_disk)

    @property
    def made(self) -> str:
        return printable(moment_in_words(self.version.manifest.created))


@dataclass(frozen=True)
class Models:
    """All versions.

    Attributes:
        rows: the usable versions, newest first within a name.
        damaged: a problem of each version that cannot be used.
        removed: versions that have answered and are no longer installed, with their usage.
        problem: why no version can be told to be the active one, if so.
        previous: the version that a rollback would activate, or empty.
        activations: the latest changes of the active version, latest first.
    """

    rows: list[VersionRow]
    damaged: list[Problem]
    removed: list[tuple[str, Usage]]
    active: str
    problem: Problem | None
    previous: str
    activations: list[tuple[datetime | None, Activation]]


def all_models() -> Models:
    repository = classifiers.repository()
    active, used = classifiers.active_name(), usage()
    rows = [
        VersionRow(version, used.get(str(version), UNUSED), str(version) == active) for version in repository.versions()
    ]
    rows.sort(key=lambda row: (row.version.name, -row.version.version))
    damaged = repository.damaged()
    known = {row.reference for row in rows} | {problem.version for problem in damaged}
    latest = activations.history(repository.root)[-SHOWN_ACTIVATIONS:]
    return Models(
        rows=rows,
        damaged=damaged,
        removed=[(version, usage) for version, usage in used.items() if version not in known],
        active=active,
        problem=repository.problem_of_active(),
        previous=repository.previous_name(),
        activations=[(_moment(one.at), one) for one in reversed(latest)],
    )


def _moment(text: str) -> datetime | None:
    try:
        return timezone.localtime(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
