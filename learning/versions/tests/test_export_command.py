"""`manage.py model export` and `model import` of the exported file."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from learning.templatetags.units import file_size
from learning.versions.tests.conftest import Install
from worker.inference.repository import Repository
from worker.inference.tests.fakes import NAME
from worker.inference.tests.tiny_networks import ANIMALS, add_version, small_cnn


def _model(*arguments: str) -> str:
    out = StringIO()
    call_command("model", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def file(repository: Repository, tmp_path: Path) -> Path:
    """An exported version, `animals@1`, which is not installed any more."""
    add_version(repository)
    file = tmp_path / "animals.zip"
    repository.export("animals", file)
    repository.remove("animals@1")
    return file


def test_version_is_carried_to_another_site(settings: Settings, tmp_path: Path, repository: Repository) -> None:
    add_version(repository)
    file = tmp_path / "animals.zip"
    assert _model("export", "animals", str(file)) == f"exported animals@1 to {file}, {file_size(file.stat().st_size)}\n"
    settings.MODELS_DIR = tmp_path / "elsewhere"
    assert _model("import", str(file)).splitlines() == ["installed animals@1", "animals@1 is active"]
    assert _model("import", str(file)).splitlines() == ["animals@1 is already installed"]
    assert _model("verify") == "All files are intact.\n"


def test_imported_version_does_not_replace_the_active_one(install: Install, file: Path, repository: Repository) -> None:
    repository.activate(str(install(b"1")))
    assert _model("import", str(file)) == "installed animals@2\nto use it: manage.py model activate animals@2\n"
    assert repository.active_name() == f"{NAME}@1"


def test_imported_version_can_be_activated_at_once(install: Install, file: Path, repository: Repository) -> None:
    repository.activate(str(install(b"1")))
    assert _model("import", str(file), "--activate").endswith("animals@2 is active\n")
    assert repository.active_name() == "animals@2"


def test_dry_run_checks_the_file_and_installs_nothing(file: Path, repository: Repository) -> None:
    assert _model("import", str(file), "--dry-run").splitlines() == [
        f"{file} holds a version of animals",
        "nothing was installed (--dry-run)",
    ]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CommandError, match=r"animals.zip is damaged"):
        _model("import", str(file), "--dry-run")
    assert repository.versions() == [] and repository.active_name() == ""


@pytest.mark.parametrize(
    "options",
    [
        *(["--labels", "labels.txt"], ["--check", "photos"], ["--references", "photos"], ["--trust"]),
        ["--preset", "unit"],
        *(["--preprocessing", "config.json"], ["--size", "8"], ["--resize", "pad"], ["--crop", "0.5"]),
        *(["--interpolation", "box"], ["--mean", "0"], ["--std", "1"], ["--channels", "RGB"], ["--layout", "NHWC"]),
        *(["--input", "image"], ["--output", "answer"], ["--output-kind", "logits"]),
    ],
)
def test_options_of_networks_are_refused(file: Path, repository: Repository, options: list[str]) -> None:
    for path, kind in ((file, "an exported file"), (file.parent, "a models folder")):
        with pytest.raises(CommandError, match=f"^{options[0]} cannot be used with {kind}"):
            _model("import", str(path), *options)
    assert repository.versions() == []


@pytest.mark.parametrize("option", ["--dry-run", "--activate"])
def test_options_that_a_models_folder_cannot_have_are_refused(
    tmp_path: Path, repository: Repository, option: str
) -> None:
    add_version(Repository(tmp_path / "other"))
    with pytest.raises(CommandError, match=f"^{option} cannot be used with a models folder"):
        _model("import", str(tmp_path / "other"), option)
    assert repository.versions() == []


@pytest.mark.parametrize("path", ["own.onnx", "own.KERAS", "saved"])
def test_network_without_a_name_is_refused(tmp_path: Path, repository: Repository, path: str) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CommandError, match=f"{path} is a network, and NAME is missing"):
        _model("import", str(tmp_path / path), "--labels", "labels.txt")


def test_version_whose_network_does_not_fit_its_manifest_is_refused(
    settings: Settings, tmp_path: Path, repository: Repository
) -> None:
    add_version(repository, "animals", ANIMALS[:3], network=small_cnn(5))
    repository.export("animals", tmp_path / "animals.zip")
    settings.MODELS_DIR = tmp_path / "elsewhere"
    with pytest.raises(CommandError, match=r"returns f32 \(\?, 5\), and its manifest says f32 \(\?, 3\)"):
        _model("import", str(tmp_path / "animals.zip"))
    assert [path.name for path in settings.MODELS_DIR.iterdir()] == [".lock"]


def test_damaged_file_leaves_nothing(file: Path, settings: Settings, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    settings.MODELS_DIR = tmp_path / "elsewhere"
    with pytest.raises(CommandError, match=r"animals.zip is damaged"):
        _model("import", str(file))
    assert [path.name for path in settings.MODELS_DIR.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("missing/x.zip", "Cannot write .*: No such file or directory"), (".", "not a regular file")],
)
def test_target_that_cannot_be_written_is_reported(install: Install, tmp_path: Path, target: str, message: str) -> None:
    install(b"1")
    with pytest.raises(CommandError, match=message):
        _model("export", NAME, str(tmp_path / target))
