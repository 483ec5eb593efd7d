"""Labels are read from the files that people keep them in, and refused where they cannot be meant."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.importing import json_files
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.label_files import IMAGENET, find_labels, read_labels
from worker.inference.repository import Label


def _read(tmp_path: Path, name: str, data: str | bytes) -> tuple[Label, ...]:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_labels(path)


def _names(labels: tuple[Label, ...]) -> list[str]:
    return [label.name for label in labels]


@pytest.mark.parametrize(
    "data",
    [
        b"cat\ndog\n",
        b"cat\r\ndog\r\n",
        b"cat\rdog",
        b"\xef\xbb\xbfcat\ndog",  # a byte order mark
        b"  cat \n\tdog\n\n\n",
    ],
)
def test_reads_one_label_a_line(data: bytes, tmp_path: Path) -> None:
    assert _read(tmp_path, "labels.txt", data) == (Label("cat", "cat", "cat"), Label("dog", "dog", "dog"))


def test_reads_a_csv(tmp_path: Path) -> None:
    text = 'ID,Name,Synonyms,description\nn1,crane,"heron, stork;egret",A bird.\nn2,crane,,\nn3,"cup, blue",,\n'
    first, second, third = _read(tmp_path, "labels.csv", text)
    assert first == Label("n1", "crane", "crane (n1)", ("heron", "stork", "egret"), "A bird.")
    assert (second.display_name, third.name, third.display_name) == ("crane (n2)", "cup, blue", "cup, blue")


@pytest.mark.parametrize(
    "contents",
    [
        ["cat", "dog"],
        [{"name": "cat", "id": "cat"}, {"name": "dog", "synonyms": []}],
        {"id2label": {"0": "cat", "1": "dog"}, "model_type": "resnet"},
        {"id2label": {"1": "dog", "0": "cat"}},
        {"label_names": ["cat", "dog"], "architecture": "resnet50"},
        {"0": "cat", "1": "dog"},
        {"0": ["cat", "cat"], "1": ["dog", "dog"]},
    ],
)
def test_reads_json_files(contents, tmp_path: Path) -> None:
    labels = _read(tmp_path, "config.json", json.dumps(contents))
    assert [(label.id, label.name) for label in labels] == [("cat", "cat"), ("dog", "dog")]


def test_reads_the_labels_of_a_version() -> None:
    labels = read_labels(IMAGENET)
    assert len(labels) == 1000
    assert [label.display_name for label in labels if label.name == "crane"] == ["crane (bird)", "crane (machine)"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("labels.txt", b"cat\n\ndog", "labels.txt: line 2 is empty"),
        ("labels.txt", b"cat\ndog\ncat\n", "lines 1 and 3 are both 'cat'; to keep both, use a CSV"),
        ("labels.txt", b"cat\nK\xf6nig\n", r"labels.txt is not UTF-8 \(line 2\)"),
        ("labels.txt", b"cat\nd\x00g\n", r"label 2 has the character U\+0000"),
        ("labels.txt", b"cat\nd\x1b[31mg\n", r"label 2 has the character U\+001B"),
        ("labels.txt", "cat\n" + "d" * 10_000, "label 2 has a text of 10,000 characters; at most 200"),
        ("labels.txt", b"cat\n", "at least two labels"),
        ("labels.txt", b"", "line 1 is empty"),
        ("labels.txt", "cat one\ncat_one\n", "the same display name"),
        ("labels.csv", "cat,dog\n1,2\n", "its first line must name the columns"),
        ("labels.csv", "name,colour\ncat,red\n", "unknown columns: 'colour'"),
        ("labels.csv", "id,name\n1,cat\n1,dog\n", "labels 1 and 2 have the same id, '1'"),
        ("labels.csv", "id,name\n1,cat\n2,\n", "label 2 has no name"),
        ("labels.csv", "id,name\n1,cat,3\n", "line 2 has more cells than the header"),
        ("labels.csv", 'id,name\n1,"cat\n', "line 2 is not CSV"),
        ("labels.csv", "name,Name\ncat,dog\nc,d\n", "labels.csv has the column 'name' twice"),
        ("labels.json", b"[1, 2]", "labels.json: '1' is not the name of a label"),
        ("labels.json", b'["cat", null]', "labels.json: 'null' is not the name of a label"),
        ("labels.json", b'{"cat": 0, "dog": 1}', "has no labels"),
        ("labels.json", b'{"id2label": {"0": "cat", "2": "dog"}}', "labels.json: id2label has no label 1: .* from 0"),
        ("labels.json", b'{"id2label": {"1": "cat", "2": "dog"}}', "labels.json: id2label has no label 0: .* from 0"),
        ("labels.json", b'{"id2label": {"0": 1, "1": 2}}', "labels.json: '1' is not the name of a label"),
        ("labels.json", b'{"id2label": {"cat": 0}}', "labels.json: id2label has no label 0"),
        ("labels.json", b'{"label_names": "abcd"}', "has no labels"),
        ("labels.json", b"{", "is not JSON"),
        ("labels.json", b"[" * 100_000, "labels.json has .* too many brackets in brackets"),
        ("labels.json", b"[" + b"9" * 5000 + b"]", "labels.json has a number with too many digits"),
        ("labels.json", b'{"0": "cat", "2": "dog"}', "labels.json has no label 1"),
        ("labels.json", b'{"id2label": {"0": "cat", "1": "cat"}}', "labels 1 and 2 are both 'cat'"),
        ("labels.json", b'[{"name": {"a": 1}}, {"name": "b"}]', "label 1 has a value that is not a text"),
        ("labels.xlsx", b"", "the name must end in"),
    ],
)
def test_refuses_labels_that_cannot_be_meant(name: str, data: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=message) as caught:
        _read(tmp_path, name, data)
    assert len(str(caught.value)) < 300


def test_html_in_a_label_stays_text(tmp_path: Path) -> None:
    labels = _read(tmp_path, "labels.txt", "<script>alert(1)</script>\n<b>dog</b>\n")
    assert _names(labels) == ["<script>alert(1)</script>", "<b>dog</b>"]


def test_refuses_large_and_missing_files(tmp_path: Path) -> None:
    with (tmp_path / "labels.txt").open("wb") as sparse:
        sparse.truncate(json_files.MAX_BYTES + 1)
    for name, message in (("labels.txt", "is larger than"), ("none.txt", "no such file")):
        with pytest.raises(ImportRefused, match=message):
            read_labels(tmp_path / name)


@given(st.sampled_from([".txt", ".csv", ".json", ".tsv"]), st.binary() | st.text().map(str.encode))
def test_any_bytes_are_labels_or_refused(tmp_path_factory: pytest.TempPathFactory, suffix: str, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    try:
        labels = read_labels(path)
    except ImportRefused:
        return
    assert len({label.id for label in labels}) == len(labels) >= 2


def test_reads_the_labels_in_a_tflite_file(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labelmap.txt", "cat\ndog\n")
    path = tmp_path / "own.tflite"
    path.write_bytes(b"a flatbuffer" + packed.getvalue())
    found = find_labels(path)
    assert found is not None
    assert (found[0], _names(found[1])) == (path, ["cat", "dog"])
    path.write_bytes(b"a flatbuffer without labels")
    assert find_labels(path) is None


def test_a_gap_in_the_labels_beside_a_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"1": "cat", "2": "dog"}}')
    with pytest.raises(ImportRefused, match=r"config.json: id2label has no label 0"):
        find_labels(tmp_path / "own.onnx")


def test_finds_labels_beside_a_network(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet50"}')  # has no labels
    assert find_labels(tmp_path / "own.onnx") is None
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    found = find_labels(tmp_path / "own.onnx")
    assert found is not None and found[0].name == "labels.txt"
    assert find_labels(tmp_path) is not None  # a SavedModel has them in its folder
