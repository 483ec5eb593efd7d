"""Measuring f32 and bf16: the decision, the alternating computations, and the child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from worker.inference import precision
from worker.inference.precision import Comparison, MeasurementFailed, compare_precisions, measure
from worker.inference.processor import this_processor
from worker.inference.repository import ModelVersion, Repository
from worker.inference.tests.pictures import PHOTOS, photo

LIMIT = 300  # seconds, for a busy machine


@pytest.fixture(scope="module")
def version(models: Repository) -> ModelVersion:
    return models.get("efficientnet-lite0")


@pytest.mark.parametrize(
    ("comparison", "objection"),
    [
        (Comparison(10, 7.5, 36, 0, 0.0), ""),
        (Comparison(10, 7.6, 36, 0, 0.0), "takes 0.76 of the CPU time of f32, more than 0.75"),
        (Comparison(10, 27, 36, 0, 0.0), "takes 2.70 of the CPU time of f32, more than 0.75"),
        (Comparison(10, 5, 4, 1, 0.09), ""),
        (Comparison(10, 5, 4, 2, 0.09), "changes 2 of 4 answers, more than 3%"),
        (Comparison(10, 5, 36, 1, 0.09), ""),
        (Comparison(10, 5, 36, 2, 0.09), "changes 2 of 36 answers, more than 3%"),
        (Comparison(10, 5, 100, 3, 0.09), ""),
        (Comparison(10, 5, 100, 1, 0.1), "changes an answer that is no near-tie: its two labels are 0.10 apart in f32"),
    ],
)
def test_takes_bf16_only_if_it_is_fast_and_agrees(comparison: Comparison, objection: str) -> None:
    assert comparison.objection == objection
    assert comparison.is_better is (objection == "")


class FakeNetwork:
    """Two labels. The first pixel of an image is the percentage of the first label, unless `flips` changes it."""

    def __init__(self, *, cpu_seconds: float = 0.0, flips: Sequence[int] = (), scores: float | None = None) -> None:
        self.cpu_seconds = cpu_seconds
        self.flips = flips
        self.scores = scores
        self.seen: list[int] = []

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        until = time.process_time() + self.cpu_seconds
        while time.process_time() < until:
            pass
        percent = batch[:, 0, 0, 0]
        self.seen += percent.tolist()
        first = np.where(np.isin(percent, self.flips), 100 - percent, percent) / 100
        if self.scores is not None:
            first = np.full(len(batch), self.scores)
        return np.stack([first, 1 - first], axis=1).astype(np.float32)


def _images(*percent: int) -> NDArray[np.uint8]:
    images = np.zeros((len(percent), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = percent
    return images


def test_compares_cpu_time_and_answers() -> None:
    f32, other = FakeNetwork(cpu_seconds=0.003), FakeNetwork(cpu_seconds=0.001, flips=[52, 46])
    found = compare_precisions(f32, other, _images(90, 52, 80, 10, 46))
    assert 0.2 < found.other_ms / found.f32_ms < 0.6
    assert (found.images, found.flips, found.largest_gap) == (5, 2, 0.08)


def test_computes_the_same_images_in_both_ways() -> None:
    f32, other = FakeNetwork(), FakeNetwork()
    compare_precisions(f32, other, _images(*range(51, 81)))
    assert f32.seen == other.seen
    assert set(f32.seen) == set(range(51, 81))


def test_alternates_which_one_is_first() -> None:
    order: list[str] = []
    network = FakeNetwork()

    def noting(name: str, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        order.append(name)
        return network(batch)

    compare_precisions(lambda batch: noting("f32", batch), lambda batch: noting("other", batch), _images(60))
    assert order[2:10] == ["f32", "other", "other", "f32", "f32", "other", "other", "f32"]


def test_looks_at_fewer_images_if_the_network_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "CPU_SECONDS", 0.0)
    found = compare_precisions(FakeNetwork(cpu_seconds=0.001), FakeNetwork(), _images(*range(51, 81)))
    assert found.images == precision.LEAST_ROUNDS * precision.BATCH


def test_rejects_scores_that_are_not_finite() -> None:
    found = compare_precisions(FakeNetwork(cpu_seconds=0.002), FakeNetwork(scores=float("nan")), _images(90, 80))
    assert found.objection.startswith("changes an answer that is no near-tie")


# --- The child process ---------------------------------------------------------------------------


def _measured(version: ModelVersion) -> Comparison:
    try:
        return measure(version, [photo(name) for name in PHOTOS], seconds=LIMIT)
    except MeasurementFailed as error:
        if "bf16 was asked for" in str(error):
            pytest.skip("this processor has no bf16")
        raise


def test_measures_the_real_model(version: ModelVersion) -> None:
    found = _measured(version)
    assert found.images == len(PHOTOS)
    assert found.f32_ms > 0
    assert found.largest_gap < precision.NEAR_TIE


@pytest.mark.skipif("avx512_bf16" not in this_processor().features, reason="needs a processor with AVX512-BF16")
def test_rejects_bf16_that_has_to_be_emulated(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")  # OpenVINO still lists BF16 among its capabilities
    assert "of the CPU time of f32" in _measured(version).objection


def test_leaves_out_images_that_cannot_be_decoded(version: ModelVersion) -> None:
    with pytest.raises(MeasurementFailed, match="there is no image to measure with"):
        measure(version, [b"no image"], seconds=LIMIT)


def _child(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(precision, "CHILD", (sys.executable, "-c", script))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
        ("raise SystemExit('no memory')", "failed: no memory"),
        ("raise SystemExit(3)", "failed: no message"),
        ("print('{}')", "wrote no result"),
        ("", "wrote no result"),
    ],
)
def test_reports_a_child_that_fails(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    _child(monkeypatch, script)
    with pytest.raises(MeasurementFailed, match=message):
        measure(version, [photo("coffee")], seconds=LIMIT)


# Runs the real child, which writes its process id into a file and hangs instead of comparing.
HANGING = """
import os, sys, time
from pathlib import Path
from worker.inference import precision

def hang(*_arguments):
    Path({file!r} + ".new").write_text(str(os.getpid()))
    os.rename({file!r} + ".new", {file!r})
    time.sleep(1000)

precision.compare_precisions = hang
precision.main(*sys.argv[1:])
"""


def _has_ended(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _until(condition: object) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ends_a_child_that_hangs(version: ModelVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    _child(monkeypatch, f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(1000)")
    with pytest.raises(MeasurementFailed, match="took longer than 5 s"):
        measure(version, [photo("coffee")], seconds=5)
    assert _has_ended(int(file.read_text()))


PARENT = """
import sys
from pathlib import Path
from worker.inference import precision
from worker.inference.repository import ModelVersion

precision.CHILD = (sys.executable, "-c", sys.argv[2])
precision.measure(ModelVersion.open(Path(sys.argv[1])), [Path(sys.argv[3]).read_bytes()], seconds=500)
"""


def test_child_ends_with_its_parent(version: ModelVersion, tmp_path: Path) -> None:
    file, image = tmp_path / "pid", tmp_path / "coffee"
    image.write_bytes(photo("coffee"))
    arguments = [str(version.path), HANGING.format(file=str(file)), str(image)]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *arguments], cwd=precision.PROJECT)
    try:
        _until(lambda: file.exists() or parent.poll() is not None)
        child = int(file.read_text())
        assert not _has_ended(child)
        assert os.getsid(child) == child
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    _until(lambda: _has_ended(child))
