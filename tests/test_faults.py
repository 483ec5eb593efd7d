"""Every accepted prediction is answered, even if a process is killed."""

import os
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import PIL.Image
import psutil
import pytest

from devtools.running import RunningSite, eventually

PHOTOS = 40


@pytest.fixture
def photos(coffee: bytes) -> Iterator[list[bytes]]:
    """Distinct photos: cuts of the coffee photo, each moved by one pixel."""
    with PIL.Image.open(BytesIO(coffee)) as photo:
        yield [_cut(photo, left) for left in range(PHOTOS)]


def _cut(photo: PIL.Image.Image, left: int) -> bytes:
    result = BytesIO()
    photo.crop((left, 0, left + 500, 400)).save(result, "JPEG")
    return result.getvalue()


def _accept(site: RunningSite, photos: list[bytes]) -> list[str]:
    answers = [site.predict(photo, Prefer="respond-async") for photo in photos]
    assert {answer.status_code for answer in answers} <= {200, 202}
    return [answer.json()["id"] for answer in answers]


def _accept_and_hold(site: RunningSite, photos: list[bytes]) -> list[str]:
    """Submits predictions while the workers are suspended, so that none is answered yet."""
    workers = [psutil.Process(pid) for pid in site.pids("rqworker")]
    for worker in workers:
        worker.suspend()
    ids = _accept(site, photos)
    states = {site.get(f"/api/predictions/{prediction_id}").json()["state"] for prediction_id in ids}
    assert states <= {"queued", "running"}
    return ids


def _some_answered(site: RunningSite, ids: list[str]) -> bool:
    return any(site.get(f"/api/predictions/{prediction_id}").json()["state"] == "done" for prediction_id in ids)


def _all_answered(site: RunningSite, ids: list[str]) -> bool:
    answers = [site.get(f"/api/predictions/{prediction_id}").json() for prediction_id in ids]
    assert {answer["state"] for answer in answers} <= {"queued", "running", "done"}, answers
    return all(answer["prediction"] == "espresso" for answer in answers)


@pytest.mark.parametrize("part", ["rqworker", "valkey-server", "granian"])
def test_killed_process_loses_no_prediction(data_dir: Path, photos: list[bytes], part: str) -> None:
    with RunningSite(data_dir) as site:
        pids = site.pids(part)
        if not pids:
            pytest.skip("REDIS_URL names a queue server, so the site has none to kill")
        ids = _accept_and_hold(site, photos)
        for worker in site.pids("rqworker"):
            os.kill(worker, signal.SIGCONT)
        eventually(lambda: _some_answered(site, ids), "the first answer")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: "and restarts" in site.output, "the restart")
        eventually(site.is_ready, "readiness")
        eventually(lambda: _all_answered(site, ids), "the last answer", seconds=150)


def test_killing_everything_at_once_loses_no_prediction(data_dir: Path, photos: list[bytes]) -> None:
    """As in a power cut: the next start answers what was accepted."""
    site = RunningSite(data_dir)
    site.start()
    ids = _accept_and_hold(site, photos)
    everything = site.processes()
    site.process.kill()
    for process in everything:
        process.kill()
    site.process.wait()
    for process in everything:
        process.wait(10)

    with RunningSite(data_dir) as site:
        eventually(lambda: _all_answered(site, ids), "the last answer", seconds=150)
