"""Files of an exported version that cannot answer."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from worker.inference.importing import ImportRefused, check_version_files
from worker.inference.repository import ModelVersion, Repository
from worker.inference.repository.manifest import FILES
from worker.inference.tests.small_cnn import SmallCnn
from worker.inference.tests.tiny_networks import SIDE, add_version


@pytest.fixture
def version(repository: Repository) -> ModelVersion:
    return add_version(repository)


def test_accepts_a_version_and_leaves_no_file(version: ModelVersion) -> None:
    before = sorted(version.path.iterdir())
    check_version_files(version.path, version.manifest)
    assert sorted(version.path.iterdir()) == before


def test_accepts_the_default_model(models: Repository, tmp_path: Path) -> None:
    version = models.get("efficientnet-lite0")
    shutil.copytree(version.path, tmp_path / "copy")
    check_version_files(tmp_path / "copy", version.manifest)


def test_rejects_another_number_of_classes(version: ModelVersion) -> None:
    with pytest.raises(ImportRefused, match=r"returns f32 \(\?, 5\), and its manifest says f32 \(\?, 6\)"):
        check_version_files(version.path, replace(version.manifest, classes=6))


def test_rejects_another_size(version: ModelVersion) -> None:
    rule = replace(version.manifest.preprocessing, width=8)
    with pytest.raises(ImportRefused, match=rf"takes f32 \(\?, {SIDE}, {SIDE}, 3\), and .* \(\?, {SIDE}, 8, 3\)"):
        check_version_files(version.path, replace(version.manifest, preprocessing=rule))


@pytest.mark.parametrize("changes", [{"std": (1e-300,) * 3}, {"mean": (1e300,) * 3}])
def test_rejects_preprocessing_that_leads_to_no_answer(version: ModelVersion, changes: dict[str, Any]) -> None:
    rule = replace(version.manifest.preprocessing, **changes)
    with pytest.raises(ImportRefused, match="the preprocessing makes NaN or infinity of pixels"):
        check_version_files(version.path, replace(version.manifest, preprocessing=rule))


def test_rejects_answers_that_are_not_probabilities(version: ModelVersion) -> None:
    image = ops.parameter([-1, SIDE, SIDE, 3], np.float32)
    scores = ops.matmul(ops.reduce_mean(image, ops.constant([1, 2])), np.ones((3, 5), np.float32), False, False)
    openvino.save_model(openvino.Model([ops.relu(scores).output(0)], [image]), version.file("xml"))
    with pytest.raises(ImportRefused, match="the network returns numbers that are not probabilities"):
        check_version_files(version.path, version.manifest)


def test_rejects_files_that_are_no_network(version: ModelVersion) -> None:
    version.file("xml").write_text("<net")
    with pytest.raises(ImportRefused, match="model.xml cannot be read"):
        check_version_files(version.path, version.manifest)


def test_rejects_several_inputs(version: ModelVersion) -> None:
    images = [ops.parameter([-1, SIDE, SIDE, 3], np.float32) for _ in range(2)]
    sums = ops.reduce_mean(ops.add(*images), ops.constant([1, 2]))
    network = openvino.Model([ops.softmax(sums, 1).output(0)], images)
    openvino.save_model(network, version.file("xml"), compress_to_fp16=False)
    with pytest.raises(ImportRefused, match="the network has 2 inputs and 1 outputs"):
        check_version_files(version.path, version.manifest)


def test_rejects_a_keras_model_that_is_damaged(version: ModelVersion, cnn: SmallCnn) -> None:
    manifest = replace(version.manifest, files={**version.manifest.files, "keras": version.manifest.files["xml"]})
    shutil.copyfile(cnn.keras, version.path / FILES["keras"])
    check_version_files(version.path, manifest)
    (version.path / FILES["keras"]).write_bytes(cnn.keras.read_bytes()[:-100])
    with pytest.raises(ImportRefused, match="model.keras is not a complete Keras file"):
        check_version_files(version.path, manifest)
