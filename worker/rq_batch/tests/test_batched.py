"""Batched job functions: called directly, and run in a batch in which some jobs fail."""

from __future__ import annotations

import pytest
import redis
from rq import Callback, Queue
from rq.job import Job

from worker.rq_batch import BatchWorker, batched
from worker.rq_batch.batched import batching_of
from worker.rq_batch.bookkeeping import Bookkeeper
from worker.rq_batch.tests import batch_jobs
from worker.rq_batch.tests.batch_jobs import HERE, calls


@batched(max_size=3, max_wait=0.5)
def halves(arguments: list[tuple[int]]) -> list[object]:
    """Halves even numbers."""
    return [number // 2 if number % 2 == 0 else ValueError(number) for (number,) in arguments]


def test_call_runs_one_job() -> None:
    assert halves(8) == 4


def test_call_raises_the_exception_of_its_job() -> None:
    with pytest.raises(ValueError, match="7"):
        halves(7)


def test_decorated_function_keeps_its_name_and_settings() -> None:
    batching = batching_of(halves)
    assert batching is not None
    assert (batching.max_size, batching.max_wait) == (3, 0.5)
    assert (halves.__name__, halves.__doc__) == ("halves", "Halves even numbers.")
    outcomes = batching.run([(8,), (7,), (6,)])
    assert (outcomes[0], repr(outcomes[1]), outcomes[2]) == (4, "ValueError(7)", 3)


@pytest.mark.parametrize("function", [len, None, "text", type("Odd", (), {"batching": "something else"})])
def test_other_objects_have_no_batching(function: object) -> None:
    assert batching_of(function) is None


@pytest.mark.parametrize("outcomes", [[], [1, 2]])
def test_rejects_wrong_number_of_outcomes(outcomes: list[object]) -> None:
    function = batched(max_size=2)(lambda arguments: outcomes)
    with pytest.raises(TypeError, match=f"1 jobs and returned {len(outcomes)} outcomes"):
        function("x")


def test_outcomes_may_be_any_iterable() -> None:
    function = batched(max_size=2)(lambda arguments: (text.upper() for (text,) in arguments))  # type: ignore[arg-type, return-value]
    assert function("x") == "X"


def test_rejects_none_instead_of_outcomes() -> None:
    with pytest.raises(TypeError):
        batched(max_size=2)(lambda arguments: None)("x")  # type: ignore[arg-type, return-value]


def test_rejects_keyword_arguments() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        halves(number=8)


@pytest.mark.parametrize("options", [{"max_size": 0}, {"max_size": 1, "max_wait": -1}])
def test_rejects_invalid_options(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1, and not negative"):
        batched(**options)


# --- In a batch ---


def _run(queue: Queue, function: str, *arguments: tuple[object, ...], **options: object) -> list[Job]:
    """Runs jobs as one batch, and returns them."""
    queued = [queue.enqueue(f"{HERE}.{function}", args=given, **options) for given in arguments]
    BatchWorker([queue]).work(burst=True)
    return queued


def _statuses(jobs: list[Job]) -> list[str]:
    return [job.get_status().value for job in jobs]


def _reason(job: Job) -> str:
    result = job.latest_result()
    assert result is not None and result.exc_string
    return result.exc_string.splitlines()[-1]


def test_exception_among_outcomes_fails_only_its_job(queue: Queue) -> None:
    jobs = _run(queue, "act", ("return", 0), ("raise", 1), ("return", 2))
    assert (calls, _statuses(jobs)) == ([[0, 1, 2]], ["finished", "failed", "finished"])
    assert _reason(jobs[1]) == "ValueError: 1"


@pytest.mark.parametrize("kind", ["raise", "exit"])
def test_jobs_run_alone_after_their_batch_raised(kind: str, queue: Queue) -> None:
    jobs = _run(queue, "all_or_nothing", ("return", 0), (kind, 1), ("return", 2))
    assert (calls, _statuses(jobs)) == ([[0, 1, 2], [0], [1], [2]], ["finished", "failed", "finished"])
    assert _reason(jobs[1]) == {"raise": "ValueError: 1", "exit": "SystemExit: 3"}[kind]


def test_wrong_arguments_fail_only_their_job(queue: Queue) -> None:
    jobs = _run(queue, "all_or_nothing", ("return", 0), ("return",), ("return", 2))
    assert _statuses(jobs) == ["finished", "failed", "finished"]


def test_jobs_run_alone_after_too_few_outcomes(queue: Queue) -> None:
    jobs = _run(queue, "too_few", (0,), (1,))
    assert (calls, _statuses(jobs)) == ([[0, 1], [0], [1]], ["finished", "finished"]), (
        "for one job, the number of outcomes is right"
    )


def test_job_without_outcome_fails(queue: Queue) -> None:
    jobs = _run(queue, "none_at_all", (0,), (1,))
    assert _statuses(jobs) == ["failed", "failed"]
    assert "1 jobs and returned 0 outcomes" in _reason(jobs[0])


def test_time_out_fails_only_its_job(queue: Queue) -> None:
    jobs = _run(queue, "all_or_nothing", ("return", 0), ("sleep", 20), ("return", 2), job_timeout=1)
    assert _statuses(jobs) == ["finished", "failed", "finished"]
    # Without the seconds: once a process has used RQ's timer for threads, each message has those of the first job.
    assert _reason(jobs[1]).startswith("rq.timeouts.JobTimeoutException: Task exceeded maximum timeout value")


def test_callbacks_are_called_once_although_the_batch_ran_twice(queue: Queue) -> None:
    callbacks = {"on_success": Callback(f"{HERE}.succeeded"), "on_failure": Callback(f"{HERE}.failed")}
    jobs = _run(queue, "all_or_nothing", ("return", 0), ("raise", 1), ("return", 2), **callbacks)
    assert [int(jobs[0].connection.get(f"batches:{end}") or 0) for end in ("succeeded", "failed")] == [2, 1]


def test_results_are_kept_while_the_server_restarts(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, errors = Bookkeeper.finish, [redis.ConnectionError("gone"), redis.TimeoutError("slow")]

    def fail_twice(*args: object) -> object:
        if errors:
            raise errors.pop()
        return finish(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Bookkeeper, "finish", fail_twice)
    jobs = _run(queue, "act", ("return", 0), ("return", 1))
    assert (calls, _statuses(jobs)) == ([[0, 1]], ["finished", "finished"])


@pytest.mark.parametrize(("job_timeout", "expected"), [(10, (10 + 60) * 3), (-1, 420 * 3)])
def test_execution_lasts_for_all_attempts_of_its_batch(
    job_timeout: int, expected: int, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs make three attempts: one together and one each. RQ allows 60 s more each, or 420 s without a limit."""
    found = {}

    def look(arguments: list[tuple[object, ...]]) -> list[object]:
        found.update({key: queue.connection.ttl(key) for key in queue.connection.keys("rq:execution:*")})
        return [None] * len(arguments)

    monkeypatch.setattr(batch_jobs, "act", batched(max_size=2)(look))
    _run(queue, "act", (1,), (2,), job_timeout=job_timeout)
    assert list(found.values()) == [pytest.approx(expected, abs=5)] * 2
