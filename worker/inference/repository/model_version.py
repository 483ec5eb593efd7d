"""One installed model version: its folder, its manifest, and the verification of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from worker.inference.repository.errors import Damaged
from worker.inference.repository.files import sha256_of
from worker.inference.repository.labels import InvalidLabels, Label, labels_from_text
from worker.inference.repository.manifest import FILES, MANIFEST, InvalidManifest, ModelManifest
from worker.inference.repository.reference_images import InvalidReferences, ReferenceImages


@dataclass(frozen=True)
class Problem:
    """A missing, damaged or invalid file. `version` is a reference, `name@version`."""

    version: str
    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.version}: {self.file} {self.what}"


@dataclass(frozen=True)
class ModelVersion:
    """An installed version: weights, labels and preprocessing. It never changes after the installation."""

    name: str
    version: int
    path: Path
    manifest: ModelManifest = field(compare=False, repr=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The version in the folder `path`, which ends in `<name>/<version>`. Reads only the manifest.

        Raises:
            Damaged: the manifest is missing, invalid, or belongs to another version.
        """
        reference = f"{path.parent.name}@{path.name}"
        try:
            manifest = ModelManifest.from_json((path / MANIFEST).read_bytes().decode())
        except FileNotFoundError as error:
            raise Damaged(str(Problem(reference, MANIFEST, "is missing"))) from error
        except OSError as error:
            raise Damaged(str(Problem(reference, MANIFEST, f"cannot be read ({error.strerror})"))) from error
        except UnicodeDecodeError as error:
            raise Damaged(str(Problem(reference, MANIFEST, "is unreadable: it is not text"))) from error
        except InvalidManifest as error:
            raise Damaged(str(Problem(reference, MANIFEST, f"is unreadable: {error}"))) from error
        if f"{manifest.name}@{manifest.version}" != reference:
            what = f"belongs to {manifest.name}@{manifest.version}"
            raise Damaged(str(Problem(reference, MANIFEST, what)))
        return cls(manifest.name, manifest.version, path, manifest)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def file(self, kind: str) -> Path:
        """The path of one file: a kind of `manifest.FILES`, some of which are optional."""
        return self.path / FILES[kind]

    @property
    def size_on_disk(self) -> int:
        """The bytes of all files except the manifest."""
        return sum(record.size for record in self.manifest.files.values())

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The labels in the order of the network's output.

        Raises:
            Damaged: the labels file is missing or changed.
        """
        self.check("labels")
        try:
            return labels_from_text(self.file("labels").read_text(encoding="utf-8"))
        except (InvalidLabels, UnicodeDecodeError) as error:
            reason = str(error) if isinstance(error, InvalidLabels) else "it is not in UTF-8"
            raise Damaged(str(Problem(str(self), FILES["labels"], f"is unreadable: {reason}"))) from error

    @cached_property
    def reference_images(self) -> ReferenceImages | None:
        """The reference images of the labels, if the version has any. Checks the size of the file, not its SHA-256.

        Raises:
            Damaged: the file is missing or invalid.
        """
        if "references" not in self.manifest.files:
            return None
        for problem in self.problems(["references"], contents=False):
            raise Damaged(str(problem))
        file = self.file("references")
        try:
            return ReferenceImages(str(self), file, self.manifest.classes)
        except InvalidReferences as error:
            raise Damaged(str(Problem(str(self), file.name, f"is unreadable: {error}"))) from error
        except OSError as error:
            raise Damaged(str(Problem(str(self), file.name, f"cannot be read ({error.strerror})"))) from error

    def check(self, *kinds: str) -> None:
        """Compares the size and SHA-256 of the files of these kinds (default: all) with the manifest.

        Raises:
            Damaged: a file is missing or different; the message names the first one.
        """
        for problem in self.problems(kinds or None):
            raise Damaged(str(problem))

    def problems(self, kinds: Iterable[str] | None = None, *, contents: bool = True) -> Iterator[Problem]:
        """The problems of the files of these kinds (default: all). Without `contents`, only missing files and wrong
        sizes.
        """
        for kind in kinds or self.manifest.files:
            path, record = self.file(kind), self.manifest.files[kind]
            try:
                size = path.stat().st_size
                if size != record.size:
                    what = f"is damaged: {size} bytes instead of {record.size}"
                    yield Problem(str(self), path.name, what)
                elif contents and sha256_of(path) != record.sha256:
                    yield Problem(str(self), path.name, "is damaged: its SHA-256 is not the one in the manifest")
            except FileNotFoundError:
                yield Problem(str(self), path.name, "is missing")
            except OSError as error:
                yield Problem(str(self), path.name, f"cannot be read ({error.strerror})")
