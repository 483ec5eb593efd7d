"""Downloads of data sets in the admin."""

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


def test_serves_the_file(lead: Client) -> None:
    export = done_export(CONTENT)
    response = _get(lead, export)
    assert b"".join(response) == CONTENT
    assert response["ETag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert response["Last-Modified"] == http_date(DECIDED_AT.timestamp())
    assert response["Content-Disposition"] == f'attachment; filename="{export.file_name}"'
    assert (response["Content-Type"], response["Content-Length"]) == ("application/zip", str(len(CONTENT)))
    assert response["Accept-Ranges"] == "bytes"
    assert response["Cache-Control"] == "private, no-cache"


def test_resumes_a_broken_download(lead: Client) -> None:
    """Uses the headers of browsers and `curl -C -`."""
    export = done_export(CONTENT)
    first = _get(lead, export)
    received, *_lost = first
    rest = _get(lead, export, 206, **{"Range": f"bytes={len(received)}-", "If-Range": first["ETag"]})
    assert received + b"".join(rest) == CONTENT and len(received) < len(CONTENT)
    assert _get(lead, export, 416, Range=f"bytes={len(CONTENT)}-")["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_serves_all_of_a_file_that_changed(lead: Client) -> None:
    export = done_export(CONTENT)
    response = _get(lead, export, 200, **{"Range": "bytes=10-", "If-Range": '"another"'})
    assert b"".join(response) == CONTENT


def test_head_and_not_modified_send_no_body(lead: Client) -> None:
    export = done_export(CONTENT)
    response = lead.head(_url(export))
    assert (response.status_code, response["Content-Length"], response.content) == (200, str(len(CONTENT)), b"")
    _get(lead, export, 304, **{"If-None-Match": response["ETag"]})


def test_number_of_queries_is_bounded(lead: Client) -> None:
    export = done_export(CONTENT)
    with CaptureQueriesContext(connection) as queries:
        b"".join(_get(lead, export))
    assert len(queries) <= 5  # session, user, permissions (2), the row


def test_missing_file_is_410(lead: Client) -> None:
    export = done_export()
    export.path.unlink()
    text = _text(lead, export, 410)
    assert "was removed or changed outside this site" in text and "Delete this data set and make it again." in text


def test_file_of_another_size_is_410(lead: Client) -> None:
    export = done_export()
    export.path.write_bytes(b"longer than it was")
    assert "was removed or changed outside this site" in _text(lead, export, 410)


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ("queued", "", "is not ready yet: Waiting for a worker."),
        ("running", "", "is not ready yet: 0 of 1 cases."),
        ("failed", "No <space> left.", "could not be made. No &lt;space&gt; left."),
    ],
)
def test_unfinished_export_is_404(lead: Client, state: str, error: str, text: str) -> None:
    """Even if a file exists: its worker has not finished."""
    export = queued_export(state=state, error=error)
    export.path.parent.mkdir()
    export.path.write_bytes(CONTENT)
    assert text in _text(lead, export, 404)


def test_unknown_export_is_404(lead: Client) -> None:
    export = done_export()
    Export.objects.all().delete()
    assert lead.get(_url(export)).status_code == 404
