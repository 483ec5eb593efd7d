"""How `manage.py up` prepares the programs that it starts. tests/test_up.py checks that it starts and stops them."""

import resource
import socket

import pytest
from django.core.management import CommandError

from devtools.running import free_port
from mlsite.management.commands import up


@pytest.fixture
def few_files():
    """Lowers the soft limit of this process to 1,024 files, as in many shells. Returns the hard limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_raises_the_limit_of_open_files(few_files: int) -> None:
    up._allow_open_files()
    wanted = up.OPEN_FILES if few_files == resource.RLIM_INFINITY else min(up.OPEN_FILES, few_files)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, few_files)


def test_keeps_a_limit_that_is_high_enough(few_files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "OPEN_FILES", 100)
    up._allow_open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1024


@pytest.mark.parametrize(("address", "nice"), [(("127.0.0.1", 8000), True), (None, False)])
def test_workers_have_lower_priority_than_a_web_server_beside_them(address: tuple[str, int] | None, nice: bool) -> None:
    workers = [program for program in up._programs(address, 2) if program.name.startswith("worker")]
    assert len(workers) == 2
    assert all((program.command[:2] == ["nice", "-n"]) is nice for program in workers)
    assert all(program.command[-2:] == ["rqworker", "predictions"] for program in workers)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_url_of_a_host(host: str, url: str) -> None:
    assert up._url((host, 8000)) == url


def test_names_a_taken_ipv6_port() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken, pytest.raises(CommandError, match="taken"):
        up._require_free("::1", taken.getsockname()[1])
    up._require_free("::1", free_port())
