"""The desk shows the reference images of labels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from review.tests.cases import open_case
from review.tests.focus import page, take, url
from worker.inference.repository import Repository
from worker.inference.tests.reference_zips import OF_ANIMALS
from worker.inference.tests.tiny_networks import add_version

pytestmark = pytest.mark.django_db
IMAGES = re.compile(r'<img src="(/api/models/[^"]+)" alt="" width="40" height="40" loading="lazy">')
HUSKY = "/api/models/animals@1/labels/4/1.jpg"
TABBY = [f"/api/models/animals@1/labels/0/{number}.jpg" for number in (1, 2)]


@pytest.mark.parametrize("references", [OF_ANIMALS, b""], ids=["with images", "without"])
def test_desk_shows_images_beside_the_labels(
    reviewer: Client, settings: Settings, tmp_path: Path, references: bytes
) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    version = repository.activate(str(add_version(repository, references=references)))
    case = open_case(
        label="tabby", top=[["tabby", 0.9], ["Persian_cat", 0.1]], model_version=str(version), expected="Eskimo_dog"
    )
    take(reviewer, case)
    focus = page(reviewer, url(case))
    # "Accept", "The model was right", and the first of what the model said.
    assert IMAGES.findall(focus) == ([HUSKY, *TABBY, *TABBY] if references else [])
    assert ("reference-images" in focus) == bool(references)
