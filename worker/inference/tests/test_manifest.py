from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.repository.manifest import (
    FILES,
    FileRecord,
    InvalidManifest,
    ModelManifest,
    Preprocessing,
    WeightsSource,
    _canonical,
    _digest,
)
from worker.inference.tests.fakes import in_format_1

RULE = Preprocessing.central_square(224, "BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))


def _manifest(**changes: Any) -> ModelManifest:
    manifest = ModelManifest(
        name="resnet50",
        version=3,
        created="2026-01-31T12:00:00+00:00",
        source=WeightsSource("file", "resnet50.h5", "a" * 64, None),
        preprocessing=RULE,
        classes=1000,
        output="softmax",
        builders={"keras": "3", "tensorflow": "2", "openvino": "2026"},
        files={kind: FileRecord("b" * 64, 7) for kind in FILES},
    )
    return replace(manifest, **changes)


def test_round_trip() -> None:
    assert ModelManifest.from_json(_manifest().to_json()) == _manifest()


@given(st.data())
def test_rejects_any_changed_byte(data: st.DataObject) -> None:
    text = bytearray(_manifest().to_json().encode())
    position = data.draw(st.integers(0, len(text) - 1))
    text[position] = data.draw(st.integers(0, 127).filter(lambda byte: byte != text[position]))
    with pytest.raises(InvalidManifest):
        ModelManifest.from_json(text.decode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, st.sampled_from([*json.loads(_manifest().to_json()), "extra"]))
def test_rejects_any_other_value_of_a_field(value: object, field: str) -> None:
    fields = json.loads(_manifest().to_json())
    if fields.get(field) == value:
        return
    with pytest.raises(InvalidManifest):
        ModelManifest.from_json(json.dumps({**fields, field: value}))


@given(st.text() | json_values.map(json.dumps))
def test_rejects_any_other_text(text: str) -> None:
    with pytest.raises(InvalidManifest):
        ModelManifest.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": True},
        {"channel_order": "GRB"},
        {"mean": (1.0, 2.0)},
        {"mean": (1.0, 2.0, float("nan"))},
        {"std": (1.0, 0.0, 1.0)},
        {"channel_order": "L"},
        {"resize": "left"},
        {"crop": 0.0},
        {"crop": 1.01},
        {"interpolation": "sinc"},
    ],
)
def test_rejects_invalid_preprocessing(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        replace(RULE, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"classes": 1},
        {"output": "logits"},
        {"files": {}},
        {"name": 7},
        {"precision": "f64"},
        {"base": None},
        {"details": {"a": 1}},
    ],
)
def test_rejects_invalid_fields(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        _manifest(**change)


def test_reads_format_1() -> None:
    text = in_format_1(_manifest())
    assert json.loads(text)["format"] == 1
    assert ModelManifest.from_json(text) == _manifest()


def test_keras_model_is_optional() -> None:
    files = {kind: FileRecord("b" * 64, 7) for kind in FILES if kind != "keras"}
    assert ModelManifest.from_json(_manifest(files=files).to_json()) == _manifest(files=files)


def test_same_weights_have_the_same_digest_or_else_reference() -> None:
    package = WeightsSource("package", "weights 1.0", "a" * 64, "Apache-2.0")
    assert package.same_weights(WeightsSource("file", "copy.pth", "a" * 64, None))
    assert not package.same_weights(WeightsSource("package", "weights 1.0", "b" * 64, None))
    download = WeightsSource("download", "ResNet50", None, None)
    assert download.same_weights(WeightsSource("download", "ResNet50", None, None))
    assert not download.same_weights(WeightsSource("download", "VGG16", None, None))
    assert not download.same_weights(package)


@pytest.mark.parametrize("name", ["builders", "details"])
@pytest.mark.parametrize("value", [5, [1, 2], ["a"], "text", None, {"a": 1}, {"a": None}])
def test_rejects_builders_and_details_that_are_no_texts(name: str, value: Any) -> None:
    body = {**json.loads(_manifest().to_json()), name: value}
    del body["digest"]
    with pytest.raises(InvalidManifest, match=f"{name} are not texts"):
        ModelManifest.from_json(_canonical({**body, "digest": _digest(body)}))
