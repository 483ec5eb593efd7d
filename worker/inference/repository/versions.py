"""The repository: a folder of model versions, and a file that names the active one.

models/active                         efficientnet-lite0@1
models/activations.jsonl              which versions were active before; see `activations`
models/efficientnet-lite0/1/          one version: manifest.json and the files it lists
models/efficientnet-lite0/.last-removed   see `numbers`
models/.incoming-3f0c/                an unfinished installation, running or killed
models/.removed-3f0c/                 a removed version, being deleted
models/.lock                          held by the running installation or removal
models/.activation-lock               held while the active version changes
models/.followed                      the version that `import_versions` activated last
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from worker.inference.repository import activations, catalogue
from worker.inference.repository.archive import extract_archive, write_archive
from worker.inference.repository.build import build
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.errors import (
    InvalidArchive,
    NotInstalled,
    RepositoryError,
    VersionInUse,
)
from worker.inference.repository.files import exclusive, replace_text, sha256_of
from worker.inference.repository.installed import InstalledVersions
from worker.inference.repository.labels import InvalidLabels, check_labels, labels_from_text
from worker.inference.repository.manifest import (
    FILES,
    FileRecord,
    ModelManifest,
)
from worker.inference.repository.model_version import ModelVersion
from worker.inference.repository.names import LONGEST_NAME, NAME, shortened
from worker.inference.repository.numbers import next_number
from worker.inference.repository.publishing import delete_hidden, hide, incoming_folder, publish
from worker.inference.repository.recipe import Recipe, Weights

_WAITING = "waiting for another command that changes the models folder"


def _report_nothing(line: str) -> None:
    """No-op progress callback."""


def _check_nothing(*_about: object) -> None:
    """Accepts everything."""


class Repository(InstalledVersions):
    """Model versions under the folder `root`, which need not exist yet, for reading and changing."""

    def activate(self, reference: str, *, by: str = "", instead_of: str | None = None) -> ModelVersion:
        """Makes a version the active one, after verifying each of its files.

        Args:
            reference: see `get`.
            by: the person or program that wants it, for the history of activations.
            instead_of: the version that must be active until now (empty: none). By default, any.

        Raises:
            NotInstalled, Damaged: see `get`. The active version does not change.
            OtherVersionActive: another version than `instead_of` is active.
            RepositoryError: the folder cannot be written.
        """
        version = self.get(reference)
        self._switch(version, by=by, instead_of=instead_of)
        return version

    def rollback(self, *, by: str = "", instead_of: str | None = None) -> ModelVersion:
        """Activates the version that was active before; see `activations`. Versions that were removed are left out.

        Raises:
            NotInstalled: no version was active before, or none of those is installed any more.
            Damaged, OtherVersionActive, RepositoryError: see `activate`. No other version is tried.
        """
        before = self.known_active_name() if instead_of is None else instead_of
        previous = self.previous_name()
        if not previous:
            raise NotInstalled("there is no earlier version to go back to")
        version = self.get(previous)
        self._switch(version, by=by, instead_of=before, is_rollback=True)
        return version

    def _switch(self, version: ModelVersion, *, by: str, instead_of: str | None, is_rollback: bool = False) -> None:
        try:
            activations.switch(self.root, version, by=by, instead_of=instead_of, is_rollback=is_rollback)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    def remove(self, reference: str, *, report: Callable[[str], None] = _report_nothing) -> None:
        """Deletes a version, even a damaged one. Its number is never given again.

        Workers that have loaded it keep answering with it until they load another one.

        Args:
            report: called with one line if another command has to end first.

        Raises:
            NotInstalled: there is no such version.
            VersionInUse: it is the active version.
            RepositoryError: the folder cannot be written.
        """
        try:
            with self._lock(report):
                folder = self._folder(reference)
                with activations.unchanged(self.root) as active:
                    if active == f"{folder.parent.name}@{folder.name}":
                        raise VersionInUse(f"{active} is active; activate another version first")
                    hide(self.root, folder)
                delete_hidden(self.root)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

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
            with self._lock(report):
                return self._find_installed(recipe, source, report) or self._install(recipe, source, report)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    def add(
        self, name: str, build: Callable[[Path], VersionDraft], *, report: Callable[[str], None] = _report_nothing
    ) -> ModelVersion:
        """Builds a version and installs it under the next free number of `name`.

        If `build` raises, or the process is killed, no version is left.

        Args:
            name: lower-case letters, digits, dots and hyphens; at most 100 characters.
            build: writes `model.xml`, `model.bin`, `labels.tsv` and perhaps `model.keras` and `references.zip` into the
                folder that it is given. The network takes float32 (n, height, width, channels), normalised as the
                manifest says, and its first output is float32 (n, labels), probabilities. It runs while no other
                installation does.
            report: called with one line for each step.

        Raises:
            RepositoryError: the name is invalid, the labels are, or the folder cannot be written; and what `build`
                raises.
        """
        _check_name(name)
        try:
            with self._lock(report):
                return self._add(name, build, report)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    @contextlib.contextmanager
    def _lock(self, report: Callable[[str], None]) -> Iterator[None]:
        """Waits until no other process installs or removes a version."""
        self.root.mkdir(parents=True, exist_ok=True)
        with exclusive(self.root / ".lock", waiting=lambda: report(_WAITING)):
            yield

    def import_versions(
        self,
        folder: Path,
        *,
        check: Callable[[ModelVersion], None] = _check_nothing,
        report: Callable[[str], None] = _report_nothing,
    ) -> None:
        """Copies the versions of another models folder, such as the one of a release, that are not installed here.

        A version counts as installed if one with the same weights and preprocessing is intact, whatever its number. A
        copied version gets the next free number. The other folder's active version becomes active here if none is
        active, or if the active one was activated by an import. A version that somebody activated by hand stays active.

        Args:
            check: called with the version that is to become active. What it raises leaves the active one as it is.
            report: called with one line for each step.

        Raises:
            NotInstalled: the other folder cannot be read or holds no version, or its active version is not there.
            Damaged: a file of the other folder is missing or changed. That version is not copied.
            RepositoryError: this folder cannot be written.
        """
        other = Repository(folder)
        other.require_versions()
        offered = other.active()
        try:
            with self._lock(report):
                imported = {str(version): self._import_version(version, report) for version in other.versions()}
        except OSError as error:
            raise _cannot_write(self.root, error) from error
        if offered is not None:
            self._follow(imported[str(offered)], check, report)

    def _import_version(self, version: ModelVersion, report: Callable[[str], None]) -> ModelVersion:
        version.check()
        known = self.find_same(version.manifest)
        if known:
            return known
        with incoming_folder(self.root, report) as incoming:
            for file in (FILES[kind] for kind in version.manifest.files):
                shutil.copyfile(version.path / file, incoming / file)
            return self._publish_copy(incoming, version.manifest, report)

    def _publish_copy(self, incoming: Path, manifest: ModelManifest, report: Callable[[str], None]) -> ModelVersion:
        manifest = replace(manifest, version=next_number(self.root / manifest.name))
        return publish(self.root, incoming, manifest, report)

    def export(self, reference: str, file: Path) -> ModelVersion:
        """Writes a version to one file; see `archive`. An existing file is replaced.

        Raises:
            NotInstalled, Damaged: see `get`.
            OSError: the file cannot be written.
        """
        version = self.get(reference)
        write_archive(version, file)
        return version

    def import_file(
        self,
        file: Path,
        *,
        check: Callable[[Path, ModelManifest], None] = _check_nothing,
        report: Callable[[str], None] = _report_nothing,
    ) -> ModelVersion:
        """Installs the version in a file that `export` wrote, under the next free number of its name.

        If a version that gives the same answers is installed and intact, returns that one. If anything fails, nothing
        is installed.

        Args:
            check: called with the folder of the files and their manifest before the version appears; what it raises
                refuses them. Digests show only that the files are those of the manifest, and this package cannot read
                networks; `worker.inference.importing.check_version_files` can.
            report: called with one line for each step.

        Raises:
            InvalidArchive: `export` did not write the file, or it is damaged.
            RepositoryError: the file cannot be read, or this folder cannot be written.
        """
        try:
            with self._lock(report), incoming_folder(self.root, report) as incoming:
                manifest = extract_archive(file, incoming)
                _check_name(manifest.name)
                if _number_of_labels(incoming / FILES["labels"]) != manifest.classes:
                    raise InvalidArchive(f"{file.name} has another number of labels than of classes")
                known = self.find_same(manifest)
                if known:
                    report(f"{known} is already installed")
                    return known
                check(incoming, manifest)
                return self._publish_copy(incoming, manifest, report)
        except OSError as error:
            if error.filename == str(file):
                raise RepositoryError(f"cannot read {file}: {error.strerror or error}") from error
            raise _cannot_write(self.root, error) from error

    def _follow(
        self, version: ModelVersion, check: Callable[[ModelVersion], None], report: Callable[[str], None]
    ) -> None:
        """Activates an imported version, unless the active one was activated by hand."""
        offered = str(version)
        followed = self.root / ".followed"
        active = self.active_name()
        if not active or (followed.exists() and followed.read_bytes().strip() == active.encode()):
            check(version)
            self.activate(offered, by="import")
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

    def _add(self, name: str, build: Callable[[Path], VersionDraft], report: Callable[[str], None]) -> ModelVersion:
        """See `add`. The caller holds the lock."""
        with incoming_folder(self.root, report) as incoming:
            draft = build(incoming)
            paths = {kind: incoming / file for kind, file in FILES.items() if (incoming / file).exists()}
            manifest = ModelManifest(
                name=name,
                version=next_number(self.root / name),
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
            return publish(self.root, incoming, manifest, report)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise RepositoryError(
            f"{shortened(name)} is not a name for a model: use up to {LONGEST_NAME} lower-case letters, digits, dots "
            "and hyphens"
        )


def _number_of_labels(file: Path) -> int:
    try:
        labels = labels_from_text(file.read_text(encoding="utf-8"))
        check_labels(labels)
    except UnicodeDecodeError as error:
        raise RepositoryError("the labels cannot be used: they are not in UTF-8") from error
    except InvalidLabels as error:
        raise RepositoryError(f"the labels cannot be used: {error}") from error
    return len(labels)


def _cannot_write(root: Path, error: OSError) -> RepositoryError:
    return RepositoryError(f"cannot write to the models folder {root}: {error.strerror or error}")
