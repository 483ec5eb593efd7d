"""Classifies a folder of labelled pictures, to see whether a network and its preprocessing fit each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.presets import PRESETS, PartialPreprocessing
from worker.inference.importing.process import Report, report_nothing
from worker.inference.preprocessing import Preprocessor, UndecodableImage, normalised
from worker.inference.repository.labels import Label
from worker.inference.repository.manifest import Preprocessing

MAX_FILE_BYTES = 100 * 2**20
TOP = 5

_BATCH = 16
_REPORT_EVERY = 20  # batches
_BAD = 0.5  # below this share of right answers, other presets are tried
_BETTER = 0.2  # by how much another preset must be better to be suggested
_SAMPLE = 200  # pictures for trying the presets


@dataclass(frozen=True)
class LabelledPicture:
    """A file and the index of its label."""

    path: Path
    label: int


@dataclass(frozen=True)
class Score:
    """How many pictures got the right label.

    Attributes:
        total: pictures that could be read.
        top_1: how many of them have their label as the best answer.
        top_5: ... among the five best.
        unreadable: files that are not pictures.
        confusions: pairs of expected and given label, as indices, with how often; the most frequent first.
    """

    total: int
    top_1: int
    top_5: int
    unreadable: int
    confusions: tuple[tuple[tuple[int, int], int], ...]

    @property
    def accuracy(self) -> float:
        return self.top_1 / self.total


def find_pictures(folder: Path, labels: Sequence[Label]) -> list[LabelledPicture]:
    """The files in the folders of `folder`, each of which has the id, the name or the display name of a label.

    Raises:
        ImportRefused: the folder cannot be read, has no pictures, or has a folder that no label has the name of.
    """
    by_name: dict[str, int] = {}
    for names in ([label.name for label in labels], [label.display_name for label in labels]):
        by_name |= {name.replace("_", " "): index for index, name in enumerate(names)}
    by_name |= {label.id: index for index, label in enumerate(labels)}
    pictures = []
    try:
        for subfolder in sorted(path for path in folder.iterdir() if path.is_dir()):
            index = by_name.get(subfolder.name, by_name.get(subfolder.name.replace("_", " ")))
            if index is None:
                raise ImportRefused(f"{folder} has the folder {subfolder.name!r}, and no label has that name")
            files = sorted(path for path in subfolder.iterdir() if path.is_file() and not path.name.startswith("."))
            pictures += [LabelledPicture(path, index) for path in files]
    except OSError as error:
        raise ImportRefused(f"cannot read {folder}: {error.strerror}") from error
    if not pictures:
        raise ImportRefused(f"{folder} has no pictures: it needs one folder for each label, with pictures in it")
    return pictures


def score(
    model: Any, rule: Preprocessing, pictures: Sequence[LabelledPicture], report: Report = report_nothing
) -> Score:
    """Classifies pictures with a network in canonical form.

    Args:
        report: called from time to time, if there are many pictures.

    Raises:
        ImportRefused: none of the files is a picture.
    """
    total = top_1 = top_5 = 0
    confusions: Counter[tuple[int, int]] = Counter()
    for expected, probabilities in _answers(model, rule, pictures, report):
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        total += 1
        top_1 += int(best[0] == expected)
        top_5 += int(expected in best)
        if best[0] != expected:
            confusions[expected, int(best[0])] += 1
    if not total:
        raise ImportRefused(f"none of {len(pictures)} files is a picture that can be read")
    return Score(total, top_1, top_5, len(pictures) - total, tuple(confusions.most_common()))


def better_preset(
    model: Any,
    rule: Preprocessing,
    pictures: Sequence[LabelledPicture],
    found: Score,
    report: Report = report_nothing,
) -> tuple[str, Score] | None:
    """The preset whose normalisation gives far more right answers than `rule`, if `rule` gives few."""
    if found.accuracy >= _BAD:
        return None
    step = -(-len(pictures) // _SAMPLE)
    sample = [picture for start in range(step) for picture in pictures[start::step]][:_SAMPLE]
    channels = len(rule.channel_order)
    best: tuple[str, Score] | None = None
    for name, preset in PRESETS.items():
        changed = _renormalised(rule, preset, channels)
        if changed is None or changed == rule:
            continue
        report(f"check: few are right; trying the preset {name}")
        other = score(model, changed, sample)
        if other.accuracy >= found.accuracy + _BETTER and (best is None or other.accuracy > best[1].accuracy):
            best = name, other
    return best


def _renormalised(rule: Preprocessing, preset: PartialPreprocessing, channels: int) -> Preprocessing | None:
    try:
        order, mean, std = preset.normalisation(channels)
    except ImportRefused:  # the preset is for colours, and the network takes grey
        return None
    return replace(rule, channel_order=order, mean=mean, std=std)


def _answers(
    model: Any, rule: Preprocessing, pictures: Sequence[LabelledPicture], report: Report
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The expected label and the probabilities of each picture that can be read."""
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    preprocess = Preprocessor(rule)
    for number, group in enumerate(_groups(pictures), start=1):
        if number % _REPORT_EVERY == 0:
            report(f"check: {number * _BATCH:,} of {len(pictures):,} files")
        decoded = [(picture.label, _decoded(preprocess, picture)) for picture in group]
        readable = [(label, pixels) for label, pixels in decoded if pixels is not None]
        if readable:
            batch = normalised(np.stack([pixels for _, pixels in readable]), rule)
            yield from zip([label for label, _ in readable], np.array(compiled(batch)[0]), strict=True)


def _groups(pictures: Sequence[LabelledPicture]) -> Iterator[Sequence[LabelledPicture]]:
    for start in range(0, len(pictures), _BATCH):
        yield pictures[start : start + _BATCH]


def _decoded(preprocess: Preprocessor, picture: LabelledPicture) -> NDArray[np.uint8] | None:
    try:
        with picture.path.open("rb") as file:
            return preprocess(file.read(MAX_FILE_BYTES))
    except (UndecodableImage, OSError):
        return None
