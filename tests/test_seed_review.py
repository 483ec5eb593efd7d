"""`manage.py seed_review` on a site without the development packages, as in the containers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.running import ROOT

# `None` in `sys.modules` makes every import of that name fail.
MANAGE = """
import sys
missing, sys.argv = sys.argv[1].split(","), ["manage.py", *sys.argv[2:]]
sys.modules.update(dict.fromkeys(missing))
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    return os.environ | own


def _manage(environment: dict[str, str], *arguments: str, missing: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MANAGE, missing, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(autouse=True)
def database(environment: dict[str, str]) -> None:
    migrated = _manage(environment, "migrate", "--verbosity=0", missing="stress,devtools")
    assert migrated.returncode == 0, migrated.stderr


def test_generates_cases_without_development_packages(environment: dict[str, str]) -> None:
    arguments = ("seed_review", "--generated", "--cases=12", "--statements=30")
    seeded = _manage(environment, *arguments, missing="stress,devtools,skimage")
    assert (seeded.returncode, seeded.stdout) == (0, "The database has 12 cases.\n"), seeded.stderr


def test_says_that_the_sample_photos_need_scikit_image(environment: dict[str, str]) -> None:
    seeded = _manage(environment, "seed_review", "--cases=4", missing="stress,devtools,skimage")
    assert seeded.returncode == 1
    assert "The sample photos need scikit-image, which is not installed." in seeded.stderr
    assert "Traceback" not in seeded.stderr
