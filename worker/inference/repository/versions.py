"""The repository: a folder of model versions, and a file that names the active one.

models/active                         efficientnet-lite0@1
models/efficientnet-lite0/1/          one version: manifest.json and the files it lists
models/.incoming-3f0c/                an unfinished installation, running or killed
models/.lock                          held by the running installation
models/.followed                      the version that `import_versions` activated last
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from worker.inference.repository import catalogue
from worker.inference.repository.build import build
from worker.inference.repository.draft import Draft
from worker.inference.repository.errors import Damaged, NotInstalled, RepositoryError
from worker.inference.repository.files import exclusive, replace_text, sha256_of, sync
from worker.inference.repository.labels import InvalidLabels, check_labels, labels_from_text
from worker.inference.repository.manifest import (
    FILES,
    MANIFEST,
    FileRecord,
    ModelManifest,
)
from worker.inference.repository.model_version import ModelVersion, Problem
from worker.inference.repository.recipe import Recipe, Weights

_INCOMING = ".incoming-"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_REFERENCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)(@(?P<number>[1-9][0-9]{0,8}))?")


def _report_nothing(line: str) -> None:
    """No-op progress callback."""


class Repository:
    """Model versions under the folder `root`, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def versions(self) -> list[ModelVersion]:
        """Every version whose files all exist and have the right size, in order of name and number."""
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

    def active(self) -> ModelVersion | None:
        """The active version, or None before the first activation. Checks the sizes of its files, not their contents.

        Raises:
            NotInstalled: the active version was removed.
            Damaged: a file of it is missing or has another size.
        """
        reference = self._active_reference()
        if reference is None:
            return None
        version = self.find(reference)
        for problem in version.problems(contents=False):
            raise Damaged(str(problem))
        return version

    def active_name(self) -> str:
        """The active version as `name@version`, or an empty string. Reads one small file and checks nothing.

        Raises:
            Damaged: the file cannot be read.
        """
        return self._active_reference() or ""

    def activate(self, reference: str) -> ModelVersion:
        """Makes a version the active one, after verifying each of its files.

        Raises:
            NotInstalled, Damaged: see `get`. The active version does not change.
            RepositoryError: the folder cannot be written.
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
        """The problems of every file of one version, or of all versions and of the file that names the active one.

        Raises:
            NotInstalled: there is no such version.
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
        """Installs a model. If an intact version with the same weights is installed, returns that one.

        A process that is killed during an installation leaves no version, only a hidden folder that the next
        installation removes.

        Args:
            name: a name of `catalogue.RECIPES`, in upper or lower case.
            weights: a file of weights to use instead of the default ones.
            report: called with one line for each step.

        Raises:
            UnknownModel: see `catalogue.find`.
            WeightsUnavailable, WeightsMismatch: see `Recipe`.
            RepositoryError: the folder cannot be written, or see `build`.
        """
        recipe = catalogue.find(name)
        source = recipe.weights(weights)
        try:
            with self._lock():
                return self._find_installed(recipe, source, report) or self._install(recipe, source, report)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    def add(
        self, name: str, build: Callable[[Path], Draft], *, report: Callable[[str], None] = _report_nothing
    ) -> ModelVersion:
        """Builds a version and installs it under the next free number of `name`.

        If `build` raises, or the process is killed, no version is left.

        Args:
            name: lower-case letters, digits, dots and hyphens; at most 100 characters.
            build: writes `model.xml`, `model.bin`, `labels.tsv` and perhaps `model.keras` into the folder that it is
                given. The network takes float32 (n, height, width, channels), normalised as the manifest says, and its
                first output is float32 (n, labels), probabilities. It runs while no other installation does.
            report: called with one line for each step.

        Raises:
            RepositoryError: the name is invalid, the labels are, or the folder cannot be written; and what `build`
                raises.
        """
        if not _NAME.fullmatch(name):
            raise RepositoryError(
                f"{name!r} is not a name for a model: use up to 100 lower-case letters, digits, dots and hyphens"
            )
        try:
            with self._lock():
                return self._add(name, build, report)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Waits until no other process installs a version."""
        self.root.mkdir(parents=True, exist_ok=True)
        with exclusive(self.root / ".lock"):
            yield

    def import_versions(self, folder: Path, *, report: Callable[[str], None] = _report_nothing) -> None:
        """Copies the versions of another models folder, such as the one of a release, that are not installed here.

        A version counts as installed if one with the same weights and preprocessing is intact, whatever its number. A
        copied version gets the next free number. The other folder's active version becomes active here if none is
        active, or if the active one was activated by an import. A version that somebody activated by hand stays active.

        Args:
            report: called with one line for each step.

        Raises:
            NotInstalled: the other folder cannot be read or holds no version, or its active version is not there.
            Damaged: a file of the other folder is missing or changed. That version is not copied.
            RepositoryError: this folder cannot be written.
        """
        other = Repository(folder)
        other._require_versions()
        offered = other.active()
        try:
            with self._lock():
                imported = {str(version): self._import_version(version, report) for version in other.versions()}
        except OSError as error:
            raise _cannot_write(self.root, error) from error
        if offered is not None:
            self._follow(str(imported[str(offered)]), report)

    def _require_versions(self) -> None:
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

    def _import_version(self, version: ModelVersion, report: Callable[[str], None]) -> ModelVersion:
        version.check()
        for known in self.versions():
            if _is_same(known.manifest, version.manifest) and not any(known.problems()):
                return known
        incoming = self._make_incoming(report)
        try:
            for file in (FILES[kind] for kind in version.manifest.files):
                shutil.copyfile(version.path / file, incoming / file)
                sync(incoming / file)
            number = max(self._numbers(version.name), default=0) + 1
            manifest = replace(version.manifest, version=number)
            (incoming / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            return self._publish(incoming, manifest, report)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _follow(self, offered: str, report: Callable[[str], None]) -> None:
        """Activates the imported version `offered`, unless the active one was activated by hand."""
        followed = self.root / ".followed"
        active = self._active_reference()
        if active is None or (followed.exists() and followed.read_text(encoding="utf-8").strip() == active):
            self.activate(offered)
            replace_text(followed, f"{offered}\n")
        elif active != offered:
            report(f"{active} stays active, because it was activated by hand; to switch: model activate {offered}")

    def _find_installed(self, recipe: Recipe, weights: Weights, report: Callable[[str], None]) -> ModelVersion | None:
        """The newest intact version with these weights. Reports damaged ones."""
        for version in reversed(self.versions()):
            if version.name == recipe.name and version.manifest.source.same_weights(weights.source):
                problem = next(version.problems(), None)
                if problem is None:
                    report(f"{version} is already installed")
                    return version
                report(f"{problem}; building a new version")
        return None

    def _install(self, recipe: Recipe, weights: Weights, report: Callable[[str], None]) -> ModelVersion:
        report(f"weights: {weights.source.reference}")
        return self._add(recipe.name, lambda folder: build(recipe, weights, folder, report), report)

    def _add(self, name: str, build: Callable[[Path], Draft], report: Callable[[str], None]) -> ModelVersion:
        """See `add`. The caller holds the lock."""
        incoming = self._make_incoming(report)
        try:
            draft = build(incoming)
            paths = {kind: incoming / file for kind, file in FILES.items() if (incoming / file).exists()}
            for path in paths.values():
                sync(path)
            manifest = ModelManifest(
                name=name,
                version=max(self._numbers(name), default=0) + 1,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                source=draft.source,
                preprocessing=draft.preprocessing,
                classes=_number_of_labels(paths["labels"]),
                output="softmax",
                builders=draft.builders,
                files={kind: FileRecord(sha256_of(path), path.stat().st_size) for kind, path in paths.items()},
                precision=draft.precision,
                base=draft.base,
                details=draft.details,
            )
            (incoming / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            return self._publish(incoming, manifest, report)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _make_incoming(self, report: Callable[[str], None]) -> Path:
        """Creates a hidden folder for an unfinished version. The caller holds the lock."""
        for leftover in self.root.glob(f"{_INCOMING}*"):  # no other installation runs while we hold the lock
            report(f"removing {leftover.name}, left by an interrupted installation")
            shutil.rmtree(leftover)
        incoming = self.root / f"{_INCOMING}{secrets.token_hex(4)}"
        incoming.mkdir()
        return incoming

    def _publish(self, incoming: Path, manifest: ModelManifest, report: Callable[[str], None]) -> ModelVersion:
        """Renames a finished folder to `<name>/<version>`. The version exists from then on."""
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
            raise Damaged(f"cannot read the name of the active model: {error}") from error

    def _numbers(self, name: str) -> list[int]:
        """The version numbers of a model in ascending order, including those of damaged versions."""
        folders = (self.root / name).glob("[1-9]*")
        return sorted(int(folder.name) for folder in folders if folder.name.isdecimal())

    def _folders(self) -> Iterator[Path]:
        """The folder of every version, including incomplete ones."""
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
    """Whether both give the same answers. Even then, the files of two builds may differ in some bytes."""
    return (
        one.name == other.name
        and one.source.same_weights(other.source)
        and (one.preprocessing, one.classes) == (other.preprocessing, other.classes)
        and one.files["labels"] == other.files["labels"]
        and (one.precision, one.base, one.details) == (other.precision, other.base, other.details)
    )


def _number_of_labels(file: Path) -> int:
    try:
        labels = labels_from_text(file.read_text(encoding="utf-8"))
        check_labels(labels)
    except InvalidLabels as error:
        raise RepositoryError(f"the labels cannot be used: {error}") from error
    return len(labels)


def _problems(folder: Path) -> Iterator[Problem]:
    try:
        yield from ModelVersion.open(folder).problems()
    except Damaged as error:
        reference = f"{folder.parent.name}@{folder.name}"
        yield Problem(reference, MANIFEST, str(error).removeprefix(f"{reference}: {MANIFEST} "))


def _cannot_write(root: Path, error: OSError) -> RepositoryError:
    return RepositoryError(f"cannot write to the models folder {root}: {error.strerror or error}")
