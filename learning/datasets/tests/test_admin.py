"""The list, the details and the progress of data sets in the admin."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rq import Queue

from learning.datasets import export_queue, views
from learning.datasets.tests.data import decided_case, done_export, kept_files, lead_named, queued_export
from learning.models import Export

pytestmark = pytest.mark.django_db
URL = "/admin/learning/export/"
ADD = f"{URL}add/"


def _page(client: Client, address: str = URL, status: int = 200, **data: Any) -> str:
    response = client.get(address, data)
    assert response.status_code == status
    return " ".join(response.text.split())


def _payload(**changes: Any) -> dict[str, Any]:
    return {"format": "imagefolder"} | changes


@pytest.fixture
def five_cases() -> None:
    decided_case("cup", decided_at=datetime(2026, 1, 1, tzinfo=UTC))
    for label in ("cup", "espresso", "AC/DC"):
        decided_case(label)
    decided_case(verdict="unusable")


# --- Permissions ------------------------------------------------------------------------------------


def _addresses(export: Export) -> list[str]:
    own = ("change/", "delete/", "history/", "download/")
    return [URL, ADD, f"{URL}progress/", *(f"{URL}{export.pk}/{name}" for name in own)]


def test_only_leads_may_open_the_pages(lead: Client, reviewer: Client) -> None:
    for address in _addresses(done_export()):
        response = lead.get(address)
        assert b"".join(response) and response.status_code == 200, address  # read to its end, which closes the file
        assert reviewer.get(address).status_code == 403, address
        assert reviewer.post(address, _payload(post="yes")).status_code == 403, address
        response = Client().get(address)
        assert response.status_code == 302 and response["Location"].startswith("/admin/login/"), address
    assert Export.objects.count() == 1


def test_reviewer_sees_no_link_to_data_sets(lead: Client, reviewer: Client) -> None:
    assert URL in _page(lead, "/admin/") and URL in _page(lead, "/admin/feedback/")
    assert URL not in _page(reviewer, "/admin/") and URL not in _page(reviewer, "/admin/feedback/")


def test_export_cannot_be_edited(lead: Client, admin_client: Client) -> None:
    export = done_export()
    for client in (lead, admin_client):
        assert client.post(f"{URL}{export.pk}/change/", {"state": "failed"}).status_code == 403
        assert 'name="_save"' not in _page(client, f"{URL}{export.pk}/change/")
    assert Export.objects.get().is_done


# --- The list ---------------------------------------------------------------------------------------


def test_empty_list_links_to_the_form(lead: Client) -> None:
    page = _page(lead)
    assert "No data set has been made yet." in page and f'href="{ADD}"' in page


def test_list_shows_every_state(lead: Client, exports: Queue) -> None:
    waits = queued_export(total=12_345)
    runs = queued_export(state="running", total=12_345, done=1_234, format="tfrecord")
    done = done_export(b"x" * 1_500_000, total=2_000, missing=7)
    failed = queued_export(state="failed", error="No <space> left.")
    gone = done_export()
    gone.path.unlink()
    page = _page(lead)
    for text in (
        "Waiting for a worker",
        "1,234 of 12,345 cases",
        f'<progress value="1234" max="12345" aria-label="{runs}"></progress>',
        f'<progress aria-label="{waits}"></progress>',
        "2,000 cases; 7 pictures missing",
        f'href="{URL}{done.pk}/download/"',
        "1.5 MB",
        "No &lt;space&gt; left.",
        "The file is gone.",
        "TFRecord: all decided cases",
        ", lea",
    ):
        assert text in page, text
    assert page.count("download/") == 1
    assert set(re.findall(r'data-export="(.*?)"', page)) == {str(waits.pk), str(runs.pk)}
    assert f'id="progress-{failed.pk}"' in page


def test_list_warns_if_no_worker_runs(lead: Client, exports: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "No worker for data sets is running"
    done_export()
    assert missing not in _page(lead), "no export is waiting"
    queued_export()
    assert missing in _page(lead)
    monkeypatch.setattr(export_queue, "has_worker", lambda: True)
    assert missing not in _page(lead)


def test_list_warns_if_the_queue_is_unreachable(lead: Client, no_queue: None) -> None:
    queued_export()
    assert "No worker for data sets is running" in _page(lead)


@pytest.mark.parametrize("address", [URL, f"{URL}progress/"])
def test_number_of_queries_is_constant(lead: Client, exports: Queue, address: str) -> None:
    counts = []
    for total in (3, 20):
        while Export.objects.count() < total:
            done_export() if Export.objects.count() % 2 else queued_export(requested_by=lead_named(f"lead {total}"))
        with CaptureQueriesContext(connection) as queries:
            _page(lead, address, id=list(Export.objects.values_list("pk", flat=True)))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 9


def test_no_inline_script_or_style(lead: Client, exports: Queue, five_cases: None) -> None:
    waits, done = queued_export(), done_export()
    for address in (URL, ADD, f"{URL}{waits.pk}/change/", f"{URL}{done.pk}/delete/"):
        page = _page(lead, address)
        assert "style=" not in page and "<style" not in page and not re.search(r"<script(?![^>]*src=)", page)
        assert not re.search(r"\son\w+=", page) and "javascript:" not in page


# --- Details and deleting ----------------------------------------------------------------------------


def test_details_show_the_selection_and_the_checksum(lead: Client) -> None:
    export = done_export(selection={"since": "2026-01-01", "labels": ["cup"]})
    page = _page(lead, f"{URL}{export.pk}/change/")
    for text in (export.sha256, "all decided cases, labelled cup, decided since 2026-01-01", "ImageFolder", "Done"):
        assert text in page
    assert f'href="{URL}{export.pk}/download/"' in page and f'href="{URL}{export.pk}/delete/"' in page


def test_deletes_an_export_with_its_file(lead: Client) -> None:
    export = done_export()
    page = _page(lead, f"{URL}{export.pk}/delete/")
    assert "Its file is deleted too" in page and kept_files() == [export.path.name]
    assert lead.post(f"{URL}{export.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Export.objects.exists() and kept_files() == []


def test_deletes_several_exports_with_their_files(lead: Client) -> None:
    exports = [done_export() for _ in range(3)]
    chosen = {"action": "delete_selected", "_selected_action": [exports[0].pk, exports[1].pk]}
    assert "Are you sure" in lead.post(URL, chosen).text and len(kept_files()) == 3
    lead.post(URL, chosen | {"post": "yes"})
    assert kept_files() == [exports[2].path.name] and Export.objects.get() == exports[2]


# --- Progress ---------------------------------------------------------------------------------------


def test_progress_is_json(lead: Client) -> None:
    runs = queued_export(state="running", total=10, done=4)
    done, _other = done_export(), done_export()
    response = lead.get(
        f"{URL}progress/", {"id": [str(runs.pk), str(done.pk), "x", "6e1d2d7e-0d1c-4a53-8d3e-2a9d0d3a8f10"]}
    )
    assert response["Content-Type"] == "application/json" and "no-store" in response["Cache-Control"]
    found = json.loads(response.content)["exports"]
    assert set(found) == {str(runs.pk), str(done.pk)}
    assert found[str(runs.pk)] == {
        "name": str(runs),
        "state": "running",
        "is_waiting": True,
        "done": 4,
        "total": 10,
        "text": "4 of 10 cases",
    }
    assert not found[str(done.pk)]["is_waiting"]


def test_progress_ignores_ids_beyond_the_limit(lead: Client) -> None:
    export = queued_export()
    many = ["x"] * views.MAX_PROGRESS_IDS + [str(export.pk)]
    assert lead.get(f"{URL}progress/", {"id": many}).json() == {"exports": {}}


@pytest.mark.parametrize("name", ["progress", "download"])
def test_rejects_post(lead: Client, name: str) -> None:
    export = done_export()
    address = f"{URL}progress/" if name == "progress" else f"{URL}{export.pk}/download/"
    assert lead.post(address).status_code == 405


def test_export_names_its_requester(lead: Client, exports: Queue, five_cases: None) -> None:
    lead.post(ADD, _payload())
    assert Export.objects.get().requested_by == User.objects.get(username="lead")
