from __future__ import annotations

from pathlib import Path

from django.test import Client
from pytest_django import Settings

from worker.inference.repository import Preprocessing, Repository
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.manifest import FILES, WeightsSource


def test_lists_the_active_version(client: Client, models: Repository) -> None:
    response = client.get("/api/models")
    assert response.status_code == 200
    active = [model for model in response.json() if model["active"]]
    assert active == [
        {
            **{"model": str(models.active()), "active": True, "classes": 1000},
            **{"input_size": 224, "input_width": 224, "input_height": 224},
        }
    ]


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


def _build_wide(folder: Path) -> VersionDraft:
    for kind in ("xml", "bin"):
        (folder / FILES[kind]).touch()
    (folder / FILES["labels"]).write_text("1\tcat\n2\tdog\n", encoding="utf-8")
    rule = Preprocessing(8, 4, "L", (0.0,), (255.0,))
    return VersionDraft(WeightsSource("file", "wide.onnx", "a" * 64, None), rule)


def test_says_width_and_height_of_an_input_that_is_not_square(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path
    Repository(tmp_path).add("wide", _build_wide)
    (model,) = client.get("/api/models").json()
    assert (model["input_width"], model["input_height"], model["input_size"]) == (8, 4, 8)
