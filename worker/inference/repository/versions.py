"""The repository: a folder of model versions, and a file that names the active one.

models/active                         efficientnet-lite0@1
models/efficientnet-lite0/1/          one version: manifest.json and the files it lists
models/.incoming-3f0c/                an installation under way, or what a killed one left
models/.lock                          held by the installation under way
models/.followed                      the version that `import_versions` made active last
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from worker.inference.repository import catalogue
from worker.inference.repository.build import build, builders
from worker.inference.repository.errors import Damaged, NotInstalled, RepositoryError
from worker.inference.repository.files import exclusive, replace_text, sha256_of, sync
from worker.inference.repository.manifest import FILES, MANIFEST, FileRecord, ModelManifest
from worker.inference.repository.model_version import ModelVersion, Problem
from worker.inference.repository.recipe import Recipe, Weights

_INCOMING = ".incoming-"
_REFERENCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)(@(?P<number>[1-9][0-9]{0,8}))?")


def _report_nothing(line: str) -> None:
    """No-op progress callback."""


class Repository:
    """Model versions under the folder `root`, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def versions(self) -> list[ModelVersion]:
        """Every complete version (files present, of the right size), by name and number."""
        found = []
        for folder in self._folders():
            try:
                version = ModelVersion.open(folder)
            except Damaged:
                continue
            if not any(version.problems(contents=False)):
                found.append(version)
        return found

    def get(self, reference: str) -> ModelVersion:
        """The version `name@version`, or the newest of `name`, once each of its files proved undamaged.

        Raises:
            NotInstalled: there is none.
            Damaged: there is, and a file of it is missing or changed. No older one is taken in its place.
        """
        version = ModelVersion.open(self._folder(reference))
        version.check()
        return version

    def active(self) -> ModelVersion | None:
        """The active version, or None before the first activation. Sees missing files, not changed ones.

        Raises:
            NotInstalled, Damaged: the active version is gone or incomplete.
        """
        reference = self._active_reference()
        if reference is None:
            return None
        version = ModelVersion.open(self._folder(reference))
        for problem in version.problems(contents=False):
            raise Damaged(str(problem))
        return version

    def active_name(self) -> str:
        """The active version's name, or an empty string. Reads one small file and looks no further."""
        return self._active_reference() or ""

    def activate(self, reference: str) -> ModelVersion:
        """Make a version the active one, if each of its files is undamaged.

        Raises:
            NotInstalled, Damaged: as `get`; the active version stays what it was.
        """
        version = self.get(reference)
        if self._active_reference() == str(version):
            return version
        try:
            replace_text(self.root / "active", f"{version}\n")
        except OSError as error:
            raise _cannot_write(self.root, error) from error
        return version

    def verify(self, reference: str | None = None) -> list[Problem]:
        """Every file of one version, or of all and the choice of the active one, that is not right.

        Raises:
            NotInstalled: no such version.
        """
        if reference is not None:
            return list(_problems(self._folder(reference)))
        problems = [problem for folder in self._folders() for problem in _problems(folder)]
        active = self._active_reference()
        if active is not None:
            try:
                self._folder(active)
            except NotInstalled:
                problems.append(Problem(active, "active", "names a version that is not installed"))
        return problems

    def install(
        self, name: str, *, weights: Path | None = None, report: Callable[[str], None] = _report_nothing
    ) -> ModelVersion:
        """Install a model, or find that it is there already with the same weights and change nothing.

        `weights` is a file to take in place of the usual weights; `report` is given a line a step. A
        process that dies in here leaves no version, only a folder that the next installation removes.

        Raises:
            UnknownModel, WeightsUnavailable, WeightsMismatch: see `catalogue` and `recipe`.
            RepositoryError: the folder cannot be written, or the built files do not work.
        """
        recipe = catalogue.find(name)
        source = recipe.weights(weights)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with exclusive(self.root / ".lock"):
                return self._installed(recipe, source, report) or self._install(recipe, source, report)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    def import_versions(self, folder: Path, *, report: Callable[[str], None] = _report_nothing) -> None:
        """Copy the versions of another folder of models, such as one that comes with a release, that are not here.

        A version is here if one of the same weights and preprocessing is, whatever its number; a new one gets the next
        free number. What is active there becomes active here, where nothing is active yet, or where what is active
        came to be so in this same way: whoever chose a version himself keeps it.

        Raises:
            Damaged: a file of the other folder is missing or changed. Nothing of that version is taken in.
            RepositoryError: this folder cannot be written.
        """
        other = Repository(folder)
        offered = other.active()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with exclusive(self.root / ".lock"):
                taken = {str(version): self._import_version(version, report) for version in other.versions()}
        except OSError as error:
            raise _cannot_write(self.root, error) from error
        if offered is not None:
            self._follow(str(taken[str(offered)]), report)

    def _import_version(self, version: ModelVersion, report: Callable[[str], None]) -> ModelVersion:
        version.check()
        for known in self.versions():
            if _is_same(known.manifest, version.manifest) and not any(known.problems()):
                return known
        incoming = self._make_incoming(report)
        try:
            for file in FILES.values():
                shutil.copyfile(version.path / file, incoming / file)
                sync(incoming / file)
            number = max(self._numbers(version.name), default=0) + 1
            manifest = replace(version.manifest, version=number)
            (incoming / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            return self._publish(incoming, manifest, report)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _follow(self, offered: str, report: Callable[[str], None]) -> None:
        followed = self.root / ".followed"
        active = self._active_reference()
        if active is None or (followed.exists() and followed.read_text(encoding="utf-8").strip() == active):
            self.activate(offered)
            replace_text(followed, f"{offered}\n")
        elif active != offered:
            report(f"{active}, which somebody chose, stays active; `model activate {offered}` would change that")

    def _installed(self, recipe: Recipe, weights: Weights, report: Callable[[str], None]) -> ModelVersion | None:
        for version in reversed(self.versions()):
            if version.name == recipe.name and version.manifest.source.same_weights(weights.source):
                problem = next(version.problems(), None)
                if problem is None:
                    report(f"{version} is installed already")
                    return version
                report(f"{problem}; building a new version")
        return None

    def _install(self, recipe: Recipe, weights: Weights, report: Callable[[str], None]) -> ModelVersion:
        incoming = self._make_incoming(report)
        report(f"weights: {weights.source.reference}")
        try:
            classes = build(recipe, weights, incoming, report)
            manifest = ModelManifest(
                name=recipe.name,
                version=max(self._numbers(recipe.name), default=0) + 1,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                source=weights.source,
                preprocessing=recipe.preprocessing,
                classes=classes,
                output="softmax",
                builders=builders(),
                files={
                    kind: FileRecord(sha256_of(path), path.stat().st_size)
                    for kind, path in ((kind, incoming / file) for kind, file in FILES.items())
                },
            )
            (incoming / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            return self._publish(incoming, manifest, report)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _make_incoming(self, report: Callable[[str], None]) -> Path:
        """A hidden folder for a version that is not finished. Hold the lock."""
        for leftover in self.root.glob(f"{_INCOMING}*"):  # we hold the lock: whoever made it is dead
            report(f"removing {leftover.name}, left by an installation that was stopped")
            shutil.rmtree(leftover)
        incoming = self.root / f"{_INCOMING}{secrets.token_hex(4)}"
        incoming.mkdir()
        return incoming

    def _publish(self, incoming: Path, manifest: ModelManifest, report: Callable[[str], None]) -> ModelVersion:
        """Give a finished folder its name: from here on, and not before, the version exists."""
        sync(incoming / MANIFEST)
        sync(incoming)
        folder = self.root / manifest.name / str(manifest.version)
        folder.parent.mkdir(exist_ok=True)
        incoming.rename(folder)
        sync(folder.parent)
        sync(self.root)
        version = ModelVersion.open(folder)
        report(f"installed {version}")
        return version

    def _active_reference(self) -> str | None:
        try:
            return (self.root / "active").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise Damaged(f"cannot read which model is active: {error}") from error

    def _numbers(self, name: str) -> list[int]:
        """The version numbers of a model that are taken, damaged ones too, in order."""
        folders = (self.root / name).glob("[1-9]*")
        return sorted(int(folder.name) for folder in folders if folder.name.isdecimal())

    def _folders(self) -> Iterator[Path]:
        """The folder of every version, complete or not."""
        for path in sorted(self.root.glob("*/")):
            if _REFERENCE.fullmatch(path.name):
                for number in self._numbers(path.name):
                    yield path / str(number)

    def _folder(self, reference: str) -> Path:
        match = _REFERENCE.fullmatch(reference.lower())
        numbers = self._numbers(match["name"]) if match else []
        number = int(match["number"]) if match and match["number"] else max(numbers, default=0)
        if match is None or number not in numbers:
            known = ", ".join(f"{path.parent.name}@{path.name}" for path in self._folders())
            raise NotInstalled(f"{reference!r} is not installed; installed: {known or 'nothing yet'}")
        return self.root / match["name"] / str(number)


def _is_same(one: ModelManifest, other: ModelManifest) -> bool:
    """Whether both give the same answers: files may differ in their bytes that were built at another time."""
    return (
        one.name == other.name
        and one.source.same_weights(other.source)
        and (one.preprocessing, one.classes) == (other.preprocessing, other.classes)
    )


def _problems(folder: Path) -> Iterator[Problem]:
    try:
        yield from ModelVersion.open(folder).problems()
    except Damaged as error:
        reference = f"{folder.parent.name}@{folder.name}"
        yield Problem(reference, MANIFEST, str(error).removeprefix(f"{reference}: {MANIFEST} "))


def _cannot_write(root: Path, error: OSError) -> RepositoryError:
    return RepositoryError(f"cannot write to the folder of models {root}: {error.strerror or error}")
