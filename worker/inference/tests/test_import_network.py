"""Importing the same network from files of every format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from worker.inference.engines import EngineError, load_engine
from worker.inference.importing import (
    Choices,
    ImportOptions,
    ImportRefused,
    PartialPreprocessing,
    examine_network,
    import_network,
)
from worker.inference.repository import ModelVersion, Repository
from worker.inference.tests.small_cnn import LABELS, SIZE, SmallCnn, onnx_bytes, quantised_tflite

FORMATS = ("keras", "h5", "saved_model", "onnx", "tflite", "xml")


def _options(labels_file: Path, **changes) -> ImportOptions:
    return ImportOptions(**{"labels": str(labels_file), "preset": "keras-tf", **changes})


def _answers(version: ModelVersion, cnn: SmallCnn, engine: str = "openvino"):
    """The answers to the pixels from 0 to 255 that `batch` was made of."""
    pixels = np.rint((cnn.batch + 1) * 127.5).astype(np.uint8)
    return load_engine(version, engine=engine).predict(pixels)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_answers_of_keras(
    kind: str, cnn: SmallCnn, repository: Repository, labels_file: Path
) -> None:
    reports: list[str] = []
    path = getattr(cnn, kind)
    version = import_network(repository, "own", path, _options(labels_file), report=reports.append)
    assert repository.verify() == []
    np.testing.assert_allclose(_answers(version, cnn), cnn.answers, atol=1e-4)
    assert [label.name for label in version.labels] == list(LABELS)
    manifest = version.manifest
    assert (manifest.source.reference, manifest.classes, manifest.precision) == (path.name, len(LABELS), "f32")
    assert manifest.preprocessing.shape == (SIZE, SIZE, 3)
    assert manifest.details["layout"] == ("NCHW" if kind == "onnx" else "NHWC")
    assert manifest.details["output kind"] == "probabilities (ends in Softmax)"
    assert any("32 x 32, 3 channels" in line for line in reports)
    if kind in {"keras", "h5"}:
        np.testing.assert_allclose(_answers(version, cnn, "tensorflow"), cnn.answers, atol=1e-4)
    else:
        assert any("only the openvino engine" in line for line in reports)
        with pytest.raises(EngineError, match="use the openvino engine"):
            load_engine(version, engine="tensorflow")


def test_reports_a_preprocessing_file_for_another_size(cnn: SmallCnn, labels_file: Path, tmp_path: Path) -> None:
    """The network takes 32 x 32 pixels."""
    file = tmp_path / "config.json"
    for side, expected in ((64, 1), (32, 0)):
        config = {"input_size": [3, side, side], "mean": [0.5] * 3, "std": [0.5] * 3}
        file.write_text(json.dumps({"pretrained_cfg": config}))
        reports: list[str] = []
        examine_network(cnn.onnx, _options(labels_file, preset=None, preprocessing_file=file), report=reports.append)
        line = "size: the preprocessing is for 64 x 64 pixels; the network's size counts"
        assert reports.count(line) == expected


@pytest.mark.parametrize(("numbers", "preset"), [("uint8", "raw"), ("int8", "raw"), ("float32", "keras-tf")])
def test_quantised_tflite_gives_nearly_the_answers_of_keras(
    numbers: str, preset: str, cnn: SmallCnn, repository: Repository, labels_file: Path, tmp_path: Path
) -> None:
    """Its answers are not rounded to 8 bits, and therefore sum to 1."""
    path = tmp_path / "quantised.tflite"
    path.write_bytes(quantised_tflite(cnn.keras, cnn.batch, numbers))
    version = import_network(repository, "own", path, _options(labels_file, preset=preset))
    assert version.manifest.precision == "int8"
    answers = _answers(version, cnn)
    np.testing.assert_allclose(answers, cnn.answers, atol=0.03)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("batch", ["batch", 1])
def test_logits_get_a_softmax_also_from_exports_for_one_picture(
    batch: str | int, cnn: SmallCnn, repository: Repository, labels_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "logits.onnx"
    path.write_bytes(onnx_bytes(cnn.weights, softmax=False, batch=batch))
    version = import_network(repository, "own", path, _options(labels_file))
    np.testing.assert_allclose(_answers(version, cnn), cnn.answers, atol=1e-4)
    assert version.manifest.details["output kind"].startswith("logits")


def test_keras_network_without_softmax_gets_one(cnn: SmallCnn, repository: Repository, labels_file: Path) -> None:
    version = import_network(repository, "own", cnn.logits, _options(labels_file))
    np.testing.assert_allclose(_answers(version, cnn), cnn.answers, atol=1e-4)
    assert "keras" not in version.manifest.files  # model.keras would answer with logits


def test_channel_order_and_scale_are_those_of_the_preset(
    cnn: SmallCnn, repository: Repository, labels_file: Path
) -> None:
    version = import_network(repository, "own", cnn.xml, _options(labels_file, preset="keras-caffe"))
    rule = version.manifest.preprocessing
    assert (rule.channel_order, rule.mean, rule.std) == ("BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
    assert (rule.resize, rule.crop, rule.interpolation) == ("stretch", 1.0, "bilinear")


def test_single_values_count_more_than_the_preset(cnn: SmallCnn, repository: Repository, labels_file: Path) -> None:
    chosen = PartialPreprocessing(resize="pad", crop=0.5, interpolation="nearest", channel_order="BGR", std=(2.0,))
    version = import_network(repository, "own", cnn.xml, _options(labels_file, preset="lite", preprocessing=chosen))
    rule = version.manifest.preprocessing
    assert (rule.resize, rule.crop, rule.interpolation, rule.channel_order) == ("pad", 0.5, "nearest", "BGR")
    assert (rule.mean, rule.std) == ((127.0,) * 3, (2.0,) * 3)


def test_next_import_of_a_name_gets_the_next_number(cnn: SmallCnn, repository: Repository, labels_file: Path) -> None:
    numbers = [import_network(repository, "own", cnn.xml, _options(labels_file)).version for _ in range(2)]
    assert numbers == [1, 2]
    assert repository.active() is None


def test_examining_installs_nothing(cnn: SmallCnn, repository: Repository, labels_file: Path) -> None:
    reports: list[str] = []
    examine_network(cnn.onnx, _options(labels_file), report=reports.append)
    assert any("NCHW" in line for line in reports)
    assert repository.versions() == []


def test_files_beside_the_network_are_found(cnn: SmallCnn, repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(cnn.onnx.read_bytes())
    (tmp_path / "config.json").write_text(
        '{"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}, "pretrained_cfg": {"input_size": [3, 32, 32],'
        ' "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9, "interpolation": "bicubic"}}'
    )
    reports: list[str] = []
    version = import_network(repository, "own", path, report=reports.append)
    assert [label.name for label in version.labels] == ["a", "b", "c", "d"]
    rule = version.manifest.preprocessing
    assert (rule.resize, rule.crop, rule.interpolation) == ("shortest", 0.9, "bicubic")
    assert (rule.mean, rule.std) == ((127.5,) * 3, (127.5,) * 3)
    assert sum("config.json" in line for line in reports) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, r"small.onnx comes without labels; pass --labels FILE"),
        ({"preset": None}, r"unknown how pixels become .* --preset keras-tf"),
        ({"preset": "keras"}, "no preset 'keras'"),
        ({"choices": Choices(size=(64, 64))}, "takes 32 x 32 pixels, not 64 x 64"),
        ({"choices": Choices(input="image")}, r"no input 'image'; it has: 'pixels' \(\?, 3, 32, 32\)"),
        ({"choices": Choices(output="x")}, "no output 'x'"),
        ({"choices": Choices(layout="NHWC")}, "not 1 or 3 channels in NHWC"),
        ({"preprocessing": PartialPreprocessing(channel_order="L")}, "the network takes 3 channels"),
        ({"preprocessing": PartialPreprocessing(crop=2.0)}, "crop 2.0 is not"),
        (
            {"preset": None, "preprocessing": PartialPreprocessing(mean=(0.5,), std=(0.25,))},
            "pass --mean 127.5,127.5,127.5 --std 63.75,63.75,63.75",
        ),
        ({"labels": "imagenet"}, "4 outputs, and there are 1000 labels"),
    ],
)
def test_refuses_what_does_not_fit(
    changes, message: str, cnn: SmallCnn, repository: Repository, labels_file: Path
) -> None:
    with pytest.raises(ImportRefused, match=message):
        import_network(repository, "own", cnn.onnx, _options(labels_file, **changes))
    assert repository.versions() == []
    assert [path.name for path in repository.root.glob(".incoming-*")] == []


def test_networks_without_keras_are_imported_without_tensorflow(
    cnn: SmallCnn, repository: Repository, labels_file: Path, tmp_path: Path
) -> None:
    script = tmp_path / "importing.py"
    script.write_text(
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = sys.modules['h5py'] = None\n"
        "from pathlib import Path\n"
        "from worker.inference.importing import ImportOptions, ImportRefused, import_network\n"
        "from worker.inference.repository import Repository\n"
        "def main():\n"
        "    repository, labels, *networks = map(Path, sys.argv[1:])\n"
        "    for path in networks:\n"
        "        try:\n"
        "            options = ImportOptions(labels=str(labels), preset='keras-tf')\n"
        "            print(import_network(Repository(repository), 'own', path, options))\n"
        "        except ImportRefused as error:\n"
        "            print(error)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    networks = (cnn.saved_model, cnn.onnx, cnn.tflite, cnn.xml, cnn.keras, cnn.h5)
    command = [sys.executable, *map(str, (script, repository.root, labels_file, *networks))]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    lines = result.stdout.splitlines()
    assert lines[:4] == ["own@1", "own@2", "own@3", "own@4"]
    assert "reading small.keras needs the package" in lines[4]
    assert "reading small.h5 needs the package" in lines[5]
