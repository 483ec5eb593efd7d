"""Two workers that answer in batches, under load, while something is killed, locked or broken: each picture is answered
once.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from devtools.load import Load, cut, queue_server
from devtools.running import RunningSite, eventually, folder_with_model
from predictions.tests.pictures import corrupt
from worker.inference.repository import Repository

KILLS = 10
TAKEN_OVER_SECONDS = 15


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[RunningSite]:
    folder = folder_with_model(tmp_path_factory.mktemp("batches"), models.root)
    with RunningSite(folder, WORKERS="2", REUSE_ANSWERS="0") as running:
        yield running


@pytest.fixture(autouse=True)
def both_workers(site: RunningSite) -> None:
    with queue_server(site) as server:
        eventually(lambda: len(_workers(site, server)) == 2, "two workers")


def _workers(site: RunningSite, server: Any) -> dict[int, dict[str, str]]:
    """What the site's living workers say of themselves, by process."""
    keys = server.smembers("rq:workers:predictions")
    entries = [server.hgetall(key) | {"key": key} for key in keys]
    pids = site.pids("rqworker")
    return {int(entry["pid"]): entry for entry in entries if int(entry.get("pid", 0)) in pids}


def _assert_answered_once(load: Load, *, or_failed: str | None = None) -> None:
    """Each accepted picture is; `or_failed`: what may stand in the error of one that is not."""
    for answer in load.settled().values():
        if or_failed is None or answer["state"] == "done":
            assert (answer["state"], answer["error"]) == ("done", None)
        else:
            assert answer["state"] == "failed" and or_failed in answer["error"]["detail"], answer
    assert set(load.announcements.done.values()) <= {0, 1}


def test_two_workers_share_the_work(site: RunningSite) -> None:
    with queue_server(site) as server, Load(site) as load:
        before = _jobs_done(site, server)
        load.until_answered(200)
        _assert_answered_once(load)
        assert not load.refused

        def all_counted() -> bool:
            return sum(_jobs_done(site, server).values()) - sum(before.values()) == len(load.accepted)

        eventually(all_counted, "the count of the last jobs")
        assert all(done > before[pid] for pid, done in _jobs_done(site, server).items())


def _jobs_done(site: RunningSite, server: Any) -> dict[int, int]:
    return {pid: int(entry.get("successful_job_count") or 0) for pid, entry in _workers(site, server).items()}


def test_a_corrupt_picture_in_every_batch(site: RunningSite) -> None:
    with Load(site, lambda number: cut(number) if number % 4 else corrupt()) as load:
        load.until_answered(100)
        answers = load.settled()
    for prediction_id, number in load.accepted.items():
        answer = answers[prediction_id]
        if number % 4:
            assert (answer["state"], answer["error"]) == ("done", None)
        else:
            assert (answer["state"], answer["error"]["code"]) == ("failed", "undecodable")
    assert set(load.announcements.done.values()) <= {0, 1}


def test_a_locked_database(site: RunningSite) -> None:
    file = site.data_dir / "db.sqlite3"
    if not file.exists():
        pytest.skip("DATABASE_URL names another database than SQLite in a file of its own")
    with Load(site) as load:
        load.until_answered(20)
        for _ in range(2):
            other = sqlite3.connect(file, isolation_level=None, timeout=20)
            other.execute("BEGIN IMMEDIATE")
            time.sleep(5)
            other.execute("ROLLBACK")
            other.close()
            load.until_answered(20)
        _assert_answered_once(load)
    assert not load.refused


def _kill_one_with_a_batch(site: RunningSite, server: Any) -> set[str]:
    """Kills a worker that has jobs in hand. Returns them, as `job:execution`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid, entry in _workers(site, server).items():
            process = psutil.Process(pid)
            process.suspend()  # it has in hand what it has now
            in_hand = server.smembers(f"{entry['key']}:executions")
            if in_hand:
                process.kill()
                return set(in_hand)
            process.resume()
        time.sleep(0.01)
    raise AssertionError("no worker had anything in hand")


def test_killed_workers(site: RunningSite) -> None:
    """Ten times in a row, each time one that has a batch in hand."""
    sizes = []
    with queue_server(site) as server, Load(site) as load:
        for _ in range(KILLS):
            in_hand = _kill_one_with_a_batch(site, server)
            sizes.append(len(in_hand))

            def taken_over(dead: set[str] = in_hand) -> bool:
                return not any(server.zscore("rq:wip:predictions", execution) for execution in dead)

            eventually(taken_over, "the taking over", seconds=TAKEN_OVER_SECONDS)
            # So that no picture is struck three times by chance, and each kill finds two workers.
            load.until_answered(len(in_hand) + 20)
            eventually(lambda: len(_workers(site, server)) == 2, "two workers")
        _assert_answered_once(load, or_failed="AbandonedJobError")
    assert not load.refused
    assert max(sizes) > 1, "no batch was struck"


def test_a_killed_queue_server(site: RunningSite) -> None:
    if "REDIS_URL" in os.environ:
        pytest.skip("REDIS_URL names a queue server, so there is none of our own to kill")
    with Load(site) as load:
        for _ in range(3):
            load.until_answered(50)
            (pid,) = site.pids("valkey-server")
            psutil.Process(pid).kill()
            eventually(lambda killed=pid: site.pids("valkey-server") not in ([], [killed]), "the restart")
        load.until_answered(50)
        _assert_answered_once(load)
    # Who was not accepted was told so, and when to come again.
    codes: dict[tuple[int, str, bool], Any] = {}
    for response in load.refused:
        codes[response.status_code, response.json()["code"], "Retry-After" in response.headers] = response.text
    assert codes.keys() <= {(503, "queue-unavailable", True)}, codes
