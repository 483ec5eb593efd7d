import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mlsite import accounts, embedded_valkey, preparation
from worker.inference.repository import Repository, RepositoryError


@pytest.mark.django_db
def test_the_first_account_is_a_lead(client: Client) -> None:
    login = accounts.create_first_lead()
    assert login is not None
    assert client.login(username=login[0], password=login[1])
    assert client.get("/admin/feedback/feedback/").status_code == 200
    assert client.get("/admin/auth/user/").status_code == 200
    assert client.get("/admin/auth/group/").status_code == 403
    assert accounts.create_first_lead() is None  # once
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_name_that_is_taken_stays_somebody_elses() -> None:
    User.objects.create_user("lead", password="mine")
    assert (accounts.create_first_lead() or ("",))[0] == "lead-2"
    assert User.objects.get(username="lead").check_password("mine")


def test_static_files_are_collected_when_something_changed(settings) -> None:
    collected, stylesheet = settings.STATIC_ROOT / ".collected", settings.BASE_DIR / "static" / "css" / "site.css"
    collected.unlink(missing_ok=True)
    reports: list[str] = []
    preparation.prepare_static_files(reports.append)
    preparation.prepare_static_files(reports.append)
    assert len(reports) == 1
    os.utime(collected, (0, stylesheet.stat().st_mtime - 1))
    preparation.prepare_static_files(reports.append)
    assert len(reports) == 2
    collected.write_text("another.Storage")  # as after a start with DEBUG
    preparation.prepare_static_files(reports.append)
    assert len(reports) == 3
    assert (settings.STATIC_ROOT / "css" / "site.css").exists()


def test_an_installed_model_is_not_installed_again(models: Repository) -> None:
    reports: list[str] = []
    assert str(preparation.prepare_model(reports.append)) == "efficientnet-lite0@1"
    assert reports == []


def test_a_model_that_cannot_be_installed_says_why(models: Repository, settings) -> None:
    settings.MODEL = "efficientnet-lite9"
    with pytest.raises(RepositoryError, match="efficientnet-lite0"):
        preparation.prepare_model(lambda _line: None)


def test_a_long_path_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    short, long = tmp_path, tmp_path / ("deep" * 40)
    assert embedded_valkey.socket_path(short) == short / "valkey" / "valkey.sock"
    assert len(bytes(embedded_valkey.socket_path(long))) <= embedded_valkey.LONGEST_SOCKET_PATH
    assert embedded_valkey.socket_path(long) != embedded_valkey.socket_path(long.parent)
