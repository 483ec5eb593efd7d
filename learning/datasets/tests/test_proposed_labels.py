"""Cases that no label fits are listed in a data set, with the proposed label and without a picture."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from learning.datasets.case_selection import CaseSelection
from learning.datasets.writing import write
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named

pytestmark = pytest.mark.django_db


@pytest.fixture
def case() -> Case:
    case = open_case()
    verdict = DecisionRequest("corrected", "=unicorn", may_propose=True)
    case_decide(case_id=case.pk, reviewer=reviewer_named("ada"), verdict=verdict)
    return case


def test_manifest_has_the_proposed_label(case: Case, tmp_path: Path) -> None:
    counts = write(CaseSelection(), "imagefolder", tmp_path / "set.zip").counts
    assert (counts.cases, counts.pictures, counts.unusable, counts.without_label) == (1, 0, 0, 1)
    with ZipFile(tmp_path / "set.zip") as archive:
        line = json.loads(archive.read("manifest.jsonl"))
        (row,) = csv.DictReader(StringIO(archive.read("manifest.csv").decode("utf-8-sig")))
        readme = archive.read("README.txt").decode()
    assert (line["verdict"], line["label"], line["proposed_label"]) == ("no-label", "", "=unicorn")
    assert (row["sha256"], row["file"], row["proposed_label"]) == (case.image.sha256, "", "'=unicorn")
    assert "No label: 1 of these cases" in readme


def test_csv_begins_with_a_byte_order_mark(case: Case, tmp_path: Path) -> None:
    """Excel takes a file without it for another encoding than UTF-8."""
    write(CaseSelection(), "imagefolder", tmp_path / "set.zip")
    with ZipFile(tmp_path / "set.zip") as archive:
        assert archive.read("manifest.csv").startswith(b"\xef\xbb\xbfsha256,")
