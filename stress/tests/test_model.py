"""The cost model: it estimates known costs, obeys queueing laws, and reports its errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stress.__main__ import main
from stress.bench.files import with_part
from stress.matrix.cells import Cell, ResultsFolder
from stress.model.command import describe
from stress.model.costs import QUEUE_SECONDS, Costs, EngineCosts, calibration, costs
from stress.model.queueing import MOST_WAITING, UserMix, forecast
from stress.report.measured import Matrix, Measured
from stress.tests.conftest import SETTINGS, row

KNOWN = Costs(
    cores=2,
    usable=1.0,
    queue_filled=1.0,
    web_prediction=0.002,
    web_page=0.001,
    web_refusal=0.0004,
    rest_prediction=0.0005,
    generator_request=0.0003,
    engines={("openvino", 1): EngineCosts(each=0.012, batch=0.004, light_ms=30, cores_single=1.0, cores_batch=2.0)},
)
CLIENTS_ONLY = replace(SETTINGS, visitor_weight=0, person_weight=0, api_weight=1, reviewers=0)


def _cell(users: int, *, batch_size: int = 32, workers: int = 1) -> Cell:
    return Cell("openvino", batch_size, workers, users)


def _made(measured: Callable[..., Measured], users: int, batch_size: int, rate: float, **more: Any) -> Measured:
    """Makes a cell whose CPU times follow `KNOWN`."""
    batches, pages, statics, refused = rate / min(batch_size, 4), users / 10, users / 5, more.pop("refused", 0)
    web = rate * 0.002 + pages * 0.001 + refused / 10 * 0.0004
    worker = rate * 0.012 + batches * 0.004
    total = rate + pages + statics + refused / 10
    cpu = {"web": web, "worker": worker, "valkey": rate * 0.0005, "exporter": 0, "supervisor": 0}
    mean = more.pop("mean", 30)
    requests = {
        "/": {"ok": row(round(pages * 10), 20)},
        "/static/": {"ok": row(round(statics * 10), 2)},
        "/api/predict": {"ok": row(round(rate * 10), mean)} | ({"refused": row(refused, 5)} if refused else {}),
    }
    return measured(
        users,
        batch_size=batch_size,
        requests=requests,
        cpu_seconds={name: 10 * value for name, value in {**cpu, "locust": total * 0.0003}.items()},
        cpu_seconds_of_others=0.0,
        rows={"answered": round(rate * 10), "batches": round(batches * 10)},
        **more,
    )


def test_estimates_known_costs(measured: Callable[..., Measured]) -> None:
    cells = [
        _made(measured, 50, 1, 8),
        _made(measured, 50, 32, 9),
        _made(measured, 250, 1, 40),
        _made(measured, 250, 32, 48),
        _made(measured, 1000, 1, 60, refused=900, mean=9000),
        _made(measured, 1000, 32, 90, refused=500, mean=9000),
        _made(measured, 5000, 1, 50, refused=2000, mean=9000),
        _made(measured, 5000, 32, 70, refused=1500, mean=9000),
    ]
    assert {each.cell.users for each in calibration(Matrix(cells[2:]))} == {250, 5000}
    matrix = Matrix([*cells, _made(measured, 500, 32, 80)])
    assert [each.cell for each in calibration(matrix)] == [each.cell for each in matrix if each in cells]
    found = costs(calibration(matrix))
    for name in ("web_prediction", "web_page", "web_refusal", "rest_prediction", "generator_request"):
        assert getattr(found, name) == pytest.approx(getattr(KNOWN, name), rel=0.15), name
    engine = found.engines["openvino", 1]
    assert engine.each == pytest.approx(0.012, rel=0.02) and engine.batch == pytest.approx(0.004, rel=0.05)
    assert engine.light_ms == 30
    # As busy as the worker was with 1,000 users, who had to wait.
    assert engine.cores_single == pytest.approx(60 * 0.016) and engine.cores_batch == pytest.approx(90 * 0.013)


def test_costs_depend_on_the_number_of_workers(measured: Callable[..., Measured]) -> None:
    two, four = _made(measured, 50, 32, 9, workers=2), _made(measured, 50, 32, 9, workers=4)
    found = costs(calibration(Matrix([_made(measured, 50, 32, 9), two, four])))
    assert set(found.engines) == {("openvino", 1), ("openvino", 2), ("openvino", 4)}
    assert found.engine("openvino", 8) == found.engines["openvino", 4], "nothing better is known"
    with pytest.raises(KeyError):
        found.engine("tensorflow", 1)


def test_light_load_does_not_limit_the_cores_of_a_worker(measured: Callable[..., Measured]) -> None:
    engine = costs([_made(measured, 50, 1, 8), _made(measured, 50, 32, 9)]).engines["openvino", 1]
    assert (engine.cores_single, engine.cores_batch) == (1.0, 2.0)


def test_saturated_cells_do_not_limit_the_cores_of_a_worker(measured: Callable[..., Measured]) -> None:
    def together(rate: float) -> float:
        mix = _made(measured, 1000, 32, rate, mean=9000)
        return costs([_made(measured, 50, 32, 9), mix]).engines["openvino", 1].cores_batch

    assert together(70) == pytest.approx(70 * 0.013)
    assert together(120) == 2.0, "all threads"


def test_waiting_time_where_most_are_refused_is_measured(measured: Callable[..., Measured]) -> None:
    mix = _made(measured, 5000, 32, 70, refused=1500, mean=9000)
    assert costs([_made(measured, 50, 32, 9), mix]).queue_filled == pytest.approx(9 / QUEUE_SECONDS)
    assert costs([_made(measured, 50, 32, 9)]).queue_filled == 1
    half = replace(KNOWN, queue_filled=0.5)
    assert forecast(_cell(5000), SETTINGS, half).seconds == pytest.approx(QUEUE_SECONDS / 2, rel=0.01)


def test_few_users_do_not_wait() -> None:
    expected = forecast(_cell(10), CLIENTS_ONLY, KNOWN)
    assert expected.rate == pytest.approx(10 / (5 + 0.03), rel=0.01)
    assert expected.seconds == pytest.approx(0.03, rel=0.1)
    assert expected.refused == 0 and expected.batch == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("users", [10, 100, 400, 700, 1000])
def test_littles_law_holds_without_refusals(users: int) -> None:
    expected = forecast(_cell(users), CLIENTS_ONLY, KNOWN)
    if not expected.refused:
        assert expected.rate * (5 + expected.seconds) == pytest.approx(users, rel=0.03)
    assert expected.refused == 0 or users > 600


def test_rate_is_limited_by_the_cores() -> None:
    rates = [forecast(_cell(users), CLIENTS_ONLY, KNOWN).rate for users in (10, 100, 500, 1000, 5000)]
    everything = 0.012 + 0.004 / 32 + 0.002 + 0.0005 + 0.0003  # CPU seconds of a prediction in full batches
    assert rates[0] < rates[1] < rates[2] <= 2 / everything * 1.01
    assert max(rates) == pytest.approx(2 / everything, rel=0.05)
    assert rates[-1] < max(rates)  # refusals take their share


def test_waiting_is_bounded_where_many_are_refused() -> None:
    expected = forecast(_cell(5000), CLIENTS_ONLY, KNOWN)
    impatient = forecast(_cell(5000), replace(CLIENTS_ONLY, patient=False), KNOWN)
    assert 0.3 < expected.refused < impatient.refused < 1
    assert expected.seconds == pytest.approx(MOST_WAITING / expected.rate, rel=0.1)
    assert forecast(_cell(5000), SETTINGS, KNOWN).seconds <= QUEUE_SECONDS + 0.03 + 1e-6


def test_one_picture_at_a_time_uses_one_core() -> None:
    alone = forecast(_cell(1000, batch_size=1), CLIENTS_ONLY, KNOWN).rate
    assert alone == pytest.approx(1 / 0.016, rel=0.02)
    assert forecast(_cell(1000, batch_size=1, workers=2), CLIENTS_ONLY, KNOWN).rate > 1.5 * alone


def test_cores_of_unrelated_programs_are_missing() -> None:
    free, taken = (forecast(_cell(1000), CLIENTS_ONLY, KNOWN, other_cores=other_cores).rate for other_cores in (0, 1))
    assert taken == pytest.approx(free / 2, rel=0.05)


def test_user_mix_follows_the_weights() -> None:
    mix = UserMix.of(101, SETTINGS)
    assert (mix.visitors, mix.clients, mix.people, mix.reviewers, mix.think) == (20, 60, 20, 1, 5)


def test_reports_its_errors(measured: Callable[..., Measured]) -> None:
    used = [_made(measured, users, size, users / 10) for users in (50, 250) for size in (1, 32)]
    settings = {**vars(SETTINGS)}
    test = _made(measured, 100, 32, 12, settings=settings)
    few = _made(measured, 10, 32, 9)  # 90 predictions
    text = describe(Matrix([*used, test, few]), used, costs(used))
    assert "estimated from 4 of 6 cells" in text and "| openvino, 1 worker, batch 1, 50 users * |" in text
    assert "Goal met: the rate within 20% in every cell" in text and "1 of 1; half of them within" in text
    assert "Not counted: 1 with fewer than 100 predictions" in " ".join(text.split())
    wrong = _made(measured, 100, 32, 25)
    text = describe(Matrix([*used, wrong]), used, costs(used))
    assert "GOAL MISSED" in text and "0 of 1" in text
    assert "No cells were measured that can test the model." in describe(Matrix(used), used, costs(used))


def test_command_writes_its_part_of_the_page(
    measured: Callable[..., Measured], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "scaling.md"
    page.write_text("Before.\n<!-- model -->\nold\n<!-- /model -->\nAfter.\n")
    monkeypatch.setattr("sys.argv", ["stress", "model", "--results", str(tmp_path / "results"), "--page", str(page)])
    assert main() == 1
    cell = _made(measured, 50, 1, 8)
    found = {name: value for name, value in cell.found.items() if name != "settings"}
    ResultsFolder(tmp_path / "results").write(cell.cell, SETTINGS, found)
    assert main() == 0
    text = page.read_text()
    assert "\nold\n" not in text and text.startswith("Before.\n") and text.endswith("\nAfter.\n")
    assert "openvino, 1 worker, 100,000 predictions/s" in text
    with pytest.raises(ValueError, match="no <!-- model -->"):
        with_part("A page without.", "model", "x")
