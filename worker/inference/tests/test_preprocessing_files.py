"""Preprocessing is read from the files of timm and Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    "contents",
    [
        [],
        {},
        {"pretrained_cfg": 3},
        _timm(input_size=[3]),
        _timm(crop_mode="odd"),
        _hugging_face(size="large"),
        _hugging_face(rescale_factor=0),
        _hugging_face(resample=17),
    ],
)
def test_refuses_other_files(contents: object, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"preprocessor_config.json"):
        _read(tmp_path, contents)


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
