"""What may not be imported where: importing TensorFlow costs seconds and half a gigabyte."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker.inference.repository import Repository


def _run(code: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)  # noqa: S603


def test_the_repository_is_cheap_to_import() -> None:
    _run(
        "import sys, worker.inference.repository\n"
        "heavy = {'tensorflow', 'keras', 'openvino', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


@pytest.mark.parametrize("question", ["versions()", "active().labels", "verify()", "get('efficientnet-lite0')"])
def test_looking_at_models_is_cheap(models: Repository, question: str) -> None:
    _run(
        "import sys, pathlib, worker.inference.repository\n"
        f"assert worker.inference.repository.Repository(pathlib.Path(sys.argv[1])).{question} is not None\n"
        "heavy = {'tensorflow', 'keras', 'openvino', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy",
        str(models.root),
    )


def test_classifying_with_openvino_imports_no_tensorflow(models: Repository) -> None:
    _run(
        "import sys, pathlib, worker.inference.repository, worker.inference.classifier\n"
        "version = worker.inference.repository.Repository(pathlib.Path(sys.argv[1])).active()\n"
        "classifier = worker.inference.classifier.Classifier.load(version)\n"
        "classifier.warm_up()\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)",
        str(models.root),
    )
