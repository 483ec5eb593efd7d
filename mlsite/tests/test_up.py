"""What `manage.py up` gives to the programs that it starts. That it starts and stops them: see tests/test_up.py."""

import resource

import pytest

from mlsite.management.commands import up


@pytest.fixture
def few_files():
    """A soft limit of this process as many shells have it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_thousands_of_connections_may_be_open(few_files: int) -> None:
    up._allow_open_files()
    wanted = up.OPEN_FILES if few_files == resource.RLIM_INFINITY else min(up.OPEN_FILES, few_files)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, few_files)


def test_a_limit_that_is_high_enough_stays(few_files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "OPEN_FILES", 100)
    up._allow_open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1024


@pytest.mark.parametrize(("address", "nice"), [(("127.0.0.1", 8000), True), (None, False)])
def test_workers_give_way_to_a_web_server_on_the_same_machine(address: tuple[str, int] | None, nice: bool) -> None:
    workers = [program for program in up._programs(address, 2) if program.name.startswith("worker")]
    assert len(workers) == 2
    assert all((program.command[:2] == ["nice", "-n"]) is nice for program in workers)
    assert all(program.command[-2:] == ["rqworker", "predictions"] for program in workers)
