from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from pytest_django import Settings

from learning.templatetags.units import file_size
from worker.inference.repository import Preprocessing, Repository
from worker.inference.tests.fakes import NAME
from worker.inference.tests.small_cnn import SmallCnn


def _model(*arguments: str) -> str:
    out = StringIO()
    call_command("model", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_install_activates_only_the_first_version(weights: Path, repository: Repository) -> None:
    assert _model("install", NAME, "--weights", str(weights)).splitlines() == [
        "weights: weights.fake",
        "building",
        "installed fake-net@1",
        "fake-net@1 is active",
    ]
    weights.write_bytes(b"other numbers")
    assert _model("install", NAME, "--weights", str(weights)).splitlines()[-1] == "installed fake-net@2"
    assert str(repository.active()) == "fake-net@1"
    assert _model("install", NAME, "--weights", str(weights), "--activate").splitlines() == [
        "fake-net@2 is already installed",
        "fake-net@2 is active",
    ]


def test_list_marks_the_active_version(weights: Path, repository: Repository) -> None:
    assert _model("list").startswith("No model is installed.")
    _model("install", NAME, "--weights", str(weights))
    size = file_size(repository.get(f"{NAME}@1").size_on_disk)
    assert _model("list") == f"* fake-net@1  {size:>9}  weights.fake\n"


def test_activate_switches_to_the_newest_version(weights: Path, repository: Repository) -> None:
    _model("install", NAME, "--weights", str(weights))
    weights.write_bytes(b"other numbers")
    _model("install", NAME, "--weights", str(weights))
    assert _model("activate", NAME) == "fake-net@2 is active\n"
    assert str(repository.active()) == "fake-net@2"


def test_import_copies_versions(tmp_path: Path, weights: Path) -> None:
    Repository(tmp_path / "other").install(NAME, weights=weights)
    _model("import", str(tmp_path / "other"))
    assert "fake-net@1" in _model("list")


def test_import_installs_a_network(cnn: SmallCnn, labels_file: Path, repository: Repository) -> None:
    options = ["--labels", str(labels_file), "--preset", "keras-tf"]
    assert _model("import", "own", str(cnn.onnx), *options, "--dry-run").endswith("nothing was installed (--dry-run)\n")
    assert repository.versions() == []
    assert _model("import", "own", str(cnn.onnx), *options).endswith("installed own@1\nown@1 is active\n")
    chosen = ["--size", "32x32", "--mean", "1,2,3", "--std", "4,5,6", "--channels", "BGR", "--resize", "pad"]
    chosen += ["--crop", "0.5", "--interpolation", "box", "--layout", "NCHW", "--input", "pixels"]
    chosen += ["--output", "probabilities", "--output-kind", "probabilities"]
    output = _model("import", "own", str(cnn.onnx), "--labels", str(labels_file), *chosen)
    assert output.endswith("installed own@2\nto use it: manage.py model activate own@2\n")
    rule = repository.get("own@2").manifest.preprocessing
    assert rule == Preprocessing(32, 32, "BGR", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "pad", 0.5, "box")


def test_import_activates_no_version_that_the_engine_cannot_load(
    cnn: SmallCnn, labels_file: Path, repository: Repository, tmp_path: Path, settings: Settings
) -> None:
    settings.ENGINE = "tensorflow"
    options = ["--labels", str(labels_file), "--preset", "keras-tf"]
    refusal = "own@1 cannot become active, because ENGINE=tensorflow cannot load it; engines that can: openvino"
    assert _model("import", "own", str(cnn.onnx), *options).endswith(f"installed own@1\n{refusal}\n")
    other = Repository(tmp_path / "other")
    other.import_versions(repository.root)
    other.activate("own@1")
    with pytest.raises(CommandError, match="own@1 cannot become active"):
        _model("import", str(other.root))
    assert repository.active_name() == ""


def test_verify_says_that_nothing_is_installed(repository: Repository) -> None:
    assert _model("verify").startswith("No model is installed.")


def test_verify_names_damaged_files(weights: Path, repository: Repository) -> None:
    _model("install", NAME, "--weights", str(weights))
    assert _model("verify") == "All files are intact.\n"
    repository.get(NAME).file("bin").unlink()
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("model", "verify", NAME, stdout=out, stderr=out)
    assert caught.value.returncode == 1
    assert "fake-net@1: model.bin is missing" in out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["install", "resnet5"], "did you mean resnet50"),
        (["install", NAME, "--weights", "none.fake"], "cannot read the weights none.fake"),
        (["activate", "nothing"], "'nothing' is not installed"),
        (["verify", "nothing"], "'nothing' is not installed"),
        (["import", "own", "none.onnx"], "cannot read none.onnx: No such file or directory"),
        (["import", "own", __file__], "is not a network: the name must end in"),
        (["import", "/nonexistent"], "cannot read the models folder /nonexistent: No such file or directory"),
        (["import", __file__], "is damaged, or `model export` did not write it"),
        (["export", "nothing", "file.zip"], "'nothing' is not installed"),
        (["show", "nothing"], "'nothing' is not installed"),
        (["remove", "nothing"], "Say which version of nothing to remove"),
        (["remove", "nothing@1"], "'nothing@1' is not installed"),
        (["rollback"], "there is no earlier version to go back to"),
        (["import", str(Path(__file__).parent)], "holds no model version"),
    ],
)
def test_failure_is_reported_in_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        _model(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", ["224x", "0", "axb", "-1", "1.5"])
def test_import_rejects_odd_sizes(size: str) -> None:
    with pytest.raises(CommandError, match="is not a size such as 224 or 320x240|expected one argument"):
        _model("import", "own", "own.onnx", "--size", size)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        (("install", NAME), "install"),
        (("export", NAME, "fake-net.zip"), "export"),
        (("import", "models"), "import_versions"),
        (("remove", "fake-net@1"), "remove"),
    ],
)
def test_interruption_is_reported(
    arguments: tuple[str, ...], method: str, weights: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    for _ in range(2):
        repository.install(NAME, weights=weights)
        weights.write_bytes(b"other numbers")
    monkeypatch.setattr(Repository, method, interrupted)
    with pytest.raises(CommandError, match="^Interrupted: nothing was installed beyond what is reported") as caught:
        _model(*arguments)
    assert caught.value.returncode == 130


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("disk I/O error", "The database cannot be used: disk I/O error; the disk may be full"),  # SQLite's words
        ("no such table", "The database cannot be used: no such table"),
    ],
)
def test_reports_a_database_error(reason: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_repository: Repository) -> None:
        raise OperationalError(reason)

    monkeypatch.setattr(Repository, "versions", broken)
    with pytest.raises(CommandError) as error:
        _model("list")
    assert str(error.value) == message
