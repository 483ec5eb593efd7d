"""The steps before the processes start."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from mlsite import accounts, embedded_valkey, preparation
from worker.inference.repository import Repository, RepositoryError


def test_creates_the_data_folder(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "new" / "data"
    preparation.prepare_data_folder()
    assert settings.DATA_DIR.is_dir()


def test_rejects_a_data_folder_that_cannot_be_created(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.DATA_DIR = tmp_path / "file" / "data"
    with pytest.raises(ImproperlyConfigured, match="^DATA_DIR: cannot create the folder .*: Not a directory"):
        preparation.prepare_data_folder()


def test_generates_a_secret_key_unless_one_is_given(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_PATH = "given", tmp_path / "secret-key"
    monkeypatch.setenv("SECRET_KEY", "given")
    preparation.prepare_secret_key()
    assert settings.SECRET_KEY == "given" and not settings.SECRET_KEY_PATH.exists()
    monkeypatch.delenv("SECRET_KEY")
    preparation.prepare_secret_key()
    assert settings.SECRET_KEY == settings.SECRET_KEY_PATH.read_text().strip() != "given"


def test_keeps_the_first_secret_key_as_identity_key(settings: Settings, tmp_path: Path) -> None:
    settings.SECRET_KEY, settings.IDENTITY_KEY_PATH = "first", tmp_path / "identity-key"
    preparation.prepare_identity_key()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "second", ["first"]
    preparation.prepare_identity_key()
    assert settings.IDENTITY_KEY == settings.IDENTITY_KEY_PATH.read_text().strip() == "first"
    assert settings.IDENTITY_KEY_PATH.stat().st_mode & 0o777 == 0o600


def test_identity_key_is_the_oldest_secret_key_of_a_site_that_changed_it(settings: Settings, tmp_path: Path) -> None:
    settings.SECRET_KEY, settings.IDENTITY_KEY_PATH = "third", tmp_path / "identity-key"
    settings.SECRET_KEY_FALLBACKS = ["second", "first"]
    preparation.prepare_identity_key()
    assert settings.IDENTITY_KEY == "first"


def test_keeps_no_identity_key_if_one_is_given(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IDENTITY_KEY, settings.IDENTITY_KEY_PATH = "given", tmp_path / "identity-key"
    monkeypatch.setenv("IDENTITY_KEY", "given")
    preparation.prepare_identity_key()
    assert settings.IDENTITY_KEY == "given" and not settings.IDENTITY_KEY_PATH.exists()


@pytest.mark.django_db
def test_first_account_is_a_lead(client: Client) -> None:
    login = accounts.create_first_lead()
    assert login is not None
    response = client.post("/admin/login/", {"username": login[0], "password": login[1]})
    assert response.status_code == 302
    assert client.get("/admin/feedback/feedback/").status_code == 200
    assert client.get("/admin/auth/user/").status_code == 200
    assert client.get("/admin/auth/group/").status_code == 403
    assert accounts.create_first_lead() is None  # once
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_first_lead_gets_another_name_if_lead_is_taken() -> None:
    User.objects.create_user("lead", password="mine")
    assert (accounts.create_first_lead() or ("",))[0] == "lead-2"
    assert User.objects.get(username="lead").check_password("mine")


def test_collects_static_files_after_a_change(settings: Settings, tmp_path: Path) -> None:
    collected, stylesheet = settings.STATIC_ROOT / ".collected", tmp_path / "static" / "css" / "site.css"
    collected.unlink(missing_ok=True)
    shutil.copytree(settings.BASE_DIR / "static", tmp_path / "static")
    settings.BASE_DIR = tmp_path
    reports: list[str] = []
    preparation.prepare_static_files(reports.append)
    preparation.prepare_static_files(reports.append)
    assert len(reports) == 1
    stylesheet.write_text("body { color: red }")
    os.utime(stylesheet, (0, 0))  # as in a release from an archive, which may be older than the collected files
    preparation.prepare_static_files(reports.append)
    assert len(reports) == 2
    collected.write_text(settings.STORAGES["staticfiles"]["BACKEND"])  # as an earlier release wrote it
    preparation.prepare_static_files(reports.append)
    assert len(reports) == 3
    assert (settings.STATIC_ROOT / "css" / "site.css").exists()


def test_keeps_an_installed_model(models: Repository) -> None:
    reports: list[str] = []
    assert str(preparation.prepare_model(reports.append)) == "efficientnet-lite0@1"
    assert reports == []


def test_says_why_a_model_cannot_be_installed(models: Repository, settings: Settings) -> None:
    settings.MODEL = "efficientnet-lite9"
    with pytest.raises(RepositoryError, match="efficientnet-lite0"):
        preparation.prepare_model(lambda _line: None)


def test_socket_moves_if_its_path_is_too_long(tmp_path: Path) -> None:
    short, long = tmp_path, tmp_path / ("deep" * 40)
    assert embedded_valkey.socket_path(short) == short / "valkey" / "valkey.sock"
    assert len(bytes(embedded_valkey.socket_path(long))) <= embedded_valkey.LONGEST_SOCKET_PATH
    assert embedded_valkey.socket_path(long) != embedded_valkey.socket_path(long.parent)


@pytest.fixture
def long_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose path is too long for a socket, and an empty temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / ("d" * 100)


def test_folder_of_the_socket_is_private(long_data_dir: Path) -> None:
    embedded_valkey.command(long_data_dir)
    folder = embedded_valkey.socket_path(long_data_dir).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("made_by", ["open folder", "link", "file", "another user"])
def test_rejects_a_socket_folder_that_others_can_open(
    long_data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by: str
) -> None:
    folder = embedded_valkey.socket_path(long_data_dir).parent
    if made_by == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif made_by == "file":
        folder.touch(mode=0o600)
    else:
        folder.mkdir(mode=0o700)
    if made_by == "open folder":
        folder.chmod(0o755)
    if made_by == "another user":
        monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(ImproperlyConfigured, match="only this user can open"):
        embedded_valkey.socket_path(long_data_dir)
