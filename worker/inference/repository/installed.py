"""The model versions in a folder, for reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from worker.inference.repository import activations
from worker.inference.repository.errors import Damaged, NotInstalled
from worker.inference.repository.manifest import MANIFEST, ModelManifest
from worker.inference.repository.model_version import ModelVersion, Problem
from worker.inference.repository.names import NAME, REFERENCE, shortened
from worker.inference.repository.numbers import existing_numbers


class InstalledVersions:
    """Model versions under the folder `root`, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def versions(self) -> list[ModelVersion]:
        """Every version whose files all exist and have the right size, in order of name and number."""
        found = (self._opened(folder) for folder in self._folders())
        return [version for version in found if isinstance(version, ModelVersion)]

    def damaged(self) -> list[Problem]:
        """The first problem of every version that `versions` leaves out. Does not read the contents of the files."""
        found = (self._opened(folder) for folder in self._folders())
        return [problem for problem in found if isinstance(problem, Problem)]

    def _opened(self, folder: Path) -> ModelVersion | Problem | None:
        """The version in a folder, or its first problem. Neither if it appears or disappears meanwhile."""
        try:
            version = ModelVersion.open(folder)
        except Damaged:
            return next(_problems(folder), None) if folder.exists() else None
        return next(version.problems(contents=False), version)

    def get(self, reference: str) -> ModelVersion:
        """The version `name@version`, or the newest of `name`, after verifying each of its files.

        Raises:
            NotInstalled: there is no such version.
            Damaged: a file of it is missing or changed. There is no fallback to an older version.
        """
        version = self.find(reference)
        version.check()
        return version

    def find(self, reference: str) -> ModelVersion:
        """The version `name@version`, or the newest of `name`. Reads only its manifest.

        Raises:
            NotInstalled: there is no such version.
            Damaged: its manifest is missing or invalid.
        """
        return ModelVersion.open(self._folder(reference))

    def full_name(self, reference: str) -> str:
        """The version `name@version`, or the newest of `name`, as `name@version`. It may be damaged.

        Raises:
            NotInstalled: there is no such version.
        """
        folder = self._folder(reference)
        return f"{folder.parent.name}@{folder.name}"

    def active(self) -> ModelVersion | None:
        """The active version, or None before the first activation. Checks the sizes of its files, not their contents.

        Raises:
            NotInstalled: the active version was removed.
            Damaged: a file of it is missing or has another size.
        """
        reference = self.active_name()
        if not reference:
            return None
        version = self.find(reference)
        for problem in version.problems(contents=False):
            raise Damaged(str(problem))
        return version

    def active_name(self) -> str:
        """The active version as `name@version`, or an empty string. Reads one small file and checks nothing.

        Raises:
            Damaged: the file cannot be read, or holds something else.
        """
        return activations.active_name(self.root)

    def known_active_name(self) -> str:
        """What `active_name` returns, or an empty string if the file is damaged."""
        return activations.known_active_name(self.root)

    def problem_of_active(self) -> Problem | None:
        """The problem of the file that names the active version. None before the first activation."""
        try:
            active = self.active_name()
        except Damaged as error:
            file = self.root / activations.ACTIVE
            return Problem("the models folder", activations.ACTIVE, str(error).removeprefix(f"{file} "))
        if active and not self._is_installed(active):
            return Problem(active, activations.ACTIVE, "names a version that is not installed")
        return None

    def previous_name(self) -> str:
        """The version that `rollback` would activate, as `name@version`, or an empty string."""
        earlier = activations.earlier_versions(activations.history(self.root), self.known_active_name())
        return next((version for version in earlier if self._is_installed(version)), "")

    def verify(self, reference: str | None = None) -> list[Problem]:
        """The problems of every file of one version, or of all versions and of the file that names the active one.

        Raises:
            NotInstalled: there is no such version.
        """
        if reference is not None:
            return list(_problems(self._folder(reference)))
        problems = [problem for folder in self._folders() for problem in _problems(folder)]
        if problem := self.problem_of_active():
            problems.append(problem)
        return problems

    def require_versions(self) -> None:
        """Raises `NotInstalled` or `Damaged` if no version here is usable, with the reason."""
        try:
            os.scandir(self.root).close()
        except OSError as error:
            raise NotInstalled(f"cannot read the models folder {self.root}: {error.strerror}") from error
        if self.versions():
            return
        for problem in self.verify():
            raise Damaged(f"{self.root} holds no usable model version: {problem}")
        raise NotInstalled(f"{self.root} holds no model version")

    def find_same(self, manifest: ModelManifest) -> ModelVersion | None:
        """The intact version that gives the same answers, whatever its number."""
        same = (version for version in self.versions() if version.manifest.is_same_network(manifest))
        return next((version for version in same if not any(version.problems())), None)

    def _folders(self) -> Iterator[Path]:
        """The folder of every version, including incomplete ones."""
        for path in sorted(self.root.glob("*/")):
            if NAME.fullmatch(path.name):
                for number in existing_numbers(path):
                    yield path / str(number)

    def _folder(self, reference: str) -> Path:
        match = REFERENCE.fullmatch(reference.lower())
        numbers = existing_numbers(self.root / match["name"]) if match else []
        number = int(match["number"]) if match and match["number"] else max(numbers, default=0)
        if match is None or number not in numbers:
            known = ", ".join(f"{path.parent.name}@{path.name}" for path in self._folders())
            raise NotInstalled(f"{shortened(reference)} is not installed; installed: {known or 'nothing yet'}")
        return self.root / match["name"] / str(number)

    def _is_installed(self, reference: str) -> bool:
        try:
            return self._folder(reference).exists()
        except NotInstalled:
            return False


def _problems(folder: Path) -> Iterator[Problem]:
    try:
        yield from ModelVersion.open(folder).problems()
    except Damaged as error:
        reference = f"{folder.parent.name}@{folder.name}"
        yield Problem(reference, MANIFEST, str(error).removeprefix(f"{reference}: {MANIFEST} "))
