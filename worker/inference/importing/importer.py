"""Makes a model version of a network file, its labels and its preprocessing."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.inference.graph.saving import save_network
from worker.inference.importing.checking import Score, better_preset, find_pictures, score
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.inspection import (
    Answer,
    Choices,
    ImageInput,
    canonical_network,
    find_image,
    probe_of,
)
from worker.inference.importing.label_files import IMAGENET, find_labels, read_labels
from worker.inference.importing.networks import files_of, format_of, read_network
from worker.inference.importing.preprocessing_files import find_preprocessing, read_preprocessing
from worker.inference.importing.presets import PRESETS, PartialPreprocessing
from worker.inference.importing.process import Report, call_in_a_process, report_nothing
from worker.inference.importing.reference_pictures import write_references
from worker.inference.repository import ModelVersion, Repository
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.files import sha256_of
from worker.inference.repository.labels import Label, labels_to_text
from worker.inference.repository.manifest import FILES, Preprocessing, WeightsPrecision, WeightsSource

_WORST = 5  # confusions that are reported


@dataclass(frozen=True)
class ImportOptions:
    """What the user says about a network. The import finds out the rest, or reads it from files beside the network.

    Attributes:
        labels: a file (see `label_files.read_labels`), or `imagenet` for the 1,000 labels of ImageNet.
        preset: a key of `presets.PRESETS`.
        preprocessing_file: see `preprocessing_files.read_preprocessing`.
        preprocessing: single values, which count more than those of the preset or the file.
        choices: about the graph: input, output, layout, size, and the kind of output.
        trust: run the Python code that Lambda layers of a Keras file hold.
        check: a folder of labelled pictures, one folder a label, to classify before anything is installed.
        references: such a folder, of whose pictures the first three of each label become its reference images.
    """

    labels: str | None = None
    preset: str | None = None
    preprocessing_file: Path | None = None
    preprocessing: PartialPreprocessing = field(default_factory=PartialPreprocessing)
    choices: Choices = field(default_factory=Choices)
    trust: bool = False
    check: Path | None = None
    references: Path | None = None


def import_network(
    repository: Repository,
    name: str,
    path: Path,
    options: ImportOptions | None = None,
    *,
    report: Report = report_nothing,
) -> ModelVersion:
    """Installs a network as the next version of `name`. It is not activated.

    Args:
        name: see `Repository.add`.
        path: see `networks.read_network`.
        report: called with one line for each step and each finding.

    Raises:
        ImportRefused: the network, its labels or its preprocessing cannot be used; the message says why.
        RepositoryError: the models folder cannot be written, or the name is invalid.
    """
    importer = _Importer(path, options or ImportOptions(), report)
    return repository.add(name, lambda folder: importer.build(folder, report), report=report)


def examine_network(path: Path, options: ImportOptions | None = None, *, report: Report = report_nothing) -> None:
    """Does all that `import_network` does, except installing. Its arguments and errors are the same.

    Raises:
        OSError: the folder for temporary files cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        _Importer(path, options or ImportOptions(), report).build(Path(folder), report)


@dataclass(frozen=True)
class _Examined:
    """A network in canonical form, and what was found out about it."""

    model: Any
    keras: Path | None
    probe: NDArray[np.float32]
    rule: Preprocessing
    image: ImageInput
    answer: Answer


class _Importer:
    """One import. Creating it refuses what can be refused without reading the network.

    It can be pickled, because a process of its own reads and runs the network.
    """

    def __init__(self, path: Path, options: ImportOptions, report: Report) -> None:
        self.path = path
        self.options = options
        self.format = format_of(path)
        self.labels = self._labels(report)
        self.preprocessing = self._preprocessing(report)
        self.preprocessing.require_normalisation()
        self.source = _source(path)
        self.pictures = find_pictures(options.check, self.labels) if options.check else []
        self.references = find_pictures(options.references, self.labels) if options.references else []

    def build(self, folder: Path, report: Report) -> VersionDraft:
        """Writes the files of the version into an empty folder; see `Repository.add`."""
        return call_in_a_process(partial(self._build, folder), name=self.path.name, report=report)

    def _build(self, folder: Path, report: Report) -> VersionDraft:
        work = folder / "work"
        work.mkdir()
        found = self._examine(work, report)
        save_network(found.model, folder / FILES["xml"], found.probe)
        (folder / FILES["labels"]).write_text(labels_to_text(self.labels), encoding="utf-8")
        if found.keras is not None:
            found.keras.rename(folder / FILES["keras"])
        if self.references:
            write_references(self.references, folder / FILES["references"], report)
        shutil.rmtree(work)
        return VersionDraft(
            self.source,
            found.rule,
            precision=_precision(found.model),
            details=self._details(found),
            builders={"openvino": importlib.metadata.version("openvino")},
        )

    def _examine(self, work: Path, report: Report) -> _Examined:
        report(f"reading {self.path.name} ({self.format})")
        network = read_network(self.path, work, trust=self.options.trust)
        image = find_image(network.model, self.options.choices, self.preprocessing.size)
        report(f"input: {image.name!r}, {image.layout}, {image.width} x {image.height}, {image.channels} channels")
        self._report_other_size(image, report)
        rule = self.preprocessing.complete(image.width, image.height, image.channels)
        report(_text_of(rule))
        if image.is_8_bit and (set(rule.mean), set(rule.std)) != ({0.0}, {1.0}):
            raise ImportRefused("the network takes pixels from 0 to 255 as whole numbers; pass --preset raw")
        probe = probe_of(rule)
        is_simple = len(network.model.inputs) == len(network.model.outputs) == 1
        model, answer = canonical_network(network.model, image, self.options.choices, probe)
        report(f"output: {answer.name!r}, {answer.kind} ({answer.reason}), {answer.classes} labels")
        self._require_number(answer)
        if self.pictures:
            self._check(model, rule, report)
        keras = network.keras if is_simple and _is_canonical(image, answer) else None
        if keras is None:
            report("only the openvino engine can load this version, not tensorflow")
        return _Examined(model, keras, probe, rule, image, answer)

    def _labels(self, report: Report) -> tuple[Label, ...]:
        if self.options.labels == "imagenet":
            return read_labels(IMAGENET)
        if self.options.labels is not None:
            labels = read_labels(Path(self.options.labels))
            report(f"labels: {len(labels)} from {self.options.labels}")
            return labels
        found = find_labels(self.path)
        if found is None:
            raise ImportRefused(f"{self.path.name} comes without labels; pass --labels FILE")
        report(f"labels: {len(found[1])} found in {found[0]}")
        return found[1]

    def _preprocessing(self, report: Report) -> PartialPreprocessing:
        chosen = self.options.preprocessing
        if self.options.preset is not None:
            if self.options.preset not in PRESETS:
                raise ImportRefused(f"there is no preset {self.options.preset!r}; presets: {', '.join(PRESETS)}")
            return chosen | PRESETS[self.options.preset]
        if self.options.preprocessing_file is not None:
            return chosen | read_preprocessing(self.options.preprocessing_file)
        if chosen.mean is not None and chosen.std is not None:
            return chosen
        found = find_preprocessing(self.path)
        if found is None:
            return chosen  # refused when the number of channels is known
        report(f"preprocessing: found in {found[0]}")
        return chosen | found[1]

    def _report_other_size(self, image: ImageInput, report: Report) -> None:
        """Says so if the preprocessing file was made for another size, and nobody chose one."""
        usual = self.preprocessing.size
        if usual and usual != (image.width, image.height) and self.options.choices.size is None:
            report(f"size: the preprocessing is for {usual[0]} x {usual[1]} pixels; the network's size counts")

    def _require_number(self, answer: Answer) -> None:
        if len(self.labels) != answer.classes:
            raise ImportRefused(
                f"the network has {answer.classes} outputs, and there are {len(self.labels)} labels: each output needs"
                " one, in their order"
            )

    def _check(self, model: Any, rule: Preprocessing, report: Report) -> None:
        found = score(model, rule, self.pictures, report)
        for line in _lines_of(found, self.labels):
            report(line)
        better = better_preset(model, rule, self.pictures, found, report)
        if better is not None:
            name, other = better
            raise ImportRefused(
                f"{found.accuracy:.1%} right: is the preprocessing {name}? With --preset {name}, {other.accuracy:.1%}"
                f" of {other.total} pictures are right; to install it as it is, leave out --check"
            )

    def _details(self, found: _Examined) -> dict[str, str]:
        return {
            "format": self.format,
            "input": found.image.name,
            "layout": found.image.layout,
            "output": found.answer.name,
            "output kind": f"{found.answer.kind} ({found.answer.reason})",
        }


def _is_canonical(image: ImageInput, answer: Answer) -> bool:
    """Whether the network itself takes and returns what the version does."""
    return image.layout == "NHWC" and not image.is_8_bit and answer.kind == "probabilities"


def _precision(model: Any) -> WeightsPrecision:
    return "int8" if any(node.get_type_name() == "FakeQuantize" for node in model.get_ordered_ops()) else "f32"


def _source(path: Path) -> WeightsSource:
    """The network's file with its SHA-256; for several files, that of their SHA-256s."""
    try:
        digests = [sha256_of(file) for file in files_of(path)]
    except OSError as error:
        raise ImportRefused(f"cannot read {path}: {error.strerror}") from error
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return WeightsSource("file", path.name, digest, None)


def _text_of(rule: Preprocessing) -> str:
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (rule.mean, rule.std))
    return (
        f"preprocessing: {rule.resize}, crop {rule.crop:.4g}, {rule.interpolation}, {rule.channel_order},"
        f" (pixel - ({mean})) / ({std})"
    )


def _lines_of(found: Score, labels: Sequence[Label]) -> list[str]:
    among_five = f"; {found.top_5 / found.total:.1%} among the five best" if len(labels) > 5 else ""
    lines = [f"check: {found.top_1} of {found.total} right ({found.accuracy:.1%}){among_five}"]
    if found.unreadable:
        lines.append(f"check: {found.unreadable} files are not pictures that can be read")
    for (expected, given), number in found.confusions[:_WORST]:
        lines.append(f"check: {number} of {labels[expected].display_name!r} taken for {labels[given].display_name!r}")
    return lines
