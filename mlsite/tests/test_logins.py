"""Logins: how often and how many at once, the lock of a user name, and what is logged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from mlsite import logins

pytestmark = pytest.mark.django_db

ADA, BOB = "192.0.2.1", "192.0.2.2"
PASSWORD = "a-long-enough-secret"
LIMIT = 3


@pytest.fixture(autouse=True)
def fast_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.AXES_FAILURE_LIMIT = LIMIT


@pytest.fixture
def account() -> User:
    return User.objects.create_user("ada", password=PASSWORD, is_staff=True)


def _log_in(address: str = ADA, username: str = "ada", password: str = "wrong", **extra: Any) -> Any:
    values = {"username": username, "password": password}
    return Client(REMOTE_ADDR=address).post("/admin/login/", values, **extra)


def _statuses(number: int, address: str = ADA, **changes: Any) -> list[int]:
    return [_log_in(address, **changes).status_code for _ in range(number)]


def test_locks_a_user_name_after_repeated_failures(account: User) -> None:
    assert _statuses(LIMIT + 1) == [200, 200, 429, 429]
    locked = _log_in(password=PASSWORD)
    assert (locked.status_code, locked["Retry-After"]) == (429, "900")
    assert "Too many logins with this user name have failed. Please try again in 15 minutes." in locked.text


def test_the_lock_is_for_one_client_and_one_name(account: User) -> None:
    _statuses(LIMIT)
    assert _log_in(BOB, password=PASSWORD).status_code == 302
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    assert _log_in(ADA, username="bob", password=PASSWORD).status_code == 302


def test_an_unknown_user_name_is_locked_alike() -> None:
    assert _statuses(LIMIT + 1, username="nobody") == [200, 200, 429, 429]


def test_an_ipv6_client_cannot_change_its_address_within_its_network(account: User) -> None:
    statuses = [_log_in(f"2001:db8::{number}").status_code for number in range(LIMIT + 1)]
    assert statuses == [200, 200, 429, 429]
    assert _log_in("2001:db8:0:1::1", password=PASSWORD).status_code == 302


def test_another_browser_is_the_same_client(account: User) -> None:
    statuses = [_log_in(headers={"User-Agent": f"browser {number}"}).status_code for number in range(LIMIT + 1)]
    assert statuses == [200, 200, 429, 429]


def test_a_header_of_the_client_changes_nothing(account: User) -> None:
    statuses = [_log_in(headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code for number in range(LIMIT + 1)]
    assert statuses == [200, 200, 429, 429]


def test_a_client_of_unknown_address_is_locked_alike(account: User) -> None:
    assert _statuses(LIMIT + 1, address="") == [200, 200, 429, 429]


def test_a_successful_login_clears_the_failures(account: User) -> None:
    assert _statuses(LIMIT - 1) == [200, 200]
    assert _log_in(password=PASSWORD).status_code == 302
    assert _statuses(LIMIT - 1) == [200, 200]


def test_the_lock_ends_by_itself(account: User) -> None:
    _statuses(LIMIT)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15))
    assert _log_in(password=PASSWORD).status_code == 302


def test_tries_during_the_lock_do_not_prolong_it(account: User) -> None:
    _statuses(LIMIT)
    locked_at = AccessAttempt.objects.get().attempt_time
    _statuses(5)
    assert AccessAttempt.objects.get().attempt_time == locked_at


@pytest.mark.parametrize("command", [["axes_reset"], ["axes_reset_username", "ada"], ["axes_reset_ip", ADA]])
def test_a_command_ends_the_lock(account: User, command: list[str]) -> None:
    _statuses(LIMIT)
    call_command(*command, stdout=StringIO())
    assert _log_in(password=PASSWORD).status_code == 302


def test_old_failures_are_deleted() -> None:
    for number in range(5):
        _log_in(username=f"name-{number}")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    _log_in(username="another")
    assert list(AccessAttempt.objects.values_list("username", flat=True)) == ["another"]


def test_successful_logins_are_not_recorded(account: User) -> None:
    assert _log_in(password=PASSWORD).status_code == 302
    assert not AccessLog.objects.exists()


def test_passwords_are_not_recorded(account: User) -> None:
    _log_in(password="almost-right")
    assert "almost-right" not in str(AccessAttempt.objects.values().get())


@pytest.mark.parametrize(
    "username", ["a\0b", "x" * 151, "x" * 100_000, "", " ", "ada\n2026 FAKE", "\U0001f600", "\ufdfa" * 150]
)
def test_accepts_any_user_name(username: str) -> None:
    assert _log_in(username=username).status_code == 200
    assert all(len(attempt.username) <= 150 for attempt in AccessAttempt.objects.all())


def test_failures_are_logged_with_name_and_address(account: User, caplog: pytest.LogCaptureFixture) -> None:
    _log_in("::ffff:192.0.2.1", username="ada\n2026 FAKE")
    assert r"Login failed: user name 'ada\n2026 FAKE', from 192.0.2.1." in caplog.messages
    _statuses(LIMIT)
    assert "Login is locked: user name 'ada', from 192.0.2.1." in caplog.messages
    assert "wrong" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("axes")]


# --- Logins at once -------------------------------------------------------------------------------


@contextmanager
def _held(number: int, client: str = ADA) -> Iterator[None]:
    """Holds the slots of this many logins of a client."""
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(logins.login_slots.acquire(client))
        yield


def test_rejects_more_logins_of_one_client_at_once(account: User) -> None:
    with _held(logins.LOGINS_AT_ONCE_PER_CLIENT):
        rejected = _log_in(password=PASSWORD)
        assert (rejected.status_code, rejected["Retry-After"]) == (429, "5")
        assert "Too many people are logging in. Please try again in 5 s." in rejected.text
        assert _log_in(BOB, password=PASSWORD).status_code == 302
    assert _log_in(password=PASSWORD).status_code == 302


def test_bounds_the_logins_of_all_clients_at_once(account: User) -> None:
    with ExitStack() as stack:
        for number in range(logins.LOGINS_AT_ONCE):
            stack.enter_context(_held(1, f"client-{number}"))
        assert _log_in(BOB, password=PASSWORD).status_code == 429
    assert _log_in(BOB, password=PASSWORD).status_code == 302
    assert logins.login_slots.number(BOB) == 0
