"""Reads the labels of a network, in the order of its output, from the files that people keep them in."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from worker.inference.csv_files import InvalidFile, read_rows
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.json_files import MAX_BYTES, decoded, read_bytes, read_json, read_text
from worker.inference.repository.labels import (
    InvalidLabels,
    Label,
    check_labels,
    labels_from_text,
    with_display_names,
)

# Looked for beside a network.
NAMES = ("labels.csv", "labels.txt", "labels.json", "config.json")

IMAGENET = Path(__file__).parent.parent / "data" / "imagenet_labels.tsv"

_COLUMNS = {"id", "name", "synonyms", "display_name", "description"}


def read_labels(path: Path) -> tuple[Label, ...]:
    """Reads a file of labels.

    Its suffix says what it is:

    - `.txt`: one label a line. The name is the id, too.
    - `.csv` (see `read_rows`): a header with the column `name`, and optionally `id`, `synonyms` (separated by commas or
      semicolons), `display_name` and `description`.
    - `.json`: a list of names; a list of objects with the fields of a CSV; `id2label` of Hugging Face or `label_names`
      of timm; or an object from numbers to names, or to pairs of id and name as Keras has it for ImageNet.
    - `.tsv`: `labels.tsv` of a model version.

    Raises:
        ImportRefused: the file cannot be read or its labels cannot be used; the message names the line or the label.
    """
    match path.suffix.lower():
        case ".txt":
            return _checked(path.name, _from_lines(path.name, read_text(path)))
        case ".csv":
            return _checked(path.name, _from_csv(path.name, read_bytes(path)))
        case ".json":
            return _checked(path.name, _from_json(path.name, read_json(path)))
        case ".tsv":
            return _checked(path.name, _from_tsv(path.name, read_text(path)))
    raise ImportRefused(f"{path.name} is not a file of labels: the name must end in .txt, .csv, .json or .tsv")


def find_labels(network: Path) -> tuple[Path, tuple[Label, ...]] | None:
    """The labels in a file beside a network (or in a SavedModel's folder), or those in a TFLite file.

    Raises:
        ImportRefused: there are some, and they cannot be used.
    """
    if network.suffix.lower() == ".tflite" and (labels := _labels_in_tflite(network)):
        return network, labels
    folder = network if network.is_dir() else network.parent
    for path in (folder / name for name in NAMES):
        if path.is_file() and not (path.name == "config.json" and not _names(path.name, read_json(path))):
            return path, read_labels(path)
    return None


def _labels_in_tflite(path: Path) -> tuple[Label, ...] | None:
    """The labels in a zip archive that is appended to the network, as TensorFlow Lite's metadata writer does."""
    try:
        with zipfile.ZipFile(path) as archive:
            lists = [item for item in archive.infolist() if item.filename.lower().endswith(".txt")]
            if len(lists) != 1:
                return None
            with archive.open(lists[0]) as file:
                data = file.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError):
        return None  # most files have none
    name = f"{lists[0].filename} in {path.name}"
    return _checked(name, _from_lines(name, decoded(name, data)))


def _checked(name: str, labels: Iterable[Label]) -> tuple[Label, ...]:
    checked = with_display_names(labels)
    try:
        check_labels(checked)
    except InvalidLabels as error:
        raise ImportRefused(f"{name}: {error}") from error
    return checked


def _from_lines(name: str, text: str) -> list[Label]:
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.rstrip())]
    return _from_names(name, "line", lines)


def _from_names(file: str, what: str, names: list[str]) -> list[Label]:
    """Labels whose names are their ids."""
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise ImportRefused(f"{file}: {what} {number} is empty")
        if name in seen:
            raise ImportRefused(
                f"{file}: {what}s {seen[name]} and {number} are both {_short(name)}; to keep both, use a CSV file with"
                " the columns id and name"
            )
        seen[name] = number
    return [Label(name, name, "") for name in names]


def _from_csv(file: str, content: bytes) -> list[Label]:
    try:
        rows = read_rows(content)
    except InvalidFile as error:
        raise ImportRefused(f"{file}: {error}") from error
    columns = [cell.lower() for cell in rows[0][1]] if rows else []
    if "name" not in columns:
        raise ImportRefused(f"{file}: its first line must name the columns, such as: id,name,synonyms")
    unknown = ", ".join(repr(column) for column in columns if column not in _COLUMNS | {""})
    if unknown:
        raise ImportRefused(f"{file} has unknown columns: {unknown}; known are {', '.join(sorted(_COLUMNS))}")
    for column in columns:
        if column and columns.count(column) > 1:
            raise ImportRefused(f"{file} has the column {column!r} twice")
    for line, cells in rows[1:]:
        if any(cells[len(columns) :]):
            raise ImportRefused(f"{file}: line {line} has more cells than the header")
    return _from_objects(file, (dict(zip(columns, cells, strict=False)) for _line, cells in rows[1:]))


def _from_json(file: str, contents: Any) -> list[Label]:
    names = _names(file, contents)
    if names and all(isinstance(name, str) for name in names):
        return _from_names(file, "label", [name.strip() for name in names])
    if names and all(isinstance(name, dict) for name in names):
        return _from_objects(file, names)
    if names and all(_is_pair(name) for name in names):
        return [Label(str(id_), str(name), "") for id_, name in names]
    if names:
        other = next((name for name in names if not isinstance(name, str)), names[0])
        raise ImportRefused(f"{file}: {_short(json.dumps(other, ensure_ascii=False))} is not the name of a label")
    raise ImportRefused(f"{file} has no labels: neither a list of names nor id2label")


def _names(file: str, contents: Any) -> list[Any]:
    """The labels in what a JSON file holds; empty if it holds something else."""
    if isinstance(contents, dict):
        for key in ("id2label", "label_names"):
            if contents.get(key):
                return _numbered(f"{file}: {key}", contents[key])
        if not all(number.isdecimal() for number in contents):
            return []
    return _numbered(file, contents)


def _numbered(what: str, labels: Any) -> list[Any]:
    """A list of labels, or an object from their numbers to them, in order."""
    if isinstance(labels, dict):
        numbers = [str(number) for number in range(len(labels))]
        missing = next((number for number in numbers if number not in labels), None)
        if missing is not None:
            raise ImportRefused(f"{what} has no label {missing}: the outputs of a network are counted from 0")
        return [labels[number] for number in numbers]
    return labels if isinstance(labels, list) else []


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _from_objects(file: str, objects: Iterable[Mapping[str, Any]]) -> list[Label]:
    labels = []
    for number, item in enumerate(objects, 1):
        texts = {key: _text(file, number, item.get(key)) for key in _COLUMNS - {"synonyms"}}
        if not texts["name"]:
            raise ImportRefused(f"{file}: label {number} has no name")
        labels.append(
            Label(
                texts["id"] or texts["name"],
                texts["name"],
                texts["display_name"],
                _synonyms(file, number, item.get("synonyms")),
                texts["description"],
            )
        )
    return labels


def _text(file: str, number: int, value: Any) -> str:
    if value is not None and not isinstance(value, str | int):
        raise ImportRefused(f"{file}: label {number} has a value that is not a text")
    return "" if value is None else str(value).strip()


def _synonyms(file: str, number: int, value: Any) -> tuple[str, ...]:
    words = value if isinstance(value, list) else re.split("[,;]", _text(file, number, value))
    return tuple(word for word in (_text(file, number, word) for word in words) if word)


def _from_tsv(file: str, text: str) -> tuple[Label, ...]:
    try:
        return labels_from_text(text)
    except InvalidLabels as error:
        raise ImportRefused(f"{file}: {error}") from error


def _short(text: str) -> str:
    return repr(text if len(text) <= 50 else f"{text[:50]}...")
