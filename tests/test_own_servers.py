"""The Redis databases of test processes that run at the same time."""

import pytest

from devtools.own_servers import redis_databases


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parallel_test_processes_share_no_redis_database(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(count))
    found: list[int] = []
    for index in range(count):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{index}")
        databases = redis_databases()
        assert len(databases) > 3, "one for tests without a site, and one for each of three sites"
        found += databases
    assert len(found) == len(set(found))
