"""Images that the active model version has classified before are answered from its earlier answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue

from conftest import ThreadWorker
from predictions import classifiers
from predictions.models import PrecisionMeasurement, Prediction
from predictions.tests.concurrent_writes import ConcurrentWrites
from predictions.tests.fakes import ANSWER, FakeClassifier, stored_image, stored_prediction, upload
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def active(fake_classifier: FakeClassifier, settings: Settings) -> FakeClassifier:
    settings.PREDICT_WAIT_SECONDS = 0.05  # no worker runs, so a request that waits for one times out
    return fake_classifier


def _send(address: str = "/api/predict", seed: int = 0, prefer: str = "") -> Any:
    headers = {"Prefer": prefer} if prefer else {}
    return Client().post(address, {"file": upload(picture(seed=seed), "other.png")}, headers=headers)


def test_reuses_an_earlier_answer(queue: Queue) -> None:
    earlier = stored_prediction(decode_ms=3.0, compute_ms=4.0, source="page")
    response = _send()
    answer = response.json()
    assert (response.status_code, answer["state"], answer["prediction"]) == (200, "done", ANSWER.label)
    assert [(each["label"], each["score"]) for each in answer["labels"]] == [
        (label, round(score, 4)) for label, score in ANSWER.top
    ]
    assert answer["timings"]["decode_ms"] is answer["timings"]["compute_ms"] is None, "nothing was decoded or computed"
    assert queue.job_ids == []

    own = Prediction.objects.get(pk=answer["id"])
    assert own.pk != earlier.pk and own.image == earlier.image
    assert (own.source, own.file_name, own.score, own.top) == ("api", "other.png", earlier.score, earlier.top)
    assert own.model_version == earlier.model_version == answer["model"]
    assert own.started_at is not None and own.finished_at is not None
    assert own.created_at <= own.started_at <= own.finished_at
    earlier.refresh_from_db()
    assert (earlier.decode_ms, earlier.source) == (3.0, "page")


def test_reuses_an_answer_for_respond_async(queue: Queue) -> None:
    stored_prediction()
    response = _send(prefer="respond-async")
    assert (response.status_code, response.json()["state"]) == (200, "done")


def test_reuses_an_answer_on_the_page(queue: Queue) -> None:
    stored_prediction()
    response = _send("/")
    assert response.status_code == 303
    assert Client().get(response["Location"]).text.count("espresso") >= 1
    assert queue.job_ids == []


def test_reuses_an_answer_for_legacy_clients(queue: Queue) -> None:
    stored_prediction()
    assert _send("/predict").json() == {"success": True, "prediction": "espresso", "score": 0.9512}
    assert queue.job_ids == []


def test_reuses_an_answer_after_the_worker_has_stopped(queue: Queue, settings: Settings) -> None:
    settings.PREDICT_WAIT_SECONDS = 20
    worker = ThreadWorker()
    worker.start()
    first = _send().json()
    worker.leave()
    settings.PREDICT_WAIT_SECONDS = 0.05
    second = _send().json()
    assert second["id"] != first["id"]
    assert {**second, "id": "", "timings": "", "links": ""} == {**first, "id": "", "timings": "", "links": ""}
    assert _send(seed=1).json()["state"] == "queued"


def _is_queued(queue: Queue) -> bool:
    response = _send()
    return response.status_code == 202 and queue.job_ids == [response.json()["id"]]


def test_queues_another_picture(queue: Queue) -> None:
    stored_prediction(stored_image(picture(seed=1)))
    assert _is_queued(queue)


@pytest.mark.parametrize("name", ["fake-net@2", "other-net@1", ""])
def test_queues_a_picture_that_another_version_answered(
    queue: Queue, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_prediction()
    monkeypatch.setattr(classifiers, "active_name", lambda: name)
    assert _is_queued(queue)


def test_queues_known_pictures_if_reuse_is_off(queue: Queue, settings: Settings) -> None:
    settings.REUSE_ANSWERS = False
    stored_prediction()
    assert _is_queued(queue)


@pytest.mark.parametrize("recorded", ["f32", "int8", ""])
def test_reuses_answers_of_other_precisions_if_it_is_measured(queue: Queue, settings: Settings, recorded: str) -> None:
    settings.PRECISION = "auto"
    stored_prediction(precision=recorded)
    assert Prediction.objects.get(pk=_send().json()["id"]).precision == recorded
    assert queue.job_ids == []


@pytest.mark.parametrize(("measured", "is_reused"), [("bf16", True), ("f32", False), ("", False)])
def test_reuses_answers_in_bf16_if_a_measurement_has_chosen_it(
    queue: Queue, settings: Settings, measured: str, is_reused: bool
) -> None:
    """Others may come from a time when `PRECISION=bf16` was set."""
    settings.PRECISION = "auto"
    stored_prediction(precision="bf16")
    if measured:
        PrecisionMeasurement.objects.create(
            **{"processor": "Any", "openvino": "1", "model_version": FakeClassifier.version, "chosen": measured},
            **{"f32_ms": 8.0, "bf16_ms": 4.0, "images": 36, "flips": 0, "largest_gap": 0.0},
        )
    assert _is_queued(queue) is not is_reused


@pytest.mark.parametrize(
    ("configured", "recorded", "is_reused"),
    [
        ("f32", "f32", True),
        ("f32", "bf16", False),
        ("bf16", "bf16", True),
        ("bf16", "f32", False),
        ("f32", "int8", True),  # the version's weights are int8, whatever is configured
        ("f32", "", False),  # an earlier release does not say
    ],
)
def test_reuses_answers_of_the_configured_precision_only(
    queue: Queue, settings: Settings, configured: str, recorded: str, is_reused: bool
) -> None:
    settings.PRECISION = configured
    stored_prediction(precision=recorded)
    assert _is_queued(queue) is not is_reused


def test_reuses_the_answer_of_the_configured_precision_among_others(queue: Queue, settings: Settings) -> None:
    for recorded in ("f32", "bf16", ""):
        stored_prediction(precision=recorded)
    settings.PRECISION = "bf16"
    assert Prediction.objects.get(pk=_send().json()["id"]).precision == "bf16"


@pytest.mark.parametrize("state", [state for state in Prediction.State if state != Prediction.State.DONE])
def test_queues_a_picture_without_an_answer(queue: Queue, state: Prediction.State) -> None:
    stored_prediction(state=state, model_version="fake-net@1", error_code="undecodable" if state == "failed" else "")
    assert _is_queued(queue)


def test_reuses_answers_within_a_group(queue: Queue) -> None:
    """Some pictures of the group are known, and one of them has several answers."""
    for _ in range(3):
        stored_prediction(stored_image(picture(seed=1)))
    stored_prediction(stored_image(picture(seed=2)), model_version="other-net@1")
    stored_image(picture(seed=3))
    writes = ConcurrentWrites()
    writes.write_together({"seed": 1}, {"seed": 2}, {"seed": 3}, {"seed": 1}, {"seed": 4})
    assert writes.states() == ["done", "queued", "queued", "done", "queued"]
    assert set(queue.job_ids) == {str(writes.predictions[number].pk) for number in (1, 2, 4)}


def test_reads_one_answer_of_a_popular_picture(queue: Queue, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    image = stored_image()
    for _ in range(50):
        stored_prediction(image)
    with django_assert_num_queries(5) as queries:
        assert _send().json()["state"] == "done"
    assert any("LIMIT 1" in query["sql"] for query in queries.captured_queries)
