"""The content of data sets, and failures to write them."""

from __future__ import annotations

import csv
import random
import shutil
import tracemalloc
import zlib
from collections.abc import Callable
from io import StringIO
from itertools import cycle
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from feedback.services import feedback_give
from learning.datasets import case_selection, formats, writing
from learning.datasets.case_selection import CaseSelection
from learning.datasets.tests.data import EVERYTHING, decided_case, manifest, many_cases, names, write
from learning.datasets.writing import NothingToExport, Progress
from predictions.models import Image
from predictions.tests.fakes import stored_prediction
from predictions.tests.pictures import picture, png
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named
from review.undoing import case_reopen

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cases.zip"


@pytest.fixture
def five_cases() -> list[Case]:
    return [
        decided_case("espresso"),
        decided_case("cup", content=picture("WEBP")),
        decided_case("cup", in_audit=True, weight=3, decision_count=2),
        decided_case("AC/DC"),
        decided_case(verdict="unusable"),
    ]


def test_line_is_about_the_version_whose_answer_was_decided_on(path: Path) -> None:
    """A later answer of another version, and a statement about it, change nothing."""
    case = decided_case("cup")
    later = stored_prediction(case.image, model_version="new-net@2", label="saucer", score=0.25)
    feedback_give(prediction=later, verdict="unsure", author="ann")
    write(path)
    (line,) = manifest(path)
    assert (line["model_version"], line["predicted_label"], line["score"]) == ("fake-net@1", "espresso", case.score)


def test_archive_has_every_case_with_its_picture(path: Path, five_cases: list[Case]) -> None:
    written = write(path)
    by_hash = {case.image.sha256: case for case in five_cases}
    assert [line["sha256"] for line in manifest(path)] == sorted(by_hash)
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        for line in manifest(path):
            case = by_hash[line["sha256"]]
            assert (line["label"], line["verdict"], line["missing"]) == (case.label, case.verdict, "")
            assert line["model_version"] == "fake-net@1" and line["predicted_label"] == "espresso"
            assert line["score"] == case.score and line["decided_at"] == "2026-03-14T15:09:26.535+00:00"
            if case.verdict == "unusable":
                assert line["file"] == ""
            elif case.image.format == "PNG" and line["changed"] == "":
                assert archive.read(line["file"]) == Path(case.image.file.path).read_bytes()
        files = [line["file"] for line in manifest(path) if line["file"]]
        assert names(path) == [*files, "labels.txt", "manifest.csv", "manifest.jsonl", "README.txt"]
        assert archive.read("labels.txt").decode() == "AC/DC\ncup\nespresso\n"
    folders = {by_hash[file.split("/")[2][:64]].label: file.split("/")[1] for file in files}
    assert folders == {"AC/DC": "AC%2FDC", "cup": "cup", "espresso": "espresso"}
    (audited,) = (line for line in manifest(path) if line["in_audit"])
    assert (audited["statements"], audited["decisions"]) == (3, 2)
    (converted,) = (line for line in manifest(path) if line["changed"])
    assert converted["changed"] == "converted" and converted["file"].endswith(".png")
    assert written.byte_size == path.stat().st_size
    assert path.parent.joinpath("cases.zip") in path.parent.iterdir()


def test_readme_describes_the_data_set(path: Path, five_cases: list[Case]) -> None:
    write(path, CaseSelection(labels=("cup",)))
    with ZipFile(path) as archive:
        text = archive.read("README.txt").decode()
    assert "Selected: all decided cases, labelled cup" in text
    assert "Cases:    2, of which 0 unusable" in text
    assert "Pictures: 2 with 1 labels; 1 re-encoded" in text
    assert "image_dataset_from_directory" in text and "Missing:" not in text
    for column in manifest(path)[0]:
        assert f"  {column} " in text


def test_exports_decisions_of_the_desk_without_names_and_notes(path: Path) -> None:
    """The decisions are made through the desk's services. A reopened case is left out."""
    reviewer = reviewer_named("rita")
    cases = [open_case() for _ in range(4)]
    case_decide(case_id=cases[0].pk, reviewer=reviewer, verdict=DecisionRequest("right"))
    case_decide(
        case_id=cases[1].pk, reviewer=reviewer, verdict=DecisionRequest("corrected", "cup", "a note, rita@example.org")
    )
    case_decide(case_id=cases[2].pk, reviewer=reviewer, verdict=DecisionRequest("right"))
    case_reopen(case_id=cases[2].pk, reviewer=reviewer)
    write(path)
    lines = {line["sha256"]: line for line in manifest(path)}
    assert set(lines) == {cases[0].image.sha256, cases[1].image.sha256}
    corrected = lines[cases[1].image.sha256]
    assert (corrected["label"], corrected["verdict"]) == ("cup", "corrected")
    assert (corrected["statements"], corrected["decisions"]) == (1, 1)
    # A data set has no names and no comments. (No hash contains "rita", which has letters beyond f.)
    assert b"rita" not in path.read_bytes() and b"a note" not in path.read_bytes()


@pytest.mark.parametrize("kind", ["imagefolder", "tfrecord"])
def test_same_cases_make_same_bytes(tmp_path: Path, kind: str) -> None:
    """At any time, and with the rows created in any order."""
    contents = [picture("PNG", seed=seed) for seed in range(20)] + [picture("WEBP", seed=1), picture("GIF", seed=2)]
    labels = ["cup", "espresso", "AC/DC", "Cardigan", "cardigan"]
    digests = set()
    for seed in range(2):
        order = list(range(len(contents)))
        random.Random(seed).shuffle(order)
        with transaction.atomic():
            for number in order:
                decided_case(labels[number % len(labels)], content=contents[number])
            digests |= {write(tmp_path / f"{seed}{again}.zip", kind=kind).sha256 for again in range(2)}
            transaction.set_rollback(True)
    assert len(digests) == 1
    assert len({file.read_bytes() for file in tmp_path.glob("*.zip")}) == 1


def test_csv_escapes_formulas(path: Path) -> None:
    labels = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'a "quoted", label', "plain"]
    for number, label in enumerate(labels):
        decided_case(label, predicted_label=f"={number}", model_version="@x")
    write(path)
    assert sorted(line["label"] for line in manifest(path)) == sorted(labels), "unchanged in the JSON lines"
    with ZipFile(path) as archive:
        rows = list(csv.reader(StringIO(archive.read("manifest.csv").decode("utf-8-sig"), newline="")))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert {f"'{label}" for label in labels[:6]} | set(labels[6:]) <= set(cells)


def test_missing_pictures_are_listed(path: Path, five_cases: list[Case]) -> None:
    gone, damaged, undecodable = Path(five_cases[0].image.file.path), Path(five_cases[2].image.file.path), five_cases[1]
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    broken = picture("WEBP", seed=7)[:60]
    undecodable = decided_case("tabby", content=broken)
    written = write(path)
    missing = {line["sha256"]: (line["missing"], line["file"]) for line in manifest(path) if line["missing"]}
    assert missing == {
        five_cases[0].image.sha256: ("gone", ""),
        five_cases[2].image.sha256: ("damaged", ""),
        undecodable.image.sha256: ("undecodable", ""),
    }
    assert (written.counts.missing, written.counts.pictures, written.counts.cases) == (3, 2, 6)
    with ZipFile(path) as archive:
        # A label without pictures keeps its folder and its number.
        assert archive.read("labels.txt").decode().split() == ["AC/DC", "cup", "espresso", "tabby"]
        assert "images/tabby/" in archive.namelist()
        assert "Missing:  3 pictures" in archive.read("README.txt").decode()


def test_reports_progress_after_each_case(path: Path, five_cases: list[Case]) -> None:
    Path(five_cases[0].image.file.path).unlink()
    seen: list[tuple[int, int, int]] = []
    writing.write(
        EVERYTHING, "imagefolder", path, lambda progress: seen.append((progress.total, progress.done, progress.missing))
    )
    assert [done for _, done, _ in seen] == [0, 1, 2, 3, 4, 5]
    assert {total for total, _, _ in seen} == {5}
    assert seen[-1] == (5, 5, 1)


def test_writes_with_two_queries(path: Path, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in (3, 30):
        for _ in range(number):
            decided_case("cup")
        with django_assert_num_queries(2):  # the label sets, and the rows
            write(path)


def _stop(progress: Progress) -> None:
    if progress.done == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["imagefolder", "tfrecord"])
def test_interrupted_writing_keeps_the_earlier_file(path: Path, five_cases: list[Case], kind: str) -> None:
    path.write_text("an earlier one")
    with pytest.raises(KeyboardInterrupt):
        writing.write(EVERYTHING, kind, path, _stop)
    assert path.read_text() == "an earlier one"
    assert [file.name for file in path.parent.iterdir() if "cases" in file.name] == ["cases.zip"]


def test_writes_nothing_without_cases(path: Path) -> None:
    open_case()
    with pytest.raises(NothingToExport):
        write(path)
    assert not path.exists()


def test_rejects_pictures_larger_than_the_free_space(path: Path, five_cases: list[Case]) -> None:
    free = shutil.disk_usage(path.parent).free
    many_cases((_tiny(number) for number in range(free // 2**31 + 1)), cycle(["cup"]))
    Image.objects.update(byte_size=2**31 - 1)
    with pytest.raises(OSError, match=r"It needs at least [\d,.]+ GB; [\d,.]+ GB are free in /"):
        write(path)
    assert not [file for file in path.parent.iterdir() if "cases" in file.name]


def test_removes_drafts_of_its_own_path_only(path: Path, five_cases: list[Case]) -> None:
    others = path.with_name(".other.zip.0123abcd.part")
    mine = [path.with_name(f".cases.zip.{name}") for name in ("0123abcd.part", "0123abcd.part.records")]
    for file in (others, *mine):
        file.touch()
    writing.remove_drafts(path)
    assert others.exists() and not any(file.exists() for file in mine)


def _tiny(number: int) -> bytes:
    """A different picture for each number."""
    return png(8, 8, zlib.compress(b"".join(b"\0" + number.to_bytes(8, "big") for _ in range(8))))


def _peak(write_all: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        write_all()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "bytes_per_picture"), [("imagefolder", 600), ("tfrecord", 30)])
def test_memory_grows_only_with_the_entries_of_the_archive(
    path: Path, kind: str, bytes_per_picture: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`zipfile` keeps about 470 bytes for each entry. Neither pictures nor rows of the manifest stay in memory."""
    monkeypatch.setattr(case_selection, "CHUNK", 50)
    monkeypatch.setattr(formats, "_CHUNK_BYTES", 10_000)
    decided_case("cup")
    write(path, kind=kind)  # imports what is needed
    peaks = []
    for numbers in (range(200), range(200, 1400)):
        many_cases(map(_tiny, numbers), (f"label {number % 20}" for number in numbers))
        peaks.append(_peak(lambda: write(path, kind=kind)))
    assert len(manifest(path)) == 1401
    assert peaks[1] < peaks[0] + 1200 * bytes_per_picture


def test_removes_no_draft_that_is_being_written(path: Path) -> None:
    decided_case("cup")
    seen: list[int] = []

    def remove(progress: Progress) -> None:
        path.with_name(f"{_draft(path).name}.records").touch()
        writing.remove_drafts(path)
        seen.append(len(writing.drafts(path.parent)))

    writing.write(EVERYTHING, "imagefolder", path, remove)
    assert seen and set(seen) == {2}
    assert path.exists()


def _draft(path: Path) -> Path:
    (draft,) = (file for name, file in writing.drafts(path.parent) if file.suffix == ".part")
    return draft
