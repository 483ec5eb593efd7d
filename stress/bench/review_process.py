"""A benchmark process that requests the desk's pages from a large database, as a reviewer does."""

from __future__ import annotations

import os
import time
from typing import Any
from uuid import uuid4

import django

from stress.bench.processes import serve


def answer(rounds: int) -> dict[str, Any]:
    """Measures milliseconds and queries of every page, in `rounds` rounds after one that does not count.

    Django's test client does everything that the server does for a request, except for the sockets.
    """
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # autovacuum would do so within a minute or two
    client = _reviewer()
    pages: dict[str, dict[str, list[float]]] = {}
    for number in range(-1, rounds):
        for name, visit in _visits(client, number).items():
            if not name.endswith("again"):
                cache.clear()  # of the numbers beside the filters
            with CaptureQueriesContext(connection) as queries:
                started = time.perf_counter()
                response = visit()
                milliseconds = (time.perf_counter() - started) * 1000
            if response.status_code not in {200, 303}:
                raise RuntimeError(f"{name}: {response.status_code}")
            if number >= 0:
                page = pages.setdefault(name, {"milliseconds": [], "queries": []})
                page["milliseconds"].append(milliseconds)
                page["queries"].append(len(queries))
    return {"pages": pages, "database": connection.vendor, "version": _version(connection)}


def _reviewer() -> Any:
    from django.contrib.auth.models import Group, User
    from django.test import Client

    from review import roles

    user, _created = User.objects.get_or_create(username="bench", defaults={"is_staff": True})
    user.groups.add(Group.objects.get(name=roles.REVIEWERS))
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client


def _visits(client: Any, number: int) -> dict[str, Any]:
    """Returns the requests of one visit, in order. Each round uses another case."""
    from review.models import Case

    case = Case.objects.open().order_by("-weight", "opened_at", "id")[number + 100]
    label = case.predicted_label
    desk = "/admin/review/case/"
    seen = {"seen_decisions": case.decision_count, "seen_prediction": str(case.prediction_id)}
    return {
        "list": lambda: client.get(desk),
        "list, again": lambda: client.get(f"{desk}?p=2"),
        "list, confidently wrong": lambda: client.get(f"{desk}?order=confident"),
        "list, smallest margin": lambda: client.get(f"{desk}?order=margin"),
        "list, oldest": lambda: client.get(f"{desk}?order=oldest"),
        "list, one predicted label": lambda: client.get(f"{desk}?predicted_label={label}"),
        "list, decided ones": lambda: client.get(f"{desk}?state=decided"),
        "list, searched for a label and comments": lambda: client.get(f"{desk}?q=cup"),
        "next for me": lambda: client.post(f"{desk}next/"),
        "focus view": lambda: client.get(f"{desk}{case.pk}/focus/"),
        "decide": lambda: client.post(f"{desk}{case.pk}/decide/", {"verdict": "right", "key": uuid4(), **seen}),
        "undo": lambda: client.post(f"{desk}undo/", {"key": uuid4()}),
        "grid": lambda: client.get(f"{desk}grid/"),
    }


def _version(connection: Any) -> str:
    if connection.vendor == "sqlite":
        from sqlite3 import sqlite_version

        return f"SQLite {sqlite_version}"
    number = connection.pg_version
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlsite.settings")
    django.setup()
    serve(answer)
