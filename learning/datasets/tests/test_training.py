"""Trains a model on data sets, loaded with the code of their README.txt."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from learning.datasets.folder_names import folder_names
from learning.datasets.tests.data import decided_case, manifest, write
from predictions.tests.pictures import encoded, noise
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db

LABELS = ["bright", "AC/DC", "dark", "Dark"]
EACH = 12


@pytest.fixture
def unpacked(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An unpacked data set. The brightness of a picture tells its class; all accepted formats occur."""
    formats = ["JPEG", "PNG", "WEBP", "GIF"]
    for number in range(EACH * len(LABELS)):
        label = LABELS[number % len(LABELS)]
        light = 40 + 60 * (number % len(LABELS))
        picture = noise(48, 40, seed=number).point(lambda value, light=light: value // 8 + light)
        decided_case(label, content=encoded(picture, formats[number // len(LABELS) % len(formats)]))
    decided_case(verdict="unusable")
    archive = tmp_path / "cases.zip"
    write(archive, kind=request.param)
    folder = tmp_path / "unpacked"
    with ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def _loaded(folder: Path) -> Any:
    """Returns the data set, loaded with the code of its README.txt."""
    from worker.inference.keras_runtime import keras

    keras.utils.set_random_seed(0)
    code = (folder / "README.txt").read_text().split("labels.txt")[0].splitlines()
    names: dict[str, Any] = {}
    exec(textwrap.dedent("\n".join(line for line in code if line.startswith("    "))), names)
    return names["data"]


def _losses(models: Repository, data: Any) -> list[float]:
    """Returns the losses of some training steps of a head on the pooled features of the default model."""
    from worker.inference.keras_runtime import keras

    version = models.active()
    assert version is not None
    network = keras.saving.load_model(version.file("keras"))
    features = keras.Model(network.input, network.get_layer("pooling").output)
    features.trainable = False
    head = keras.layers.Dense(len(LABELS), activation="softmax")
    model = keras.Sequential([keras.layers.Rescaling(1 / 128, offset=-127 / 128), features, head])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return [float(model.train_on_batch(pictures, labels)) for pictures, labels in data.repeat(5)]


@pytest.mark.parametrize("unpacked", ["imagefolder"], indirect=True)
def test_trains_on_an_image_folder(unpacked: Path, models: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unpacked)
    data = _loaded(unpacked)
    assert data.class_names == [folder_names(LABELS)[label] for label in _classes(unpacked)]
    numbers = np.concatenate([labels.numpy() for _, labels in data])
    assert np.bincount(numbers).tolist() == [EACH] * len(LABELS)
    losses = _losses(models, data)
    assert losses[-1] < losses[0] / 2, losses


@pytest.mark.parametrize("unpacked", ["tfrecord"], indirect=True)
def test_trains_on_tf_records(unpacked: Path, models: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unpacked)
    data = _loaded(unpacked)
    numbers = np.concatenate([labels.numpy() for _, labels in data])
    assert np.bincount(numbers).tolist() == [EACH] * len(LABELS)
    losses = _losses(models, data)
    assert losses[-1] < losses[0] / 2, losses


@pytest.mark.parametrize("unpacked", ["tfrecord"], indirect=True)
def test_records_match_the_manifest_in_order(unpacked: Path) -> None:
    from worker.inference.keras_runtime import tensorflow

    lines = [line for line in manifest(unpacked.parent / "cases.zip") if line["file"]]
    records = list(tensorflow.data.TFRecordDataset(str(unpacked / "cases.tfrecord")).as_numpy_iterator())
    assert len(records) == len(lines) == EACH * len(LABELS)
    classes = _classes(unpacked)
    for record, line in zip(records, lines, strict=True):
        feature = tensorflow.train.Example.FromString(record).features.feature
        content = feature["image/encoded"].bytes_list.value[0]
        assert feature["image/sha256"].bytes_list.value[0].decode() == line["sha256"]
        assert feature["image/class/text"].bytes_list.value[0].decode() == line["label"]
        assert classes[feature["image/class/label"].int64_list.value[0]] == line["label"]
        assert feature["image/format"].bytes_list.value[0] == (b"jpeg" if content[:2] == b"\xff\xd8" else b"png")
        assert (sha256(content).hexdigest() == line["sha256"]) == (line["changed"] == "")
        assert line["file"] == "cases.tfrecord"


def _classes(folder: Path) -> list[str]:
    return (folder / "labels.txt").read_text().splitlines()


def test_image_folders_do_not_import_tensorflow(tmp_path: Path) -> None:
    """It would cost the web server and the worker seconds and hundreds of megabytes."""
    code = (
        "import sys, django; django.setup()\n"
        "import feedback.admin, learning.datasets.export_worker, learning.management.commands.export_cases\n"
        "from learning.datasets import formats, archive\n"
        "from io import BytesIO\n"
        "from pathlib import Path\n"
        "with formats.WRITERS['imagefolder'](archive.Archive(BytesIO()), ['cup'], Path()) as writer:\n"
        "    from learning.datasets.pictures import Picture\n"
        "    writer.add('cup', '0', Picture(b'', 'png', False))\n"
        "heavy = {'tensorflow', 'keras', 'openvino'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
