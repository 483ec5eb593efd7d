"""Erasing what people have said about a picture, in the rows and in the mirror."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from rq import Queue

from feedback import mirror
from feedback.models import Feedback
from feedback.services import feedback_give
from feedback.tests.mirror_lines import give_reports, mirror_lines
from predictions import erasing
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.prediction_worker import PredictionWorker
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

ADA, BEN = "a" * 64, "b" * 64


def _say(prediction: Prediction, author: str, **changes: str) -> Feedback:
    words = {"verdict": "wrong", "expected_label": "cup", "expected_words": "Anna's mug", "comment": "I am Anna."}
    return feedback_give(prediction=prediction, author=author, **{**words, **changes})


def _mirrored() -> list[str]:
    """Returns the prediction of each line of the mirror."""
    return [json.loads(line)["prediction"] for line in mirror_lines()]


def test_erases_words_authors_and_lines_of_everybody() -> None:
    prediction, other = stored_prediction(sender=ADA), stored_prediction(stored_image(picture(seed=5)))
    for author in (ADA, BEN):
        _say(prediction, author)
    _say(other, ADA)
    erasing.prediction_delete(prediction.pk, visitor=ADA)
    erasing.erasures_finish()
    for feedback in Feedback.objects.filter(prediction=prediction):
        assert (feedback.comment, feedback.expected_words) == ("", "")
        assert (feedback.verdict, feedback.expected_label) == ("wrong", "cup")
        assert feedback.author not in {ADA, BEN} and feedback.erased_at and feedback.mirrored_at is None
        assert feedback.image == Prediction.objects.get(pk=prediction.pk).image
    assert Feedback.objects.filter(prediction=prediction).values("author").distinct().count() == 2
    assert _mirrored() == [str(other.pk)]
    assert Feedback.objects.get(prediction=other).comment == "I am Anna."


def test_a_network_stays_one_sender() -> None:
    prediction = stored_prediction()
    for author, sender in (("1", "network"), ("2", "network"), ("3", "other"), ("4", "")):
        _say(prediction, author * 64, sender=sender)
    erasing.images_erase([prediction.image_id])
    first, second, third, visitor = Feedback.objects.order_by("pk").values_list("sender", flat=True)
    assert first == second != third and not {first, third} & {"network", "other", ""} and visitor == ""
    assert Feedback.objects.current().count() == 4, "the picture is gone, and nobody can send it as one more person"


def test_erases_only_the_senders_words_if_somebody_else_has_sent_it_too() -> None:
    mine, theirs = stored_prediction(sender=ADA), stored_prediction(sender=BEN)
    _say(mine, ADA)
    _say(theirs, ADA)
    _say(theirs, BEN)
    erasing.prediction_delete(mine.pk, visitor=ADA)
    erasing.erasures_finish()
    kept = Feedback.objects.filter(erased_at__isnull=True)
    assert [(feedback.author, feedback.comment) for feedback in kept] == [(BEN, "I am Anna.")]
    assert _mirrored() == [str(theirs.pk)]


def test_erases_the_words_about_a_prediction_of_an_unknown_api_client() -> None:
    mine = stored_prediction(source=Prediction.Source.API)
    theirs = stored_prediction(source=Prediction.Source.API)
    _say(mine, ADA)
    _say(theirs, ADA)
    erasing.prediction_delete(mine.pk)
    erasing.erasures_finish()
    assert Feedback.objects.get(erased_at__isnull=True).prediction == theirs
    assert _mirrored() == [str(theirs.pk)]


def test_removal_keeps_all_other_lines_byte_by_byte(mirror_file: Path) -> None:
    before = b"from an older installation\n\xff\xfe\n" + b"x" * 300 + b'\n{"at": "\n'
    mirror_file.write_bytes(before)
    os.chmod(mirror_file, 0o640)
    prediction = stored_prediction(sender=ADA)
    _say(prediction, ADA)
    give_reports("a report")
    erasing.images_erase([prediction.image_id])
    erasing.erasures_finish()
    assert mirror_file.read_bytes() == before + b"a report\n"
    assert mirror_file.stat().st_mode & 0o777 == 0o640


def test_removes_lines_from_the_previous_files_too(mirror_file: Path) -> None:
    prediction = stored_prediction(sender=ADA)
    _say(prediction, ADA)
    with mirror_file.open("a") as file:
        file.write("never a row\n")
    _, previous = mirror.rebuild()
    other = mirror_file.with_name("feedback.backup")
    other.write_bytes(mirror_file.read_bytes())
    erasing.images_erase([prediction.image_id])
    erasing.erasures_finish()
    assert mirror_lines() == []
    assert mirror_lines(previous) == ["never a row"]
    assert "Anna" in other.read_text(), "files of unknown origin are left alone"


def test_rebuild_does_not_bring_them_back() -> None:
    prediction = stored_prediction(sender=ADA)
    _say(prediction, ADA)
    give_reports("kept")
    erasing.images_erase([prediction.image_id])
    erasing.erasures_finish()
    assert mirror.rebuild() == (1, None)
    assert mirror_lines() == ["kept"]


def test_line_is_removed_later_if_the_mirror_cannot_be_written(
    mirror_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = stored_prediction(sender=ADA)
    _say(prediction, ADA)

    def full(_path: Path, _starts: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "_remove_lines", full)
        erasing.prediction_delete(prediction.pk, visitor=ADA)
        erasing.erasures_finish()
    assert len(mirror_lines()) == 1 and Feedback.objects.still_mirrored().count() == 1
    call_command("erase_picture")
    assert mirror_lines() == [] and not Feedback.objects.still_mirrored().exists()


def test_a_request_does_not_write_the_mirror_again_and_a_worker_does(mirror_file: Path, queue: Queue) -> None:
    prediction = stored_prediction(sender=ADA)
    _say(prediction, ADA)
    before = mirror_file.stat().st_ino
    erasing.prediction_delete(prediction.pk, visitor=ADA)
    assert mirror_file.stat().st_ino == before, "it may have gigabytes"
    PredictionWorker([queue], connection=queue.connection).recover()
    assert mirror_lines() == []


def test_another_process_removes_the_lines_at_the_same_time(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = stored_prediction(sender=ADA)
    _say(prediction, ADA)
    erasing.prediction_delete(prediction.pk, visitor=ADA)
    lock = mirror._lock

    @contextmanager
    def late_lock() -> Iterator[None]:
        monkeypatch.setattr(mirror, "_lock", lock)
        mirror.remove_erased()  # of the other process
        with lock():
            yield

    monkeypatch.setattr(mirror, "_lock", late_lock)
    mirror.remove_erased()
    assert mirror_lines() == []


def test_line_that_was_not_written_yet_is_never_written(monkeypatch: pytest.MonkeyPatch, mirror_file: Path) -> None:
    prediction = stored_prediction(sender=ADA)
    late: list[Feedback] = []
    append = mirror.append
    monkeypatch.setattr(mirror, "append", late.append)
    _say(prediction, ADA)
    erasing.prediction_delete(prediction.pk, visitor=ADA)
    for feedback in late:
        append(feedback)
    assert not mirror_file.exists() or mirror_lines() == []
    assert not Feedback.objects.not_mirrored().exists(), "the check of the mirror would report it"


def test_statement_about_a_deleted_picture_is_refused() -> None:
    prediction = stored_prediction(sender=ADA)
    stale = Prediction.objects.select_related("image").get(pk=prediction.pk)
    erasing.prediction_delete(prediction.pk, visitor=ADA)
    for seen in (stale, Prediction.objects.get(pk=prediction.pk)):  # before and after the deletion
        with pytest.raises(RequestRejected) as rejected:
            _say(seen, BEN)
        assert (rejected.value.code, rejected.value.status) == ("deleted", 410)
    assert not Feedback.objects.exists()
