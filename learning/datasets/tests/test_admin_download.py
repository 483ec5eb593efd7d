"""Downloading a data set."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.http import http_date

from learning.datasets.tests.data import DECIDED_AT, done_export, queued_export
from learning.models import Export

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 4000  # several blocks


def _url(export: Export) -> str:
    return f"/admin/learning/export/{export.pk}/download/"


def _get(client: Client, export: Export, status: int = 200, **headers: str) -> Any:
    response = client.get(_url(export), headers=headers)
    assert response.status_code == status
    return response


def _text(client: Client, export: Export, status: int) -> str:
    return " ".join(_get(client, export, status).text.split())


def test_it_works(lead: Client) -> None:
    export = done_export(CONTENT)
    response = _get(lead, export)
    assert b"".join(response) == CONTENT
    assert response["ETag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert response["Last-Modified"] == http_date(DECIDED_AT.timestamp())
    assert response["Content-Disposition"] == f'attachment; filename="{export.file_name}"'
    assert (response["Content-Type"], response["Content-Length"]) == ("application/zip", str(len(CONTENT)))
    assert response["Accept-Ranges"] == "bytes"
    assert response["Cache-Control"] == "private, no-cache"


def test_going_on(lead: Client) -> None:
    """As browsers and `curl -C -` do it."""
    export = done_export(CONTENT)
    first = _get(lead, export)
    received, *_lost = first
    rest = _get(lead, export, 206, **{"Range": f"bytes={len(received)}-", "If-Range": first["ETag"]})
    assert received + b"".join(rest) == CONTENT and len(received) < len(CONTENT)
    assert _get(lead, export, 416, Range=f"bytes={len(CONTENT)}-")["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_it_was_made_anew_meanwhile(lead: Client) -> None:
    export = done_export(CONTENT)
    response = _get(lead, export, 200, **{"Range": "bytes=10-", "If-Range": '"another"'})
    assert b"".join(response) == CONTENT


def test_head_and_not_modified(lead: Client) -> None:
    export = done_export(CONTENT)
    response = lead.head(_url(export))
    assert (response.status_code, response["Content-Length"], response.content) == (200, str(len(CONTENT)), b"")
    _get(lead, export, 304, **{"If-None-Match": response["ETag"]})


def test_number_of_queries(lead: Client) -> None:
    export = done_export(CONTENT)
    with CaptureQueriesContext(connection) as queries:
        b"".join(_get(lead, export))
    assert len(queries) <= 5  # session, user, two of permissions, and the row


def test_the_file_is_gone(lead: Client) -> None:
    export = done_export()
    export.path.unlink()
    text = _text(lead, export, 410)
    assert "is not there any more" in text and "Delete this data set, and ask for it again." in text


def test_the_file_is_another_one(lead: Client) -> None:
    export = done_export()
    export.path.write_bytes(b"longer than it was")
    assert "or is not what was written" in _text(lead, export, 410)


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ("queued", "", "is not made yet: Waits for its turn."),
        ("running", "", "is not made yet: 0 of 1 cases."),
        ("failed", "No <space> left.", "could not be made. No &lt;space&gt; left."),
    ],
)
def test_there_is_no_file_yet(lead: Client, state: str, error: str, text: str) -> None:
    """Also where there is one of a worker that has not finished: nobody knows what is in it."""
    export = queued_export(state=state, error=error)
    export.path.parent.mkdir()
    export.path.write_bytes(CONTENT)
    assert text in _text(lead, export, 404)


def test_no_such_data_set(lead: Client) -> None:
    export = done_export()
    Export.objects.all().delete()
    assert lead.get(_url(export)).status_code == 404
