"""Label sets that tests share, and versions that have them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace

from worker.inference.repository import ModelVersion
from worker.inference.repository.labels import Label
from worker.inference.repository.manifest import FILES, MANIFEST, FileRecord

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


def install_with_labels(version: ModelVersion, name: str, rows: Sequence[str]) -> None:
    """Copies an installed version to `name`@1. `rows`: each a label, or a label, a tab and its synonyms."""
    folder = shutil.copytree(version.path, version.path.parents[1] / name / "1")
    text = "".join(f"n{number:08}\t{row}\n" for number, row in enumerate(rows)).encode()
    (folder / FILES["labels"]).write_bytes(text)
    files = {**version.manifest.files, "labels": FileRecord(hashlib.sha256(text).hexdigest(), len(text))}
    manifest = replace(version.manifest, name=name, version=1, classes=len(rows), files=files)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
