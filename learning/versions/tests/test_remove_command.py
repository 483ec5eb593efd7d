"""`manage.py model remove`."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from learning.versions.tests.conftest import Install
from review.models import LabelSet
from review.tests.cases import open_case, own_prediction
from worker.inference.repository import Repository
from worker.inference.tests.fakes import NAME

pytestmark = pytest.mark.django_db


def _remove(*arguments: str) -> str:
    out = StringIO()
    call_command("model", "remove", *arguments, stdout=out)
    return out.getvalue()


def test_removes_a_version_that_nothing_names(install: Install, repository: Repository) -> None:
    install(b"1")
    assert _remove(f"{NAME}@1") == f"removed {NAME}@1\n"
    assert repository.versions() == []
    assert str(install(b"2")) == f"{NAME}@2"


def test_keeps_a_version_that_predictions_and_cases_name(install: Install, repository: Repository) -> None:
    version = install(b"1")
    open_case(model_version=str(version))
    own_prediction(model_version=str(version))
    with pytest.raises(CommandError, match=r"has answered 2 predictions, and 1 case names it. --force removes it"):
        _remove(str(version))
    assert repository.versions() == [version]
    _remove(str(version), "--force")
    assert repository.versions() == []


def test_labels_of_a_removed_version_that_cases_name_stay_known(install: Install) -> None:
    version = install(b"1")
    open_case(model_version=str(version))
    _remove(str(version), "--force")
    assert [label_set.versions for label_set in LabelSet.objects.all()] == [[str(version)]]


def test_keeps_the_active_version(install: Install, repository: Repository) -> None:
    version = install(b"1")
    open_case(model_version=str(version))
    repository.activate(str(version))
    for options in ([], ["--force"]):
        with pytest.raises(CommandError, match="is active; activate another version first"):
            _remove(str(version), *options)
    assert repository.versions() == [version]


@pytest.mark.parametrize("setting", [NAME, f"{NAME}@2"])
def test_keeps_the_version_that_the_environment_names(
    install: Install, repository: Repository, settings: Settings, setting: str
) -> None:
    first, second = install(b"1"), install(b"2")
    repository.activate(str(first))
    settings.MODEL = setting
    with pytest.raises(CommandError, match=f"{second} answers, because MODEL={setting} is set"):
        _remove(str(second), "--force")
    assert repository.versions() == [first, second]


def test_pages_show_the_answers_of_a_removed_version(
    install: Install, repository: Repository, lead: Client, client: Client
) -> None:
    first, second = install(b"1"), install(b"2")
    repository.activate(str(second))
    case = open_case(model_version=str(first))
    prediction = case.image.predictions.get()
    _remove(str(first), "--force")
    assert "espresso" in client.get(prediction.get_absolute_url()).text
    page = lead.get(f"/admin/predictions/prediction/{prediction.pk}/change/")
    assert page.status_code == 200 and str(first) in page.text
    assert lead.get(case.get_absolute_url()).status_code == 200
