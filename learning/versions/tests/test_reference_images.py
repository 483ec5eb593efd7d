"""Reference images in `manage.py model` and on the page of a version."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import Settings

from learning.versions.views import page_of
from worker.inference.repository import Repository
from worker.inference.tests.reference_zips import OF_ANIMALS, RED, references_zip
from worker.inference.tests.small_cnn import LABELS, SmallCnn
from worker.inference.tests.tiny_networks import add_version

pytestmark = pytest.mark.django_db
SHOWN = "2 of 5 labels have some"


def _model(*arguments: str) -> str:
    out = StringIO()
    call_command("model", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def _shown(reference: str) -> list[str]:
    return [" ".join(line.split()) for line in _model("show", reference).splitlines()]


def test_import_takes_a_folder_of_pictures(
    cnn: SmallCnn, labels_file: Path, repository: Repository, tmp_path: Path
) -> None:
    for label in LABELS[:3]:
        (tmp_path / "pictures" / label).mkdir(parents=True)
        (tmp_path / "pictures" / label / "1.jpg").write_bytes(RED)
    options = ["--labels", str(labels_file), "--preset", "keras-tf", "--references", str(tmp_path / "pictures")]
    assert "reference images: 3 for 3 labels" in _model("import", "own", str(cnn.onnx), *options).splitlines()
    assert f"Reference images 3 of {len(LABELS)} labels have some" in _shown("own")


def test_version_says_how_many_labels_have_images(repository: Repository, lead: Client) -> None:
    add_version(repository, references=OF_ANIMALS)
    add_version(repository)
    assert f"Reference images {SHOWN}" in _shown("animals@1")
    assert any(re.match(r"references\.zip [\d.]+ (kB|bytes) SHA-256 ", line) for line in _shown("animals@1"))
    assert "Reference images" not in " ".join(_shown("animals@2"))
    assert SHOWN in lead.get(page_of("animals@1")).text
    assert "Reference images" not in lead.get(page_of("animals@2")).text
    repository.get("animals@1").file("references").write_bytes(b"#" + OF_ANIMALS[1:])
    assert f"Reference images {SHOWN}" in _shown("animals@1"), "only the directory is read"
    repository.find("animals@1").file("references").write_bytes(b"")
    assert "Reference images cannot be read: animals@1: references.zip is damaged" in " ".join(_shown("animals@1"))


def test_images_are_carried_to_another_site(repository: Repository, settings: Settings, tmp_path: Path) -> None:
    add_version(repository, references=OF_ANIMALS)
    _model("export", "animals", str(tmp_path / "animals.zip"))
    settings.MODELS_DIR = tmp_path / "elsewhere"
    _model("import", str(tmp_path / "animals.zip"))
    assert f"Reference images {SHOWN}" in _shown("animals@1")
    assert _model("verify") == "All files are intact.\n"


def test_exported_file_with_other_files_is_refused(repository: Repository, settings: Settings, tmp_path: Path) -> None:
    add_version(repository, references=references_zip({"0/1.jpg": b"<script>"}))
    _model("export", "animals", str(tmp_path / "animals.zip"))
    settings.MODELS_DIR = tmp_path / "elsewhere"
    with pytest.raises(CommandError, match="references.zip cannot be used: one of its files is no picture"):
        _model("import", str(tmp_path / "animals.zip"))
    assert [path.name for path in settings.MODELS_DIR.iterdir()] == [".lock"]
