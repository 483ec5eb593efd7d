"""`worker.inference` is usable alone, and imports TensorFlow (seconds, half a gigabyte) only where it must."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from worker import inference
from worker.inference.repository import Repository

TENSORFLOW_MODULES = {"worker.inference.keras_runtime", "worker.inference.engines.tensorflow"}
MODULES = {
    module.name
    for module in pkgutil.walk_packages(inference.__path__, "worker.inference.")
    if not module.name.startswith("worker.inference.tests")
}


def _run(code: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)


def _assert_not_imported(modules: set[str], forbidden: set[str]) -> None:
    _run(f"import sys, {', '.join(sorted(modules))}\nfound = {forbidden} & set(sys.modules)\nassert not found, found")


def test_package_imports_neither_tensorflow_nor_django_nor_a_queue() -> None:
    assert {"worker.inference.classifier", "worker.inference.repository.build"} < MODULES
    _assert_not_imported(MODULES - TENSORFLOW_MODULES, {"tensorflow", "keras", "django", "redis", "rq"})


def test_tensorflow_modules_import_neither_django_nor_a_queue() -> None:
    _assert_not_imported(TENSORFLOW_MODULES, {"django", "redis", "rq"})


def test_repository_is_cheap_to_import() -> None:
    _assert_not_imported({"worker.inference.repository"}, {"tensorflow", "keras", "openvino", "numpy"})


@pytest.mark.parametrize("question", ["versions()", "active().labels", "verify()", "get('efficientnet-lite0')"])
def test_reading_the_repository_is_cheap(models: Repository, question: str) -> None:
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
