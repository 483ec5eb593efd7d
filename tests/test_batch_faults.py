"""Two batch workers under load, while something is killed, locked or broken: each photo is answered once."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from devtools.load import SiteLoad, cut, queue_connection
from devtools.running import NO_CLIENT_LIMITS, RunningSite, eventually, folder_with_model
from predictions.tests.pictures import corrupt
from worker.inference.repository import Repository

KILLS = 10
TAKEN_OVER_SECONDS = 15


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[RunningSite]:
    folder = folder_with_model(tmp_path_factory.mktemp("batches"), models.root)
    with RunningSite(folder, WORKERS="2", REUSE_ANSWERS="0", **NO_CLIENT_LIMITS) as running:
        yield running


@pytest.fixture(autouse=True)
def both_workers(site: RunningSite) -> None:
    with queue_connection(site) as server:
        eventually(lambda: len(_workers(site, server)) == 2, "two workers")


def _workers(site: RunningSite, server: Any) -> dict[int, dict[str, str]]:
    """Returns the Redis entries of the site's live workers, by process."""
    keys = server.smembers("rq:workers:predictions")
    entries = [server.hgetall(key) | {"key": key} for key in keys]
    pids = site.pids("rqworker")
    return {int(entry["pid"]): entry for entry in entries if int(entry.get("pid", 0)) in pids}


def _assert_answered_once(load: SiteLoad, *, or_failed: str | None = None) -> None:
    """Checks each accepted photo. `or_failed`: the error that a failed one may have."""
    for answer in load.settled().values():
        if or_failed is None or answer["state"] == "done":
            assert (answer["state"], answer["error"]) == ("done", None)
        else:
            assert answer["state"] == "failed" and or_failed in answer["error"]["detail"], answer
    assert set(load.announcements.done.values()) <= {0, 1}


def test_two_workers_share_the_work(site: RunningSite) -> None:
    with queue_connection(site) as server, SiteLoad(site) as load:
        before = _jobs_done(site, server)
        load.until_answered(200)
        _assert_answered_once(load)
        assert not load.rejected

        def all_counted() -> bool:
            return sum(_jobs_done(site, server).values()) - sum(before.values()) == len(load.accepted)

        eventually(all_counted, "the count of the last jobs")
        assert all(done > before[pid] for pid, done in _jobs_done(site, server).items())


def _jobs_done(site: RunningSite, server: Any) -> dict[int, int]:
    return {pid: int(entry.get("successful_job_count") or 0) for pid, entry in _workers(site, server).items()}


def test_corrupt_photos_fail_alone(site: RunningSite) -> None:
    with SiteLoad(site, lambda number: cut(number) if number % 4 else corrupt()) as load:
        load.until_answered(100)
        answers = load.settled()
    for prediction_id, number in load.accepted.items():
        answer = answers[prediction_id]
        if number % 4:
            assert (answer["state"], answer["error"]) == ("done", None)
        else:
            assert (answer["state"], answer["error"]["code"]) == ("failed", "undecodable")
    assert set(load.announcements.done.values()) <= {0, 1}


def test_locked_database_loses_no_prediction(site: RunningSite) -> None:
    file = site.data_dir / "db.sqlite3"
    if not file.exists():
        pytest.skip("DATABASE_URL names another database than the site's SQLite file")
    with SiteLoad(site) as load:
        load.until_answered(20)
        for _ in range(2):
            other = sqlite3.connect(file, isolation_level=None, timeout=20)
            other.execute("BEGIN IMMEDIATE")
            time.sleep(5)
            other.execute("ROLLBACK")
            other.close()
            load.until_answered(20)
        _assert_answered_once(load)
    assert not load.rejected


def _kill_one_with_a_batch(site: RunningSite, server: Any) -> set[str]:
    """Kills a worker that holds jobs. Returns them, as `job:execution`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid, entry in _workers(site, server).items():
            process = psutil.Process(pid)
            process.suspend()  # so that its jobs do not change
            held = server.smembers(f"{entry['key']}:executions")
            if held:
                process.kill()
                return set(held)
            process.resume()
        time.sleep(0.01)
    raise AssertionError("no worker held a job")


def test_killed_workers_lose_no_prediction(site: RunningSite) -> None:
    """Kills ten workers in a row, each while it holds a batch."""
    sizes = []
    with queue_connection(site) as server, SiteLoad(site) as load:
        for _ in range(KILLS):
            held = _kill_one_with_a_batch(site, server)
            sizes.append(len(held))

            def taken_over(dead: set[str] = held) -> bool:
                return not any(server.zscore("rq:wip:predictions", execution) for execution in dead)

            eventually(taken_over, "the takeover", seconds=TAKEN_OVER_SECONDS)
            # So that no photo is hit three times by chance, and each kill finds two workers.
            load.until_answered(len(held) + 20)
            eventually(lambda: len(_workers(site, server)) == 2, "two workers")
        _assert_answered_once(load, or_failed="AbandonedJobError")
    assert not load.rejected
    assert max(sizes) > 1, "no batch was hit"


def test_killed_queue_connection_loses_no_prediction(site: RunningSite) -> None:
    if "REDIS_URL" in os.environ:
        pytest.skip("REDIS_URL names a queue server, so the site has none to kill")
    with SiteLoad(site) as load:
        for _ in range(3):
            load.until_answered(50)
            (pid,) = site.pids("valkey-server")
            psutil.Process(pid).kill()
            eventually(lambda killed=pid: site.pids("valkey-server") not in ([], [killed]), "the restart")
        load.until_answered(50)
        _assert_answered_once(load)
    # Rejected clients received a code and Retry-After.
    codes: dict[tuple[int, str, bool], Any] = {}
    for response in load.rejected:
        codes[response.status_code, response.json()["code"], "Retry-After" in response.headers] = response.text
    assert codes.keys() <= {(503, "queue-unavailable", True)}, codes
