"""Passwords are hashed one at a time."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password
from django.contrib.auth.models import Group, User
from django.test import Client

from mlsite import password_hashing
from mlsite.password_hashing import SerialPBKDF2PasswordHasher
from review import roles

PASSWORD = "a-long-enough-secret"


def test_the_hashes_are_those_of_django() -> None:
    ours, django = SerialPBKDF2PasswordHasher(), PBKDF2PasswordHasher()
    assert ours.encode(PASSWORD, "salt", 1000) == django.encode(PASSWORD, "salt", 1000)
    assert check_password(PASSWORD, django.encode(PASSWORD, "a-salt", 1000))
    assert make_password(PASSWORD).startswith("pbkdf2_sha256$1")


def test_hashes_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = [], []

    def encode(self: object, password: str, *_: object) -> str:
        running.append(password)
        most.append(len(running))
        threading.Event().wait(0.01)
        running.remove(password)
        return password

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", encode)
    with ThreadPoolExecutor(10) as pool:
        hashes = list(pool.map(lambda number: SerialPBKDF2PasswordHasher().encode(str(number), ""), range(30)))
    assert hashes == [str(number) for number in range(30)]
    assert set(most) == {1}


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_only_the_hashing_thread_has_a_low_priority() -> None:
    before = _niceness()
    assert password_hashing._thread.submit(_niceness).result() == min(19, before + password_hashing._NICENESS)
    assert _niceness() == before


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_hashes_in_a_process_of_low_priority() -> None:
    """Only root may raise a priority, as to a fixed one. For other users no login would work after `nice make run`."""

    def niceness_in_a_nice_process() -> int:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _niceness() + 5)  # its threads inherit it
        with ThreadPoolExecutor(1, initializer=password_hashing._lower_priority) as hashing:
            return hashing.submit(_niceness).result()

    with ThreadPoolExecutor(1) as process:
        niceness = process.submit(niceness_in_a_nice_process).result()
    assert niceness == min(19, _niceness() + 5 + password_hashing._NICENESS)


@pytest.fixture
def hashing_is_busy(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The thread hashes another password until the event is set."""
    may_end = threading.Event()
    monkeypatch.setattr(password_hashing, "WAIT_SECONDS", 0.05)
    password_hashing._thread.submit(may_end.wait, 30)
    return may_end


@pytest.mark.django_db
def test_every_form_with_a_password_answers_503_if_it_would_take_too_long(
    lead: Client, hashing_is_busy: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = User.objects.create(username="ada", is_staff=True)
    ada.groups.add(Group.objects.get(name=roles.REVIEWERS))
    new = {"password1": PASSWORD, "password2": PASSWORD}
    forms = {
        "/admin/login/": {"username": "lead", "password": PASSWORD},
        "/admin/auth/user/add/": {"username": "bob", "role": roles.REVIEWERS, **new},
        f"/admin/auth/user/{ada.pk}/password/": new,
    }
    try:
        for path, values in forms.items():
            client = Client() if "login" in path else lead
            response = client.post(path, values)
            assert response.status_code == 503, path
            assert response["Retry-After"] == "5"
            assert "Other passwords have to be checked first. Please try again in 5 s." in response.text
    finally:
        hashing_is_busy.set()
    assert not User.objects.filter(username="bob").exists()
    monkeypatch.setattr(password_hashing, "WAIT_SECONDS", 60)
    assert lead.post("/admin/auth/user/add/", forms["/admin/auth/user/add/"]).status_code == 302
    assert User.objects.get(username="bob").check_password(PASSWORD)


@pytest.mark.django_db
def test_a_login_that_was_given_up_is_not_hashed(hashing_is_busy: threading.Event, monkeypatch) -> None:
    hashed: list[object] = []
    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", lambda _self, *arguments: hashed.append(arguments))
    assert Client().post("/admin/login/", {"username": "x", "password": "y"}).status_code == 503
    hashing_is_busy.set()
    password_hashing._thread.submit(int).result()
    assert hashed == []
