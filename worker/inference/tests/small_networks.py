"""Versions with any labels and a tiny real network, which tests install within milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as op

from worker.inference.repository import ModelVersion, Repository
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.labels import Label, labels_to_text
from worker.inference.repository.manifest import FILES, Preprocessing, WeightsSource

SIDE = 8
# A few ordinary labels, and those that pages, files and file systems may get wrong.
FOUR = (Label("1", "cat", "cat"), Label("2", "dog", "dog"), Label("3", "hen", "hen"), Label("4", "cow", "cow"))
ODD = (
    Label("1", "<b>bold</b> & \"quoted\" 'label'", "<b>bold</b> & \"quoted\" 'label'"),
    Label("2", "../../etc/passwd", "../../etc/passwd"),
    Label("3", "=HYPERLINK(1)", "=HYPERLINK(1)", ("+1", "@cell")),
    Label("4", "كلب البحر", "كلب البحر"),
    Label("5", "🐈 cat", "🐈 cat", (), "A <i>cat</i>, with an emoji"),
    Label("6", "long_" * 40, "long_" * 40),
    Label("7", "W" * 200, "W" * 200),
    Label("8", "Apple", "Apple"),
    Label("9", "apple", "apple"),
    Label("10", "CON", "CON"),
)


def many_labels(number: int = 12_000) -> tuple[Label, ...]:
    """Returns labels of two words, such as `amber_falcon_0001`, each with a synonym and a description."""
    colours = ("amber", "azure", "crimson", "emerald", "ivory", "jade", "scarlet", "violet")
    animals = ("falcon", "heron", "lizard", "marten", "otter", "raven", "salmon", "tortoise", "walrus")
    labels = []
    for index in range(number):
        name = f"{colours[index % len(colours)]}_{animals[index % len(animals)]}_{index:05}"
        labels.append(Label(f"id-{index:05}", name, name, (f"species {index:05}",), f"Number {index} of the catalogue"))
    return tuple(labels)


def add_version(repository: Repository, labels: Sequence[Label], name: str = "small") -> ModelVersion:
    """Installs a version whose network answers by the mean colour of an image: a dense layer and softmax."""

    def build(folder: Path) -> VersionDraft:
        openvino.save_model(_network(len(labels)), folder / FILES["xml"], compress_to_fp16=False)
        (folder / FILES["labels"]).write_text(labels_to_text(labels), encoding="utf-8")
        preprocessing = Preprocessing.central_square(SIDE, "RGB", (127.0,) * 3, (128.0,) * 3)
        return VersionDraft(WeightsSource("file", f"{name}.xml", "0" * 64, None), preprocessing)

    return repository.add(name, build)


def _network(classes: int) -> openvino.Model:
    pixels = op.parameter([-1, SIDE, SIDE, 3], np.float32, name="pixels")
    colour = op.reduce_mean(pixels, op.constant(np.array([1, 2])), keep_dims=False)
    weights = np.random.default_rng(0).normal(size=(3, classes)).astype(np.float32)
    scores = op.matmul(colour, op.constant(weights), transpose_a=False, transpose_b=False)
    return openvino.Model([op.softmax(scores, axis=1)], [pixels], "small")
