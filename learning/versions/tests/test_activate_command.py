"""`manage.py model activate` and `model rollback`."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command
from pytest_django import Settings

from learning.versions.tests.conftest import Install
from worker.inference.repository import Repository, activations
from worker.inference.tests.fakes import NAME


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
