"""`manage.py model group`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from worker.inference.repository import Repository
from worker.inference.tests.tiny_networks import add_version


@pytest.fixture
def animals(repository: Repository, settings: Any) -> Repository:
    settings.MODELS_DIR = repository.root
    add_version(repository)
    repository.activate("animals@1")
    return repository


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    file = tmp_path / "groups.csv"
    file.write_text("cat,tabby\ncat,n2\nother,*\n")
    return file


def _group(*arguments: object) -> str:
    out = StringIO()
    call_command("model", "group", *map(str, arguments), stdout=out, stderr=out)
    return out.getvalue()


def test_group_leaves_the_active_version_alone(animals: Repository, groups: Path) -> None:
    printed = _group("pets", "--base", "animals", "--labels", groups)
    assert printed.splitlines() == ["5 labels of animals@1 become 2", "  cat: 2", "  other: 3", "installed pets@1"]
    assert animals.active_name() == "animals@1"


def test_group_can_be_activated_at_once(animals: Repository, groups: Path) -> None:
    assert _group("pets", "--base", "animals@1", "--labels", groups, "--activate").endswith("pets@1 is active\n")
    assert animals.active_name() == "pets@1"


def test_group_that_cannot_answer_is_not_activated(animals: Repository, groups: Path, settings: Settings) -> None:
    settings.ENGINE = "tensorflow"
    with pytest.raises(CommandError, match="pets@1 cannot become active, because ENGINE=tensorflow cannot load it"):
        _group("pets", "--base", "animals@1", "--labels", groups, "--activate")
    assert animals.active_name() == "animals@1"


def test_activating_a_group_says_if_the_environment_names_another_version(
    animals: Repository, groups: Path, settings: Settings
) -> None:
    settings.MODEL = "animals@1"
    printed = _group("pets", "--base", "animals@1", "--labels", groups, "--activate")
    assert "MODEL=animals@1 is set in the environment" in printed


def test_mistakes_are_reported_in_one_line(animals: Repository, groups: Path) -> None:
    groups.write_text("cat,tabbi\n")
    with pytest.raises(CommandError, match=r"^groups.csv: line 1: there is no label 'tabbi'; did you mean tabby\?$"):
        _group("pets", "--base", "animals", "--labels", groups)
    with pytest.raises(CommandError, match="'plants' is not installed"):
        _group("pets", "--base", "plants", "--labels", groups)
