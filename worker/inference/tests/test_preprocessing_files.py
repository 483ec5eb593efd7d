"""Preprocessing is read from the files of timm and Hugging Face."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.preprocessing_files import find_preprocessing, read_preprocessing
from worker.inference.importing.presets import PRESETS, PartialPreprocessing

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def _read(tmp_path: Path, contents: object) -> PartialPreprocessing:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(contents))
    return read_preprocessing(path)


def _timm(**changes: object) -> dict[str, object]:
    config = {"input_size": [3, 224, 288], "mean": MEAN, "std": STD, "crop_pct": 0.95, "interpolation": "bicubic"}
    return {"architecture": "resnet50", "pretrained_cfg": config | changes}


def _hugging_face(**changes: object) -> dict[str, object]:
    return {"image_mean": MEAN, "image_std": STD, "size": {"height": 224, "width": 288}, "resample": 3} | changes


def test_reads_timm(tmp_path: Path) -> None:
    found = _read(tmp_path, _timm())
    assert (found.size, found.resize, found.crop, found.interpolation) == ((288, 224), "shortest", 0.95, "bicubic")
    assert found.mean is not None and found.std is not None
    np.testing.assert_allclose(found.mean, PRESETS["keras-torch"].mean or ())
    np.testing.assert_allclose(found.std, PRESETS["keras-torch"].std or ())


@pytest.mark.parametrize(("mode", "resize"), [("center", "shortest"), ("squash", "stretch"), ("border", "pad")])
def test_knows_the_crop_modes_of_timm(mode: str, resize: str, tmp_path: Path) -> None:
    assert _read(tmp_path, _timm(crop_mode=mode)).resize == resize


@pytest.mark.parametrize(
    ("changes", "size", "resize", "crop"),
    [
        ({}, (288, 224), "stretch", 1.0),
        ({"size": 224}, (224, 224), "stretch", 1.0),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}, (224, 224), "shortest", 0.875),
        (
            {"size": 256, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            (224,) * 2,
            "shortest",
            0.875,
        ),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (224, 224), "shortest", 0.875),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), "stretch", 1.0),
    ],
)
def test_knows_the_cuts_of_hugging_face(changes, size, resize: str, crop: float, tmp_path: Path) -> None:
    found = _read(tmp_path, _hugging_face(**changes))
    assert (found.size, found.resize, found.crop, found.interpolation) == (size, resize, crop, "bicubic")


@pytest.mark.parametrize(
    ("changes", "mean", "std"),
    [
        ({"image_mean": 0.5, "image_std": 0.5}, (127.5,) * 3, (127.5,) * 3),
        ({"do_normalize": False}, (0.0,) * 3, (255.0,) * 3),
        ({"do_normalize": False, "do_rescale": False}, (0.0,) * 3, (1.0,) * 3),
        ({"image_mean": 1.0, "image_std": 1.0, "rescale_factor": 1 / 127.5}, (127.5,) * 3, (127.5,) * 3),
    ],
)
def test_knows_the_normalisations_of_hugging_face(changes, mean, std, tmp_path: Path) -> None:
    found = _read(tmp_path, _hugging_face(**changes))
    np.testing.assert_allclose(found.mean or (), mean)
    np.testing.assert_allclose(found.std or (), std)


def test_adds_the_offset_and_the_second_division_of_efficientnet(tmp_path: Path) -> None:
    """(pixel / 127.5 - 1 - mean) / std / std"""
    settings = {"rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": True}
    found = _read(tmp_path, _hugging_face(**settings))
    assert found.mean is not None and found.std is not None
    pixels = np.array([12.0, 130.0, 255.0])
    np.testing.assert_allclose(
        (pixels - found.mean) / found.std, (pixels / 127.5 - 1 - np.array(MEAN)) / np.array(STD) / np.array(STD)
    )


def test_knows_mobilevit(tmp_path: Path) -> None:
    contents = {"do_flip_channel_order": True, "size": 288, "do_center_crop": True, "crop_size": 256, "resample": 2}
    found = _read(tmp_path, contents)
    assert (found.channel_order, found.size, found.crop) == ("BGR", (256, 256), 256 / 288)
    assert (found.mean, found.std) == ((0.0,) * 3, (255.0,) * 3)


@pytest.mark.parametrize(
    ("name", "filter_"),
    [("BICUBIC", "bicubic"), ("bicubic ", "bicubic"), ("Lanczos", "lanczos"), ("", "bicubic"), (None, "bicubic")],
)
def test_knows_the_interpolations_of_timm(name: str | None, filter_: str, tmp_path: Path) -> None:
    assert _read(tmp_path, _timm(interpolation=name)).interpolation == filter_


def test_crops_as_timm_does_if_the_file_does_not_say(tmp_path: Path) -> None:
    assert _read(tmp_path, _timm(crop_pct=None)).crop == 0.875


def test_sides_that_are_null_do_not_count(tmp_path: Path) -> None:
    found = _read(tmp_path, _hugging_face(size={"height": 32, "width": 48, "shortest_edge": None}))
    assert found.size == (48, 32)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([], "holds no preprocessing"),
        ({}, "holds no preprocessing"),
        ({"pretrained_cfg": 3}, "pretrained_cfg is 3, not an object"),
        ({"pretrained_cfg": None}, "pretrained_cfg is null, not an object"),
        (_timm(input_size=[3]), r"input_size is \[3\], not three numbers"),
        (_timm(input_size=[3, -32, -32]), "input_size is -32, and must be above zero"),
        (_timm(input_size=[3, 0, 0]), "input_size is 0, and must be above zero"),
        (_timm(crop_mode="odd"), 'crop_mode is "odd"; known are center, squash, border'),
        (_timm(crop_mode=["odd"]), 'crop_mode is \\["odd"\\]; known are'),
        (_timm(crop_pct=0), "crop_pct is 0, and must be above zero"),
        (_timm(crop_pct=1.5), "crop_pct is 1.5, and must be at most 1"),
        (_timm(crop_pct="big"), 'crop_pct is "big", not a number'),
        (_timm(mean=None), "mean is missing"),
        (_timm(mean=[10**400] * 3), "not a number"),
        (_timm(std=0), "std must be above zero"),
        (_timm(mean=[123, 116, 103], std=[58, 57, 57]), "from 0 to 1 in this file, and these seem to be .* 0 to 255"),
        (_timm(interpolation="cubic"), 'interpolation is "cubic"; known are nearest, box, bilinear'),
        (_timm(interpolation="nearest-exact"), 'interpolation is "nearest-exact"; known are'),
        (_timm(interpolation=3), "interpolation is 3; known are"),
        (_timm(interpolation="random"), 'interpolation "random" is for training only'),
        (_hugging_face(size="large"), 'size is "large", not a number'),
        (_hugging_face(size=None), "size is missing"),
        (_hugging_face(size=-5), "size is -5, and must be above zero"),
        (_hugging_face(size=22.4), "size is 22.4, not a whole number of pixels"),
        (_hugging_face(size={"longest_edge": 32}), 'size is {"longest_edge": 32}: known are height and width'),
        (_hugging_face(size={"shortest_edge": 32}, crop_pct=1.5), "crop_pct is 1.5, and must be at most 1"),
        (_hugging_face(size=32, do_center_crop=True), "crop_size is missing"),
        (_hugging_face(size=32, do_center_crop=True, crop_size=64), "crop_size is 64, more than size, which is 32"),
        (_hugging_face(do_center_crop=True, crop_size=100), "crop_size has another aspect ratio than size"),
        (_hugging_face(rescale_factor=0), "rescale_factor is 0, and must be above zero"),
        (_hugging_face(rescale_factor=-1), "rescale_factor is -1, and must be above zero"),
        (_hugging_face(rescale_offset=True), "rescale_offset is true, which is clear only if rescale_factor is"),
        (_hugging_face(image_std=-1, include_top=True), "std must be above zero"),
        (_hugging_face(image_mean=120, image_std=60), "these seem to be for pixels from 0 to 255"),
        (_hugging_face(image_mean="abc"), 'image_mean is "abc", not a number'),
        (_hugging_face(resample=9), "resample is 9; known are 0, 1, 2, 3, 4, 5"),
        (_hugging_face(resample=None), "resample is null; known are"),
        (_hugging_face(do_resize=False), "do_resize is false"),
        (_hugging_face(do_grayscale=True), "do_grayscale is true: this site does not have that step"),
        (_hugging_face(do_pad=True), "do_pad is true: this site does not have that step"),
        (_hugging_face(do_normalize="no"), 'do_normalize is "no", not true or false'),
        (
            _hugging_face(do_flip_channel_order=True),
            "do_flip_channel_order is true, and image_mean or image_std differ",
        ),
    ],
)
def test_refuses_what_it_cannot_do_and_names_the_setting(contents: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=rf"preprocessor_config.json:? .*{message}"):
        _read(tmp_path, contents)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda value: st.lists(value, max_size=4) | st.dictionaries(st.sampled_from(["height", "width"]), value),
    max_leaves=4,
)


@given(st.booleans(), st.data())
def test_any_values_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, is_timm: bool, data: Any) -> None:
    make = _timm if is_timm else _hugging_face
    names = (
        ["input_size", "mean", "crop_mode", "crop_pct", "interpolation"] if is_timm else [*_hugging_face(), "do_pad"]
    )
    changes = data.draw(st.dictionaries(st.sampled_from(names), JSON))
    with contextlib.suppress(ImportRefused):
        _read(tmp_path_factory.getbasetemp(), make(**changes))


@pytest.mark.parametrize("std", [(0.0, 0.0, 0.0), (0.2, -0.2, 0.2)])
def test_a_deviation_that_is_not_above_zero_is_named_first(std: tuple[float, ...]) -> None:
    with pytest.raises(ImportRefused, match="std must be above zero, and is 0"):
        PartialPreprocessing(mean=(1.0,), std=std).normalisation(3)


def test_finds_the_file_beside_a_network(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"0": "cat"}}')  # of transformers: without preprocessing
    assert find_preprocessing(tmp_path / "own.onnx") is None
    _read(tmp_path, _hugging_face())
    found = find_preprocessing(tmp_path / "own.onnx")
    assert found is not None and found[0].name == "preprocessor_config.json"


@pytest.mark.parametrize("channels", [1, 3])
def test_presets_fit_grey_networks(channels: int) -> None:
    order, mean, std = PRESETS["unit"].normalisation(channels)
    assert (order, mean, std) == ("L" if channels == 1 else "RGB", (0.0,) * channels, (255.0,) * channels)


def test_preset_for_colours_does_not_fit_grey() -> None:
    for name in ("keras-torch", "keras-caffe"):
        with pytest.raises(ImportRefused, match="the network takes 1 channels"):
            PRESETS[name].normalisation(1)
