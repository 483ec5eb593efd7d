"""Counts and percentiles of the recorded answers."""

import json

from stress.recorder import FAILED, MOST_REASONS, OK, REFUSED, Latencies, Recorder, merged


def test_percentiles_are_recorded_values() -> None:
    found = Latencies(milliseconds=[float(number) for number in range(100, 0, -1)]).figures()
    assert found == {"started": 100, "finished": 0, "mean": 50.5, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert Latencies(milliseconds=[7]).figures()["p50"] == 7


def test_figures_without_requests_are_empty() -> None:
    assert Latencies().figures()["p99"] is None


def test_only_the_window_counts() -> None:
    recorder = Recorder(begins=100, ends=110)
    recorder.add("x", OK, started=99, milliseconds=2000)  # received within the window, but sent before it
    recorder.add("x", OK, started=109, milliseconds=30_000)  # sent within the window, and slow
    recorder.add("x", OK, started=105, milliseconds=10)
    recorder.add("x", OK, started=110, milliseconds=10)
    row = recorder.rows["x", OK]
    assert (row.finished, row.milliseconds) == (2, [30_000, 10])


def test_refusals_are_neither_answers_nor_failures() -> None:
    recorder = Recorder(0, 10)
    for outcome in (OK, REFUSED, REFUSED, FAILED):
        recorder.add("x", outcome, started=1, milliseconds=1, reason="broken")
    found = {outcome: len(row.milliseconds) for (_, outcome), row in recorder.rows.items()}
    assert found == {OK: 1, REFUSED: 2, FAILED: 1}
    assert recorder.reasons == {"broken": 1}


def test_reasons_are_bounded() -> None:
    recorder = Recorder(0, 10)
    for number in range(MOST_REASONS + 5):
        recorder.add("x", FAILED, started=1, milliseconds=1, reason=f"reason {number}")
    recorder.add("x", FAILED, started=1, milliseconds=1, reason="often")
    recorder.add("x", FAILED, started=1, milliseconds=1, reason="often")
    reasons = recorder.as_json()["reasons"]
    assert len(reasons) == MOST_REASONS and reasons["often"] == 2


def test_merges_several_generators() -> None:
    written = []
    for milliseconds in (10, 20.4):
        recorder = Recorder(0, 10)
        recorder.add("x", OK, started=1, milliseconds=milliseconds)
        recorder.add("y", FAILED, started=1, milliseconds=1, reason="broken")
        written.append(json.loads(json.dumps(recorder.as_json())))
    rows, reasons = merged(written)
    assert rows["x", OK].figures() == {
        **{"started": 2, "finished": 2, "mean": 15.2},
        **{"p50": 10, "p95": 20.4, "p99": 20.4, "max": 20.4},
    }
    assert reasons == {"broken": 2}
