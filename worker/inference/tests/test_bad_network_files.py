"""Files that are damaged, hostile, or no networks at all are refused with a sentence, and crash nothing."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import onnx
import pytest

from worker.inference.importing import ImportOptions, examine_network, networks
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.keras_files import check_keras_file
from worker.inference.importing.networks import format_of, read_network
from worker.inference.tests.pictures import photo
from worker.inference.tests.small_cnn import LABELS, SmallCnn


def _refused(path: Path, tmp_path: Path, *, trust: bool = False) -> str:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS))
    with pytest.raises(ImportRefused) as caught:
        examine_network(path, ImportOptions(labels=str(labels), preset="keras-tf", trust=trust))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("part", [0, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["keras", "h5", "onnx", "tflite", "xml"])
def test_refuses_a_truncated_file(kind: str, part: float, cnn: SmallCnn, tmp_path: Path) -> None:
    source: Path = getattr(cnn, kind)
    data = source.read_bytes()
    path = tmp_path / source.name
    path.write_bytes(data[: int(part * len(data))])
    if kind == "xml":
        shutil.copy(source.with_suffix(".bin"), path.with_suffix(".bin"))
    message = _refused(path, tmp_path)
    assert source.name in message
    assert any(word in message for word in ("cannot be read", "is damaged", "not a complete Keras file"))


@pytest.mark.parametrize("kind", ["keras", "h5", "onnx", "tflite", "xml"])
def test_refuses_a_photo_with_the_name_of_a_network(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"own.{kind}"
    path.write_bytes(photo("coffee"))
    path.with_suffix(".bin").touch()
    assert path.name in _refused(path, tmp_path)


@pytest.mark.parametrize("part", [0, 0.5])
@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-*"])
def test_refuses_a_truncated_saved_model(name: str, part: float, cnn: SmallCnn, tmp_path: Path) -> None:
    folder = shutil.copytree(cnn.saved_model, tmp_path / "saved")
    file = next(folder.glob(name))
    file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
    assert "saved cannot be read" in _refused(folder, tmp_path)


def test_refuses_an_openvino_network_without_its_weights(cnn: SmallCnn, tmp_path: Path) -> None:
    path = Path(shutil.copy(cnn.xml, tmp_path))
    with pytest.raises(ImportRefused, match=r"small.xml needs its weights beside it, in small.bin"):
        format_of(path)
    path.with_suffix(".bin").write_bytes(cnn.xml.with_suffix(".bin").read_bytes()[:500])
    assert "Incorrect weights in bin file" in _refused(path, tmp_path)


def _with_external_weights(cnn: SmallCnn, path: Path) -> onnx.ModelProto:
    onnx.save(onnx.load(cnn.onnx), path, save_as_external_data=True, location="own.data", size_threshold=0)
    return onnx.load(path, load_external_data=False)


def test_names_the_missing_external_weights_of_an_onnx_file(cnn: SmallCnn, tmp_path: Path) -> None:
    _with_external_weights(cnn, tmp_path / "own.onnx")
    (tmp_path / "own.data").unlink()
    assert _refused(tmp_path / "own.onnx", tmp_path).endswith("must be beside it and complete: own.data")


@pytest.mark.parametrize("key", ["offset", "length"])
def test_names_external_weights_that_are_too_short(key: str, cnn: SmallCnn, tmp_path: Path) -> None:
    model = _with_external_weights(cnn, tmp_path / "own.onnx")
    for entry in model.graph.initializer[0].external_data:
        if entry.key == key:
            entry.value = "999999999"
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    assert _refused(tmp_path / "own.onnx", tmp_path).endswith("must be beside it and complete: own.data")


def test_names_operations_that_openvino_does_not_know(cnn: SmallCnn, tmp_path: Path) -> None:
    model = onnx.load(cnn.onnx)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Swirl", "own"
    model.opset_import.add(domain="own", version=1)
    onnx.save(model, tmp_path / "own.onnx")
    message = _refused(tmp_path / "own.onnx", tmp_path)
    assert message == "own.onnx cannot be read: No conversion rule found for operations: own.Swirl"


def test_reads_no_onnx_weights_outside_the_folder(cnn: SmallCnn, tmp_path: Path) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    model = _with_external_weights(cnn, folder / "own.onnx")
    (folder / "own.data").rename(tmp_path / "own.data")
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../own.data"
    (folder / "own.onnx").write_bytes(model.SerializeToString())
    assert "outside" in _refused(folder / "own.onnx", tmp_path)


@pytest.mark.parametrize("name", ["own.onnx", "own.keras", "own.xml"])
def test_refuses_a_huge_file_before_reading_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for file in (path, path.with_suffix(".bin")):
        with file.open("wb") as sparse:
            sparse.truncate(networks.MAX_BYTES // 2 + 1 if name == "own.xml" else networks.MAX_BYTES + 1)
    with pytest.raises(ImportRefused, match=r"has 4.3 GB; networks of up to 4.3 GB are read"):
        format_of(path)


def test_refuses_a_saved_model_with_links_or_too_much_in_it(
    cnn: SmallCnn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(cnn.saved_model, tmp_path / "saved")
    with (folder / "big").open("wb") as sparse:
        sparse.truncate(networks.MAX_BYTES)
    with pytest.raises(ImportRefused, match="GB are read"):
        format_of(folder)
    (folder / "big").unlink()
    (folder / "assets" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ImportRefused, match="has a link or a special file in it: assets/passwd"):
        format_of(folder)
    (folder / "assets" / "passwd").unlink()
    monkeypatch.setattr(networks, "MAX_FILES", 3)
    with pytest.raises(ImportRefused, match="more than 3 files"):
        format_of(folder)


def test_refuses_what_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "own.txt").touch()
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, message in (
        ("own.txt", "the name must end in"),
        ("missing.onnx", "No such file"),
        ("pipe.onnx", "is not a file"),
        ("", "lacks saved_model.pb"),
    ):
        with pytest.raises(ImportRefused, match=message):
            format_of(tmp_path / name)


# --- Keras files ----------------------------------------------------------------------------------


def _rewritten(cnn: SmallCnn, path: Path, **members: bytes) -> Path:
    """A copy of the `.keras` file with other or more members; the names have `/` for `__`."""
    with zipfile.ZipFile(cnn.keras) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        contents = {name: source.read(name) for name in source.namelist()}
        for name, data in (contents | {name.replace("__", "/"): data for name, data in members.items()}).items():
            target.writestr(name, data)
    return path


def _check(path: Path, *, trust: bool = False) -> None:
    check_keras_file(path, trust=trust)


def test_refuses_a_zip_bomb(cnn: SmallCnn, tmp_path: Path) -> None:
    path = _rewritten(cnn, tmp_path / "bomb.keras", **{"assets__zeros": bytes(50 * 2**20)})
    assert path.stat().st_size < 2**20
    with pytest.raises(ImportRefused, match=r"assets/zeros grows from .* which no real network does"):
        _check(path)


def test_refuses_an_archive_that_unpacks_to_more_than_the_limit(
    cnn: SmallCnn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.inference.importing.keras_files.MAX_UNPACKED_BYTES", 10_000)
    with pytest.raises(ImportRefused, match="GB when it is unpacked"):
        _check(cnn.keras)


@pytest.mark.parametrize("name", ["../evil", "/evil", "assets/../../evil", "..\\evil", "C:evil"])
def test_refuses_an_archive_whose_paths_lead_out_of_it(name: str, cnn: SmallCnn, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="leads out of its folder"):
        _check(_rewritten(cnn, tmp_path / "evil.keras", **{name: b"evil"}))


def test_refuses_an_archive_with_a_symbolic_link(cnn: SmallCnn, tmp_path: Path) -> None:
    path = _rewritten(cnn, tmp_path / "link.keras")
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ImportRefused, match="leads out of its folder"):
        _check(path)


def test_refuses_hdf5_that_claims_more_data_than_the_file_has(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_dataset("weights", (2**28,), "float64", chunks=(2**20,))  # 2 GiB of which nothing is stored
    assert path.stat().st_size < 100_000
    with pytest.raises(ImportRefused, match=r"says that it holds 2,147,483,648 bytes"):
        _check(path)


@pytest.mark.parametrize("kind", ["soft", "external", "raw"])
def test_refuses_hdf5_with_data_elsewhere(kind: str, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "links.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        if kind == "raw":
            file.create_dataset("weights", (8,), "uint8", external=[("/etc/passwd", 0, 8)])
        else:
            file["weights"] = h5py.SoftLink("/x") if kind == "soft" else h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(ImportRefused, match="other data|other files"):
        _check(path)


def _config(cnn: SmallCnn, **layer: object) -> bytes:
    """The configuration of the network, with one layer more."""
    with zipfile.ZipFile(cnn.keras) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"].append(layer)
    return json.dumps(config).encode()


@pytest.mark.parametrize("config", [b"[]", b"{}", b"null", b'{"class_name": "Sequential", "config": [1]}'])
def test_refuses_a_configuration_that_is_no_network(config: bytes, cnn: SmallCnn, tmp_path: Path) -> None:
    path = _rewritten(cnn, tmp_path / "own.keras", **{"config.json": config})
    with pytest.raises(ImportRefused, match=r"own.keras is damaged: its configuration does not describe a network"):
        _check(path)


def test_refuses_layers_that_are_larger_than_the_memory(cnn: SmallCnn, tmp_path: Path) -> None:
    with zipfile.ZipFile(cnn.keras) as archive:
        config = json.loads(archive.read("config.json"))
    dense = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")
    dense["config"]["units"] = 10**12
    path = _rewritten(cnn, tmp_path / "own.keras", **{"config.json": json.dumps(config).encode()})
    assert _refused(path, tmp_path).endswith("needs more memory than this machine has")


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ({"class_name": "Swirl", "module": "own.layers", "registered_name": "Own>Swirl", "config": {}}, "Own>Swirl"),
        ({"class_name": "Swirl", "module": None, "registered_name": "Swirl2", "config": {}}, "Swirl2"),
        ({"class_name": "system", "module": "os", "registered_name": None, "config": "ls"}, "system"),
        ({"class_name": "get_file", "module": "keras.utils", "registered_name": None, "config": {}}, "get_file"),
        ({"class_name": "eval", "module": "builtins", "registered_name": None, "config": {}}, "eval"),
    ],
)
def test_names_layers_whose_code_is_not_in_the_file(
    layer: dict[str, object], name: str, cnn: SmallCnn, tmp_path: Path
) -> None:
    path = _rewritten(cnn, tmp_path / "own.keras", **{"config.json": _config(cnn, **layer)})
    with pytest.raises(ImportRefused, match=f"layers of its own, whose code is not in the file: {name}"):
        _check(path, trust=True)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_layers_need_trust(suffix: str, tmp_path: Path) -> None:
    from worker.inference.keras_runtime import keras

    pixels = keras.layers.Input((8, 8, 3))
    means = keras.layers.GlobalAveragePooling2D()(pixels)
    network = keras.Model(pixels, keras.layers.Softmax()(keras.layers.Lambda(lambda x: x * 3.0, name="triple")(means)))
    path = tmp_path / f"own{suffix}"
    network.save(path)
    with pytest.raises(ImportRefused, match="Lambda layers, which are Python code .*: triple; pass --trust"):
        _check(path)
    work = tmp_path / "work"
    work.mkdir()
    read = read_network(path, work, trust=True)
    assert read.model.output().partial_shape[1].get_length() == 3
    assert read.keras is None


def test_custom_layers_of_h5_files_are_named(cnn: SmallCnn, tmp_path: Path) -> None:
    import h5py

    path = Path(shutil.copy(cnn.h5, tmp_path))
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["class_name"] = "Swirl"
        file.attrs["model_config"] = json.dumps(config)
    assert "Swirl" in _refused(path, tmp_path)


def test_refuses_a_file_of_weights_only(cnn: SmallCnn, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = [1.0, 2.0]
    with pytest.raises(ImportRefused, match="holds no network, only weights"):
        _check(path)


def test_layers_of_keras_applications_are_accepted(tmp_path: Path) -> None:
    """ConvNeXt is in the catalogue, so its exported versions have to be importable."""
    from worker.inference.keras_runtime import keras

    pixels = keras.layers.Input((4, 4, 3))
    path = tmp_path / "scaled.keras"
    keras.Model(pixels, keras.src.applications.convnext.LayerScale(1e-6, 3)(pixels)).save(path)
    _check(path)
