"""`manage.py model activate` and `model rollback`."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from learning.versions.tests.conftest import Install
from worker.inference.repository import Repository, activations
from worker.inference.tests.fakes import NAME
from worker.inference.tests.tiny_networks import add_version


def _model(*arguments: str) -> str:
    out = StringIO()
    call_command("model", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_rollback_activates_the_version_before(install: Install, repository: Repository) -> None:
    install(b"1"), install(b"2")
    _model("activate", f"{NAME}@1")
    _model("activate", f"{NAME}@2")
    assert _model("rollback") == f"{NAME}@1 is active\n"
    causes = [one.by for one in activations.history(repository.root)]
    assert causes == ["manage.py model activate", "manage.py model activate", "manage.py model rollback"]


def test_says_if_the_environment_names_another_version(install: Install, settings: Settings) -> None:
    install(b"1"), install(b"2")
    settings.MODEL = f"{NAME}@2"
    lines = _model("activate", f"{NAME}@1").splitlines()
    assert lines[0] == f"{NAME}@1 is active"
    assert lines[1].startswith(f"MODEL={NAME}@2 is set in the environment")


def test_refuses_a_version_that_the_engine_cannot_load(
    install: Install, repository: Repository, settings: Settings
) -> None:
    """Running workers would keep the earlier version, and no worker would start again."""
    install(b"1")
    add_version(repository)
    for version in ("animals@1", f"{NAME}@1"):
        _model("activate", version)
    settings.ENGINE = "tensorflow"
    for arguments in (["activate", "animals"], ["rollback"]):
        with pytest.raises(CommandError, match="animals@1 cannot become active, because ENGINE=tensorflow cannot"):
            _model(*arguments)
    assert repository.active_name() == f"{NAME}@1"


def test_warns_of_processors_that_refuse_int8(repository: Repository) -> None:
    add_version(repository, "small-int8", precision="int8")
    assert "without VNNI or AMX refuse small-int8@1" in _model("activate", "small-int8")


@pytest.mark.parametrize("content", [b"\xff", b"../x", b"gone@1", b""])
def test_commands_work_while_the_name_of_the_active_version_is_damaged(
    install: Install, repository: Repository, content: bytes
) -> None:
    install(b"1"), install(b"2")
    for version in ("@1", "@2"):
        _model("activate", f"{NAME}{version}")
    (repository.root / "active").write_bytes(content)
    listed = _model("list")
    assert f"  {NAME}@1 " in listed and f"  {NAME}@2 " in listed and "*" not in listed
    if content:
        problem = "gone@1: active names" if content == b"gone@1" else "the models folder: active does not hold the name"
        assert problem in listed
        with pytest.raises(CommandError, match="Problems found: 1"):
            _model("verify")
    assert _model("rollback") == f"{NAME}@2 is active\n"
    (repository.root / "active").write_bytes(content)
    assert _model("activate", f"{NAME}@1") == f"{NAME}@1 is active\n"
    assert _model("list").count("*") == 1 and _model("verify") == "All files are intact.\n"
