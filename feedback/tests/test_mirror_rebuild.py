"""`feedback_mirror --rebuild`: writes exactly the missing lines, and nothing twice."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.services import feedback_give, report_take
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(settings: Settings) -> Path:
    return Path(settings.FEEDBACK_FILE)


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1]


def _reports(*texts: str) -> None:
    for text in texts:
        report_take(text=text)


def test_it_works(path: Path) -> None:
    _reports("a", "b", "c")
    path.write_text("b\n")
    assert mirror.rebuild() == 2
    assert _lines(path) == ["b", "a", "c"]


def test_rebuild_changes_nothing_where_nothing_is_missing(path: Path) -> None:
    _reports("a", "a", "b")
    before = path.read_bytes()
    assert mirror.rebuild() == 0
    assert path.read_bytes() == before


def test_rebuild_of_a_lost_file(path: Path) -> None:
    _reports("a", "b", "a", "one\ntwo")
    feedback_give(prediction=stored_prediction(), author="a", verdict=Feedback.Verdict.RIGHT)
    before = path.read_bytes()
    path.unlink()
    assert mirror.rebuild() == 5
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 4, 6, 7, 12])
def test_rebuild_of_a_file_that_was_cut_off(path: Path, cut: int) -> None:
    _reports("first", "second", "second", "thïrd")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = (whole[:-cut].decode(errors="replace")).split("\n")
    missing = Counter(whole.decode().split("\n")[:-1]) - Counter(kept)
    assert mirror.rebuild() == missing.total()
    assert not Counter(["first", "second", "second", "thïrd"]) - Counter(path.read_text(errors="replace").split("\n"))
    assert mirror.rebuild() == 0


def test_rebuild_keeps_what_it_does_not_know(path: Path) -> None:
    path.write_bytes(b"from an older installation\n\xff\xfe\n")
    _reports("x")
    path.write_bytes(b"from an older installation\n\xff\xfe\n")
    assert mirror.rebuild() == 1
    assert path.read_bytes() == b"from an older installation\n\xff\xfe\nx\n"


def test_what_comes_during_a_rebuild_is_not_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is stored after the rebuild has read the rows, and before it marks them, gets its line as well."""
    _reports("before")
    path.unlink()
    Feedback.objects.update(mirrored_at=None)
    stored, write = threading.Event(), mirror._write

    def give() -> None:
        feedback = Feedback.objects.create(comment="meanwhile")
        stored.set()
        mirror.append(feedback)  # waits for the rebuild to end
        connections.close_all()

    other = threading.Thread(target=give)

    def meanwhile(file: int, lines: list[str]) -> None:
        if lines == ["before"]:
            other.start()
            assert stored.wait(20)
        write(file, lines)

    monkeypatch.setattr(mirror, "_write", meanwhile)
    mirror.rebuild()
    other.join()
    assert _lines(path) == ["before", "meanwhile"]
    assert not Feedback.objects.not_mirrored().exists()
