"""The containers of docker-compose.yml: what they contain, and that they lose no prediction under load.

Only `make test-compose` runs these tests. They share one system and run in the order of this file.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from devtools.load import SiteLoad, queue_connection
from devtools.running import eventually
from tests.compose.composed import ComposedSite

LEAST_ANSWERS = 100  # under load, before and after each fault


@pytest.fixture(scope="module")
def site() -> Iterator[ComposedSite]:
    # Without REUSE_ANSWERS, workers compute photos that were sent before.
    with ComposedSite(REUSE_ANSWERS="false", LOG_FORMAT="json") as running:
        yield running


@pytest.fixture
def load(site: ComposedSite) -> Iterator[SiteLoad]:
    with SiteLoad(site, clients=2) as load:
        load.until_answered(LEAST_ANSWERS)
        yield load


def _assert_answered_once(site: ComposedSite, load: SiteLoad, *, all_heard: bool = True) -> None:
    """Checks that each accepted photo was answered once. `all_heard`: no announcement can have been lost."""
    load.until_answered(LEAST_ANSWERS, seconds=120)
    answers = load.settled()
    assert len(answers) == len(load.accepted) >= 2 * LEAST_ANSWERS
    assert [answer for answer in answers.values() if (answer["state"], answer["success"]) != ("done", True)] == []
    for prediction_id in load.accepted:
        assert load.announcements.done[prediction_id] <= 1
        assert load.announcements.done[prediction_id] == 1 or not all_heard
    ids = ",".join(f"'{prediction_id}'" for prediction_id in load.accepted)
    rows = f"select count(*), count(distinct id), count(label) from predictions_prediction where id in ({ids})"
    assert site.query(rows) == "|".join([str(len(load.accepted))] * 3)


def _living_workers(site: ComposedSite) -> int:
    with queue_connection(site) as server:
        return int(server.scard("rq:workers:predictions"))


def test_answers_a_photo(site: ComposedSite, coffee: bytes) -> None:
    answer = site.predict(coffee)
    assert answer.status_code == 200
    assert answer.json()["prediction"] == "espresso"
    assert answer.json()["score"] > 0.9


def test_feedback_is_a_row_and_a_line(site: ComposedSite, coffee: bytes) -> None:
    prediction = site.predict(coffee).json()["id"]
    statement = {
        "prediction": prediction,
        "verdict": "wrong",
        "expected_label": "cup",
        "comment": "said in a container",
    }
    assert requests.post(f"{site.url}/api/feedback", json=statement, timeout=30).status_code == 201
    row = site.query(
        f"select verdict, expected_label, comment from feedback_feedback where prediction_id='{prediction}'"
    )
    assert row == "wrong|cup|said in a container"
    lines = site.execute("web", "cat", "/src/feedback/feedback").splitlines()
    assert [prediction in line and "said in a container" in line for line in lines] == [True]


def test_request_id_is_in_the_logs_of_web_and_worker(site: ComposedSite, coffee: bytes) -> None:
    assert site.predict(coffee, **{"X-Request-ID": "look-for-me"}).headers["X-Request-ID"] == "look-for-me"
    for service in ("web", "worker"):

        def said(service: str = service) -> bool:
            logs = site.compose("logs", "--no-color", service)
            return '"request_id": "look-for-me"' in logs

        eventually(said, f"a line of {service} with the request's id", 20)


def test_containers_are_unprivileged_and_have_no_compiler(site: ComposedSite) -> None:
    for service in ("web", "worker", "exporter"):
        assert site.execute(service, "id", "-u").strip() == "10001"
        found = site.execute(service, "sh", "-c", "command -v gcc cc make ld || echo none")
        assert found.strip() == "none"
    has_tensorflow = "import importlib.util; print(importlib.util.find_spec('tensorflow') is not None)"
    assert site.execute("worker", "python", "-c", has_tensorflow).strip() == "False"
    assert site.execute("exporter", "python", "-c", has_tensorflow).strip() == "True"
    # docker-compose.yml gives each worker the time of one core.
    cores = "from worker.inference.cores import usable_cores; print(usable_cores())"
    assert site.execute("worker", "python", "-c", cores).strip() == "1"


def test_killed_worker_loses_no_prediction(site: ComposedSite, load: SiteLoad) -> None:
    site.scale(2)
    eventually(lambda: _living_workers(site) == 2, "two workers", 120)
    killed = site.containers("worker")[0]
    site.docker("kill", "--signal=KILL", killed)
    assert len(site.containers("worker")) == 1
    load.until_answered(LEAST_ANSWERS)
    site.scale(2)
    eventually(lambda: _living_workers(site) == 2, "two workers again", 120)
    _assert_answered_once(site, load)


def test_scaling_workers_loses_no_prediction(site: ComposedSite, load: SiteLoad) -> None:
    for workers in (4, 1):
        site.scale(workers)
        eventually(lambda workers=workers: _living_workers(site) == workers, f"{workers} workers", 120)
        load.until_answered(LEAST_ANSWERS)
    assert not load.rejected
    _assert_answered_once(site, load)


@pytest.mark.parametrize("service", ["redis", "postgres"])
def test_restarted_server_loses_no_prediction(site: ComposedSite, load: SiteLoad, service: str) -> None:
    site.compose("restart", service)
    eventually(site.is_ready, "readiness", 120)
    _assert_answered_once(site, load, all_heard=False)
    assert {response.status_code for response in load.rejected} <= {500, 503}


def test_all_services_are_healthy(site: ComposedSite) -> None:
    for service in ("web", "worker", "exporter", "redis", "postgres"):
        site.until_healthy(service)


def test_feedback_survives_new_containers(site: ComposedSite) -> None:
    before = site.query("select count(*) from feedback_feedback")
    site.compose("down", "--timeout=30")
    site.scale(1)
    eventually(site.is_ready, "readiness", 120)
    assert site.query("select count(*) from feedback_feedback") == before == "1"
    assert "said in a container" in site.execute("web", "cat", "/src/feedback/feedback")
