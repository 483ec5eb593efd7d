"""Erasing a picture: what goes, what stays, and what happens if a process is killed in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from rq import Queue

from predictions import erasing, queues, submission
from predictions.erasing import Kept
from predictions.exceptions import RequestRejected
from predictions.models import Embedding, Image, Prediction
from predictions.tests.fakes import FakeClassifier, stored_image, stored_prediction, upload
from predictions.tests.pictures import picture
from predictions.uploads import stored_files, thumbnails
from predictions.uploads import validation as images

pytestmark = pytest.mark.django_db(transaction=True)

ADA, BEN = "a" * 64, "b" * 64


def _files() -> list[Path]:
    """Returns all files of pictures."""
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def _delete(prediction: Prediction, visitor: str = ADA) -> Kept:
    return erasing.prediction_delete(prediction.pk, visitor=visitor)


def test_deletes_the_file_and_what_tells_who_sent_it() -> None:
    prediction = stored_prediction(sender=ADA, file_name="Anna at the beach.jpg")
    sha256 = prediction.image.sha256
    thumbnails.thumbnail(prediction.image).close()
    assert len(_files()) == 2
    assert _delete(prediction) == Kept.NOTHING
    prediction.refresh_from_db()
    assert (prediction.file_name, prediction.sender) == ("", "")
    assert (prediction.state, prediction.label) == ("done", "espresso")
    assert prediction.is_erased and prediction.image.is_erased
    assert _files() == []
    assert not Image.objects.filter(sha256=sha256).exists()
    assert (prediction.image.file.name, prediction.image.byte_size) == ("", 0)


def test_names_every_stored_file_of_a_picture() -> None:
    """A new kind of file that is made from pictures must be in `stored_files.DERIVED`."""
    prediction = stored_prediction(sender=ADA)
    names = [stored_name(prediction.image) for stored_name in stored_files.DERIVED]
    for name in names:
        path = Path(settings.MEDIA_ROOT) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _delete(prediction)
    assert _files() == []


def test_deleting_again_changes_nothing() -> None:
    prediction = stored_prediction(sender=ADA)
    assert (_delete(prediction), _delete(prediction)) == (Kept.NOTHING, Kept.NOTHING)
    assert Image.objects.count() == 1


def test_deletes_all_predictions_that_one_visitor_sent_of_a_picture() -> None:
    first, second = stored_prediction(sender=ADA), stored_prediction(sender=ADA)
    other = stored_prediction(stored_image(picture(seed=5)), sender=ADA)
    assert _delete(first) == Kept.NOTHING
    assert not Prediction.objects.not_erased().exclude(pk=other.pk).exists()
    assert Prediction.objects.not_erased().get() == other
    second.refresh_from_db()
    assert second.is_erased


@pytest.mark.parametrize("other", [BEN, ""], ids=["known sender", "unknown sender"])
def test_keeps_the_file_if_somebody_else_sent_it_too(other: str) -> None:
    mine, theirs = stored_prediction(sender=ADA), stored_prediction(sender=other)
    assert (_delete(mine), _delete(mine)) == (Kept.FOR_OTHERS, Kept.FOR_OTHERS)
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.is_erased, mine.file_name, theirs.is_erased) == (True, "", False)
    assert theirs.file_name == "coffee.jpg" and len(_files()) == 1
    assert not theirs.image.is_erased


def test_last_sender_deletes_the_file() -> None:
    mine, theirs = stored_prediction(sender=ADA), stored_prediction(sender=BEN)
    _delete(mine)
    assert _delete(theirs, BEN) == Kept.NOTHING
    assert _files() == []


@pytest.mark.parametrize("visitor", ["", BEN])
def test_others_cannot_delete_it(visitor: str) -> None:
    prediction = stored_prediction(sender=ADA)
    with pytest.raises(RequestRejected) as rejected:
        _delete(prediction, visitor)
    assert (rejected.value.code, rejected.value.status) == ("not-yours", 403)
    assert len(_files()) == 1


def test_nobody_but_a_lead_can_erase_a_picture_of_an_unknown_visitor() -> None:
    """From before senders were stored, or by the legacy endpoint."""
    for source in (Prediction.Source.PAGE, Prediction.Source.LEGACY):
        with pytest.raises(RequestRejected):
            _delete(stored_prediction(source=source))


def test_knowing_the_id_is_enough_to_delete_a_picture_sent_by_api() -> None:
    assert _delete(stored_prediction(source=Prediction.Source.API), "") == Kept.NOTHING


def test_unknown_prediction_raises() -> None:
    with pytest.raises(Prediction.DoesNotExist):
        erasing.prediction_delete(uuid4())


def test_cancels_a_queued_prediction(
    queue: Queue, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    prediction = stored_prediction(state="queued", sender=ADA)
    queues.enqueue(str(prediction.id))
    _delete(prediction)
    work_off()
    prediction.refresh_from_db()
    assert (prediction.state, fake_classifier.batches, queue.count) == ("cancelled", [], 0)


def test_worker_copes_with_a_picture_that_is_deleted_while_it_is_classified(
    queue: Queue, work_off: Callable[[], None], fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = stored_prediction(state="queued", sender=ADA)
    other = stored_prediction(stored_image(picture(seed=5)), state="queued")
    queues.enqueue(str(prediction.id), str(other.id))
    classify = fake_classifier.classify

    def delete_meanwhile(contents: list[bytes | Exception]) -> object:
        _delete(prediction)
        return classify(contents)

    monkeypatch.setattr(fake_classifier, "classify", delete_meanwhile)
    work_off()
    prediction.refresh_from_db()
    other.refresh_from_db()
    assert (prediction.state, prediction.label, other.state) == ("cancelled", "", "done")
    assert (queue.count, queue.failed_job_registry.count) == (0, 0)


def test_picture_that_is_sent_again_is_a_new_image(queue: Queue) -> None:
    _delete(stored_prediction(sender=ADA, image=stored_image(picture())))
    again = submission.prediction_request(upload=upload(picture()), source=Prediction.Source.API)
    assert Image.objects.filter(file="").count() == 1
    assert not again.image.is_erased and Path(again.image.file.path).read_bytes() == picture()
    assert again.state == "queued", "the earlier answer is not reused"


# --- Interrupted erasures -------------------------------------------------------------------------


class _Killed(BaseException):
    """Ends an erasure as a SIGKILL would."""


def _interrupted_erasure(monkeypatch: pytest.MonkeyPatch, prediction: Prediction) -> None:
    """Erases a picture in a process that is killed after the commit, before it removes the file."""

    def killed(_image: Image) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(stored_files, "delete", killed)
        with pytest.raises(_Killed):
            _delete(prediction)


def test_file_is_removed_later_if_the_process_was_killed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction = stored_prediction(sender=ADA)
    _interrupted_erasure(monkeypatch, prediction)
    prediction.refresh_from_db()
    assert prediction.is_erased and len(_files()) == 1
    call_command("erase_picture")
    assert "finished now: 1" in capsys.readouterr().out
    assert _files() == [] and Image.objects.being_erased().count() == 0


def test_worker_finishes_an_interrupted_erasure(
    monkeypatch: pytest.MonkeyPatch, queue: Queue, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    _interrupted_erasure(monkeypatch, stored_prediction(sender=ADA))
    work_off()
    assert _files() == []


def test_worker_finishes_an_erasure_that_the_first_release_could_not(
    queue: Queue, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    """It marks a picture as erased and then fails to delete the row, because it does not know the embeddings."""
    image = stored_image()
    Embedding.objects.create(image=image, backbone="a", vector=b"\0\0")
    Image.objects.filter(pk=image.pk).update(erased_at=timezone.now())
    other = stored_image(picture(seed=5))
    Image.objects.filter(pk=other.pk).update(erased_at=timezone.now())
    work_off()
    assert (_files(), Image.objects.count(), Embedding.objects.count()) == ([], 0, 0)


def test_file_stays_if_the_picture_was_sent_again_before_it_was_removed(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    _interrupted_erasure(monkeypatch, stored_prediction(sender=ADA, image=stored_image(picture())))
    again = submission.prediction_request(upload=upload(picture()), source=Prediction.Source.PAGE, sender=BEN)
    assert erasing.erasures_finish() == 0
    again.image.refresh_from_db()
    assert not again.image.is_erased and len(_files()) == 1
    assert _delete(again, BEN) == Kept.NOTHING
    assert _files() == []


def test_deletes_what_was_sent_again_before_the_file_was_removed(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> None:
    _interrupted_erasure(monkeypatch, stored_prediction(sender=ADA, image=stored_image(picture())))
    again = submission.prediction_request(upload=upload(picture()), source=Prediction.Source.PAGE, sender=BEN)
    assert _delete(again, BEN) == Kept.NOTHING
    assert _files() == [] and not Prediction.objects.not_erased().exists()


def test_upload_is_refused_if_its_file_is_removed_before_its_row_is_stored(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    """It found the file stored, and did not write it again."""
    earlier = stored_prediction(sender=ADA, image=stored_image(picture()))
    store = images.store

    def store_then_erase(validated: images.ValidatedImage) -> Image:
        image = store(validated)
        _delete(earlier)
        return image

    monkeypatch.setattr(images, "store", store_then_erase)
    with pytest.raises(RequestRejected) as rejected:
        submission.prediction_request(upload=upload(picture()), source=Prediction.Source.API)
    assert (rejected.value.code, rejected.value.status, rejected.value.retry_after) == ("busy", 503, 1)
    assert Prediction.objects.count() == 1
    monkeypatch.undo()
    submission.prediction_request(upload=upload(picture()), source=Prediction.Source.API)


def test_thumbnail_of_a_picture_that_is_erased_meanwhile_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = stored_prediction(sender=ADA)
    image, shrink = prediction.image, thumbnails._shrink

    def erase_meanwhile(content: bytes) -> bytes:
        _delete(prediction)
        return shrink(content)

    monkeypatch.setattr(thumbnails, "_shrink", erase_meanwhile)
    with pytest.raises(FileNotFoundError):
        thumbnails.thumbnail(image)
    assert _files() == []


# --- The command ----------------------------------------------------------------------------------


def test_command_erases_by_id_and_by_hash(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = stored_prediction(), stored_prediction(stored_image(picture(seed=5)))
    sha256 = second.image.sha256
    call_command("erase_picture", str(first.pk), sha256.upper())
    assert _files() == [] and not Prediction.objects.not_erased().exists()
    call_command("erase_picture", str(first.pk))
    assert capsys.readouterr().out.splitlines()[-1] == f"{first.pk}: erased already"


@pytest.mark.parametrize("name", ["00000000-0000-4000-8000-000000000000", "0" * 64, "nonsense"])
def test_command_erases_nothing_if_one_picture_is_unknown(name: str) -> None:
    prediction = stored_prediction()
    with pytest.raises(CommandError, match=f"There is no picture with this prediction or SHA-256: {name}"):
        call_command("erase_picture", str(prediction.pk), name)
    assert len(_files()) == 1
