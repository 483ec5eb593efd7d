"""`feedback_mirror --rebuild`: writes exactly the missing lines, and nothing twice."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from django.db import connections

from feedback import mirror
from feedback.models import Feedback
from feedback.services import feedback_give
from feedback.tests.mirror_lines import give_reports, mirror_lines
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works(mirror_file: Path) -> None:
    give_reports("a", "b", "c")
    mirror_file.write_text("b\n")
    assert mirror.rebuild() == 2
    assert mirror_lines() == ["b", "a", "c"]


def test_rebuild_changes_nothing_where_nothing_is_missing(mirror_file: Path) -> None:
    give_reports("a", "a", "b")
    before = mirror_file.read_bytes()
    assert mirror.rebuild() == 0
    assert mirror_file.read_bytes() == before


def test_rebuild_of_a_lost_file(mirror_file: Path) -> None:
    give_reports("a", "b", "a", "one\ntwo")
    feedback_give(prediction=stored_prediction(), author="a", verdict=Feedback.Verdict.RIGHT)
    before = mirror_file.read_bytes()
    mirror_file.unlink()
    assert mirror.rebuild() == 5
    assert mirror_file.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 4, 6, 7, 12])
def test_rebuild_of_a_file_that_was_cut_off(mirror_file: Path, cut: int) -> None:
    give_reports("first", "second", "second", "thïrd")
    whole = mirror_file.read_bytes()
    mirror_file.write_bytes(whole[:-cut])
    kept = (whole[:-cut].decode(errors="replace")).split("\n")
    missing = Counter(whole.decode().split("\n")[:-1]) - Counter(kept)
    assert mirror.rebuild() == missing.total()
    assert not Counter(["first", "second", "second", "thïrd"]) - Counter(
        mirror_file.read_text(errors="replace").split("\n")
    )
    assert mirror.rebuild() == 0


def test_rebuild_keeps_what_it_does_not_know(mirror_file: Path) -> None:
    mirror_file.write_bytes(b"from an older installation\n\xff\xfe\n")
    give_reports("x")
    mirror_file.write_bytes(b"from an older installation\n\xff\xfe\n")
    assert mirror.rebuild() == 1
    assert mirror_file.read_bytes() == b"from an older installation\n\xff\xfe\nx\n"


def test_what_comes_during_a_rebuild_is_not_forgotten(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is stored after the rebuild has read the rows, and before it marks them, gets its line as well."""
    give_reports("before")
    mirror_file.unlink()
    Feedback.objects.update(mirrored_at=None)
    stored, write = threading.Event(), mirror._write

    def give() -> None:
        feedback = Feedback.objects.create(comment="meanwhile")
        stored.set()
        mirror.append(feedback)  # waits for the rebuild to end
        connections.close_all()

    other = threading.Thread(target=give)

    def meanwhile(file: int, lines: list[bytes]) -> None:
        if lines == [b"before"]:
            other.start()
            assert stored.wait(20)
        write(file, lines)

    monkeypatch.setattr(mirror, "_write", meanwhile)
    mirror.rebuild()
    other.join()
    assert mirror_lines() == ["before", "meanwhile"]
    assert not Feedback.objects.not_mirrored().exists()
