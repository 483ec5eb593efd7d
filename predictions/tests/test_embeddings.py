"""Workers store the features of each image once per backbone, together with the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.db import DatabaseError
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue

from predictions import answering, classifiers, erasing
from predictions.models import Embedding, Prediction
from predictions.tests.fakes import FakeClassifier, stored_image, stored_prediction, upload
from predictions.tests.pictures import picture
from worker.inference.classifier import Classification

pytestmark = pytest.mark.django_db
BACKBONE = "0123456789abcdef"
VECTOR = np.array([0.5, -2, 65_504, 1e-4], np.float16)


class FakeWithFeatures(FakeClassifier):
    """Has the same features for each image."""

    backbone = BACKBONE
    vector = VECTOR

    def _answer(self, image: bytes | Exception) -> Classification | Exception:
        answer = super()._answer(image)
        return replace(answer, features=self.vector) if isinstance(answer, Classification) else answer


def _queued(seed: int = 0, content: bytes | None = None) -> Prediction:
    return stored_prediction(stored_image(content or picture(seed=seed)), state="queued")


def _answer(*predictions: Prediction, classifier: FakeClassifier | None = None) -> None:
    classifier = classifier or FakeWithFeatures()
    answering.predictions_answer([prediction.id for prediction in predictions], classifier)  # type: ignore[arg-type]


def _stored() -> set[tuple[int, str]]:
    return set(Embedding.objects.values_list("image_id", "backbone"))


def test_stores_features_of_each_image(queue: Queue) -> None:
    first, second = _queued(1), _queued(2)
    _answer(first, second)
    assert _stored() == {(first.image_id, BACKBONE), (second.image_id, BACKBONE)}
    vector = bytes(first.image.embeddings.get().vector)
    assert vector == b"\x00\x38\x00\xc0\xff\x7b\x8e\x06"
    assert np.frombuffer(vector, "<f2").tolist() == VECTOR.tolist()


def test_stores_nothing_without_features(queue: Queue) -> None:
    _answer(_queued(1), classifier=FakeClassifier())
    _answer(_queued(content=b"no picture"))
    assert _stored() == set()


def test_stores_an_image_once_for_each_backbone(queue: Queue) -> None:
    image = stored_image()
    _answer(*[stored_prediction(image, state="queued") for _ in range(3)])
    changed, other = FakeWithFeatures(), FakeWithFeatures()
    changed.vector = VECTOR[::-1]
    _answer(stored_prediction(image, state="queued"), classifier=changed)
    other.backbone = "another"
    _answer(stored_prediction(image, state="queued"), classifier=other)
    assert _stored() == {(image.pk, BACKBONE), (image.pk, "another")}
    assert bytes(Embedding.objects.get(backbone=BACKBONE).vector) == VECTOR.tobytes()


@pytest.mark.parametrize("count", [1, 3, 20])
def test_takes_one_query_for_a_batch(
    queue: Queue, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    predictions = [_queued(seed) for seed in range(count)]
    with django_assert_num_queries(9):  # one more than without features
        _answer(*predictions)
    assert Embedding.objects.count() == count


def test_answers_and_features_are_stored_together_or_not_at_all(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = _queued()

    def away(*_: object, **__: object) -> None:
        raise DatabaseError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Embedding.objects, "bulk_create", away)
        with pytest.raises(DatabaseError, match="the disk is full"):
            _answer(prediction)
    prediction.refresh_from_db()
    assert prediction.is_waiting and _stored() == set()
    _answer(prediction)
    assert _stored() == {(prediction.image_id, BACKBONE)}


def test_stores_no_features_for_a_prediction_that_was_deleted_meanwhile(queue: Queue) -> None:
    prediction = _queued()

    class Deleting(FakeWithFeatures):
        def _answer(self, image: bytes | Exception) -> Classification | Exception:
            erasing.images_erase([prediction.image_id])
            return super()._answer(image)

    _answer(prediction, classifier=Deleting())
    assert _stored() == set()


def test_erasing_an_image_erases_its_features(queue: Queue) -> None:
    erased, other = _queued(1), _queued(2)
    _answer(erased, other)
    erasing.images_erase([erased.image_id])
    assert _stored() == {(other.image_id, BACKBONE)}


def test_picture_that_is_kept_keeps_its_features(queue: Queue) -> None:
    image = stored_image()
    mine, theirs = (stored_prediction(image, state="queued", sender=name) for name in ("me", "them"))
    _answer(mine, theirs)
    assert erasing.prediction_delete(mine.pk, visitor="me") == erasing.Kept.FOR_OTHERS
    assert _stored() == {(image.pk, BACKBONE)}
    assert erasing.prediction_delete(theirs.pk, visitor="them") == erasing.Kept.NOTHING
    assert _stored() == set()


@pytest.mark.django_db(transaction=True)
def test_reused_answer_needs_no_features(queue: Queue, fake_classifier: FakeClassifier) -> None:
    stored_prediction()
    response = Client().post("/api/predict", {"file": upload(picture())})
    assert response.json()["state"] == "done"
    assert (queue.job_ids, _stored()) == ([], set())


@pytest.fixture
def no_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has loaded no model yet."""
    monkeypatch.setattr(classifiers, "_loaded", None)


@pytest.mark.parametrize(("setting", "is_stored"), [(True, True), (False, False)])
@pytest.mark.usefixtures("models", "no_classifier")
def test_setting_turns_features_off(
    queue: Queue, settings: Settings, coffee: bytes, setting: bool, is_stored: bool
) -> None:
    settings.EMBEDDINGS = setting
    prediction = _queued(content=coffee)
    answering.predictions_answer([prediction.pk], classifiers.current())
    prediction.refresh_from_db()
    assert prediction.label == "espresso"
    sizes: list[Any] = [len(vector) for vector in Embedding.objects.values_list("vector", flat=True)]
    assert sizes == ([2 * 1280] if is_stored else [])
