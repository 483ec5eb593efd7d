from __future__ import annotations

from pathlib import Path

from django.test import Client
from pytest_django import Settings

from worker.inference.repository import Repository


def test_lists_the_active_version(client: Client, models: Repository) -> None:
    response = client.get("/api/models")
    assert response.status_code == 200
    active = [model for model in response.json() if model["active"]]
    assert active == [{"model": str(models.active()), "active": True, "classes": 1000, "input_size": 224}]


def test_lists_nothing_without_an_installed_model(client: Client, settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    response = client.get("/api/models")
    assert (response.status_code, response.json()) == (200, [])


def test_lists_a_version_that_is_not_active(
    client: Client, models: Repository, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path
    (tmp_path / "efficientnet-lite0").symlink_to(models.root / "efficientnet-lite0")
    assert [model["active"] for model in client.get("/api/models").json()] == [False]
