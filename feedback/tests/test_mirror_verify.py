"""`feedback_mirror --verify`: says what is missing or extra in the mirror, and changes nothing."""

from __future__ import annotations

import fcntl
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.services import report_take
from feedback.tests.mirror_lines import give_reports, mirror_lines
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timedelta(hours=1)
CUP = "\N{TEACUP WITHOUT HANDLE}"  # four bytes


def _verify(capsys: pytest.CaptureFixture[str], code: int = 1) -> list[str]:
    """What the command prints, without the name of the file, and that it ends with that code."""
    ended = 0
    try:
        call_command("feedback_mirror", "--verify")
    except SystemExit as exit:
        ended = int(exit.code or 0)
    assert ended == code
    first, *rest = capsys.readouterr().out.splitlines()
    return [first.rpartition(": ")[2], *rest]


def _ids(*numbers: int) -> list[int]:
    """The ids of the statements with these places in the order they came, from 0."""
    ids = list(Feedback.objects.order_by("pk").values_list("pk", flat=True))
    return [ids[number] for number in numbers]


def test_it_works(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_reports("a", "b", "c", "d")
    mirror_file.write_text("b\nd\nwho said this?\n")
    first, third = _ids(0, 2)
    assert _verify(capsys) == [
        "4 statements, 3 lines; 2 missing, 1 extra.",
        "Missing (--rebuild writes them):",
        f"  feedback {first}: a",
        f"  feedback {third}: c",
        "Extra (no statement accounts for them):",
        "  line 3: who said this?",
    ]
    assert mirror_lines() == ["b", "d", "who said this?"], "nothing was changed"
    assert mirror.rebuild() == 2
    assert _verify(capsys)[0] == "4 statements, 5 lines; 0 missing, 1 extra."


def test_nothing_to_say(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_reports("a", "", "one\r\ntwo", "a", "ümläut")
    assert _verify(capsys, 0) == ["5 statements, 5 lines; nothing is missing, nothing is extra."]


def test_a_missing_file(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(capsys, 0) == ["0 statements, 0 lines; nothing is missing, nothing is extra."]
    give_reports("a")
    mirror_file.unlink()
    assert _verify(capsys)[0] == "1 statement, 0 lines; 1 missing, 0 extra."
    assert not mirror_file.exists(), "whoever only looks makes no file"


def test_an_empty_database(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror_file.write_text("a\n\nb")
    assert _verify(capsys) == [
        "0 statements, 3 lines; 0 missing, 3 extra.",
        "Extra (no statement accounts for them):",
        "  line 1: a",
        "  line 2: ",
        "  line 3: b",
    ]


def test_duplicates(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How often a line stands there counts as well, and the later ones are those that are too many or too few."""
    give_reports("a", "b", "b", "a", "b")
    mirror_file.write_text("a\na\na\nb\na\n")
    third, fifth = _ids(2, 4)
    assert _verify(capsys) == [
        "5 statements, 5 lines; 2 missing, 2 extra.",
        "Missing (--rebuild writes them):",
        f"  feedback {third}: b",
        f"  feedback {fifth}: b",
        "Extra (no statement accounts for them):",
        "  line 3: a",
        "  line 5: a",
    ]


def test_a_torn_line(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_reports("first", "thïrd")
    mirror_file.write_bytes("first\nthï".encode()[:-1])
    (torn,) = _ids(1)
    assert _verify(capsys)[1:] == [
        "Missing (--rebuild writes them):",
        f"  feedback {torn}: thïrd",
        "Extra (no statement accounts for them):",
        "  line 2: th\\xc3",
    ]


def test_bytes_that_only_look_the_same(mirror_file: Path) -> None:
    """What cannot be read is often shown as U+FFFD; a statement may hold that very character."""
    give_reports("\ufffd")
    mirror_file.write_bytes(b"\xff\n")
    found = mirror.verify()
    assert (found.missing, found.extra) == (1, 1)
    assert mirror.rebuild() == 1


def test_other_line_ends(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An editor that stored the file with CRLF has changed every line, and one can see how."""
    give_reports("a", "b")
    mirror_file.write_bytes(b"a\r\nb\r\n")
    lines = _verify(capsys)
    assert lines[0] == "2 statements, 2 lines; 2 missing, 2 extra."
    assert lines[-2:] == ["  line 1: a\\r", "  line 2: b\\r"]


def test_what_is_shown_cannot_steer_a_terminal(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_reports("\x1b[2J\u202egninnur\u2028\x07\t" + CUP * 40)
    mirror_file.write_text("y" * 121 + "\n" + CUP * 120 + "\n")
    lines = _verify(capsys)
    assert "\\x1b[2J\\u202egninnur\\u2028\\x07\\t" + CUP in lines[2]
    assert lines[4:] == [
        "  line 1: " + "y" * 120 + "… (121 bytes)",
        "  line 2: " + CUP * 120,
    ]


def test_the_first_ones_of_many(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_reports(*(f"statement {number}" for number in range(30)))
    mirror_file.write_text("".join(f"line {number}\n" for number in range(50)))
    lines = _verify(capsys)
    assert lines[0] == "30 statements, 50 lines; 30 missing, 50 extra."
    assert (lines[22], lines[-1]) == ("  and 10 more", "  and 30 more")
    assert len(lines) == 1 + 22 + 22


@pytest.mark.parametrize("why", ["a folder in its place", "a file in place of its folder", "no permission"])
def test_a_file_that_cannot_be_read(settings: Settings, mirror_file: Path, why: str) -> None:
    if why == "no permission":
        mirror_file.touch(mode=0)
        if os.access(mirror_file, os.R_OK):
            pytest.skip("this account may read everything")
    elif why == "a file in place of its folder":
        mirror_file.touch()
        settings.FEEDBACK_FILE = mirror_file / "feedback"
    else:
        mirror_file.mkdir()
    with pytest.raises(CommandError, match="The mirror cannot be read: "):
        call_command("feedback_mirror", "--verify")


@pytest.mark.parametrize("flags", [(), ("--verify", "--rebuild")])
def test_one_thing_at_a_time(flags: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="--verify"):
        call_command("feedback_mirror", *flags)


# --- While people go on talking -------------------------------------------------------------------


def test_a_statement_on_its_way_into_the_file(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stored a moment ago, and not yet in the file: that is how every statement looks for a moment."""
    give_reports("before")
    feedback = Feedback.objects.create(comment="just now")
    assert _verify(capsys, 0) == ["1 statement, 1 line; nothing is missing, nothing is extra."]
    Feedback.objects.filter(pk=feedback.pk).update(created_at=timezone.now() - LONG_AGO)
    assert f"  feedback {feedback.pk}: just now" in _verify(capsys)


def test_statements_that_arrive_meanwhile(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that come after the file was measured belong to rows that are read later; neither is missed."""
    give_reports("before")
    counted = mirror._counted

    def give() -> None:
        report_take(text="meanwhile")
        connections.close_all()

    def give_and_count(file: int, size: int) -> object:
        other = threading.Thread(target=give)
        other.start()
        other.join(20)
        assert not other.is_alive(), "nobody waits for a verification"
        return counted(file, size)

    monkeypatch.setattr(mirror, "_counted", give_and_count)
    found = mirror.verify()
    assert not found and (found.statements, found.lines) == (1, 1)
    assert mirror_lines() == ["before", "meanwhile"]
    monkeypatch.undo()
    assert mirror.verify().statements == 2


def test_half_a_line_is_never_seen(mirror_file: Path) -> None:
    """The file is measured between two writes: while somebody writes, the verification waits."""
    give_reports("a")
    found: list[mirror.Differences] = []

    def verify() -> None:
        found.append(mirror.verify())
        connections.close_all()

    with open(mirror_file, "ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(b"x" * 10)
        writer.flush()
        other = threading.Thread(target=verify)
        other.start()
        other.join(0.3)
        assert not found
        writer.truncate(2)
    other.join(20)
    assert found and not found[0]


# --- What the lines look like ---------------------------------------------------------------------


def test_lines_stay_as_earlier_versions_wrote_them(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte: otherwise every line of an older installation would be missing, and extra."""
    prediction = stored_prediction(id=UUID("a29e0c37-cd5c-4bb7-9157-d5ef92b1be52"), score=0.9512345)
    wrong = {"prediction": prediction, "image": prediction.image, "verdict": "wrong"}
    rows = Feedback.objects.bulk_create(
        [
            Feedback(**wrong, expected_label="cup", comment='Zu "groß"\n\\o/'),
            Feedback(**wrong, expected_words="lungo"),
            Feedback(comment="ein\u2028Bericht\r\nin zwei Zeilen\x85"),
        ]
    )
    Feedback.objects.filter(pk__in=[row.pk for row in rows]).update(
        created_at=datetime(2026, 11, 23, 14, 20, 7, 123456, tzinfo=UTC), mirrored_at=timezone.now() - LONG_AGO
    )
    begin = (
        '{"at": "2026-11-23T14:20:07.123+00:00", "prediction": "a29e0c37-cd5c-4bb7-9157-d5ef92b1be52", '
        f'"image": "{prediction.image.sha256}", "model": "fake-net@1", "label": "espresso", "score": 0.9512345, '
        '"verdict": "wrong", '
    )
    mirror_file.write_text(
        begin
        + '"expected": "cup", "comment": "Zu \\"groß\\"\\n\\\\o/"}\n'
        # A version without `expected_words` kept whatever was expected as the label.
        + begin
        + '"expected": "lungo", "comment": ""}\n'
        "ein\u2028Bericht in zwei Zeilen\x85\n",
        newline="\n",
    )
    assert _verify(capsys, 0) == ["3 statements, 3 lines; nothing is missing, nothing is extra."]


def test_number_of_queries(mirror_file: Path, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    give_reports("a", "b")
    with django_assert_num_queries(1):
        mirror.verify()
