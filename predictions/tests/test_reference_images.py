"""`/api/models/<version>/labels/<position>/<number>.jpg`, and its addresses in `/api/labels`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from predictions.tests.fakes import stored_prediction
from worker.inference.repository import Repository
from worker.inference.tests.reference_zips import BLUE, GREEN, OF_ANIMALS, RED
from worker.inference.tests.tiny_networks import add_version

pytestmark = pytest.mark.django_db
LABELS = "/api/models/animals@1/labels"


@pytest.fixture
def repository(settings: Settings, tmp_path: Path) -> Repository:
    """Has `animals@1`, which is active and has images of two labels, and `animals@2`, which has none."""
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    repository.activate(str(add_version(repository, references=OF_ANIMALS)))
    add_version(repository)
    return repository


def _images(client: Client, **query: Any) -> dict[str, list[str]]:
    answer = client.get("/api/labels", query).json()
    return {choice["label"]: choice["reference_images"] for choice in answer["labels"]}


@pytest.mark.usefixtures("repository")
def test_serves_images_to_anyone_for_good(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        for address, content in (("0/1", RED), ("0/2", BLUE), ("4/1", GREEN)):
            response = client.get(f"{LABELS}/{address}.jpg")
            assert (response.status_code, response.content) == (200, content)
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in response and "Vary" not in response
    head = client.head(f"{LABELS}/0/1.jpg")
    assert (head.status_code, head["Content-Length"]) == (200, str(len(RED)))


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    "path",
    [
        "animals@1/labels/0/0.jpg",
        "animals@1/labels/0/3.jpg",
        "animals@1/labels/1/1.jpg",
        "animals@1/labels/5/1.jpg",
        "animals@1/labels/-1/1.jpg",
        "animals@1/labels/00/1.jpg",
        f"animals@1/labels/{'9' * 5000}/1.jpg",
        "animals@1/labels/0/1.png",
        "animals@1/labels/0/1",
        "animals@2/labels/0/1.jpg",
        "animals@3/labels/0/1.jpg",
        "animals/labels/0/1.jpg",
        "Animals@1/labels/0/1.jpg",
        "other@1/labels/0/1.jpg",
        f"{'a' * 300}@1/labels/0/1.jpg",
        "..@1/labels/0/1.jpg",
        "%2e%2e/animals@1/labels/0/1.jpg",
        "animals@1%00/labels/0/1.jpg",
    ],
)
def test_answers_404_for_anything_else(client: Client, path: str) -> None:
    response = client.get(f"/api/models/{path}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json" and response.json()["code"] == "not-found"
    assert "immutable" not in response.get("Cache-Control", "")


@pytest.mark.usefixtures("repository")
def test_allows_only_get(client: Client) -> None:
    assert client.post(f"{LABELS}/0/1.jpg").status_code == 405


def test_damaged_image_is_missing(client: Client, repository: Repository, caplog: pytest.LogCaptureFixture) -> None:
    content = bytearray(OF_ANIMALS)
    content[60] ^= 1
    repository.find("animals@1").file("references").write_bytes(content)
    assert client.get(f"{LABELS}/0/1.jpg").status_code == 404
    assert "animals@1 cannot be read: image 1 of label 0 is damaged" in caplog.text
    assert client.get(f"{LABELS}/4/1.jpg").content == GREEN


@pytest.mark.parametrize("content", [b"no zip", bytes(len(OF_ANIMALS))])
def test_labels_work_without_a_damaged_file(
    client: Client, repository: Repository, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    repository.find("animals@1").file("references").write_bytes(content)
    assert _images(client, q="tabby") == {"tabby": []}
    assert client.get(f"{LABELS}/0/1.jpg").status_code == 404
    assert "The reference images of animals@1 cannot be read." in caplog.text


def test_removed_version_has_no_images(client: Client, repository: Repository) -> None:
    assert client.get(f"{LABELS}/0/1.jpg").status_code == 200
    repository.activate("animals@2")
    repository.remove("animals@1")
    assert client.get(f"{LABELS}/0/1.jpg").status_code == 404


def test_labels_name_their_images(
    client: Client, repository: Repository, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        images = _images(client)
    assert images == {
        "tabby": [f"{LABELS}/0/1.jpg", f"{LABELS}/0/2.jpg"],
        "Eskimo_dog": [f"{LABELS}/4/1.jpg"],
        **{label: [] for label in ("Persian_cat", "crane (bird)", "crane (machine)")},
    }
    for address in images["tabby"]:
        assert client.get(address).status_code == 200
    # Those of the version that answered.
    repository.activate("animals@2")
    assert set(map(len, _images(client).values())) == {0}
    earlier = stored_prediction(label="tabby", top=[["tabby", 0.9]], model_version="animals@1").id
    with django_assert_num_queries(1):
        assert _images(client, q="tabby", prediction=earlier)["tabby"] == images["tabby"]
