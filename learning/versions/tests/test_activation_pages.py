"""The pages on which leads activate a model or go back, also with damaged files."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from learning.versions import views
from learning.versions.tests.model_pages import (
    ACTIVATE,
    NEW,
    NEW_PAGE,
    OLD,
    ROLLBACK,
    URL,
    form,
    page_text,
    said_after,
)
from review.decisions import DecisionRequest, case_decide
from review.tests.cases import open_case, reviewer_named
from review.tests.label_versions import install, mapped
from worker.inference.repository import Repository, activations
from worker.inference.tests.tiny_networks import add_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two")]


# --- Activating -------------------------------------------------------------------------------------


def test_confirmation_says_what_changes(lead: Client, two: Repository) -> None:
    for _ in range(2):
        open_case(expected="cup", model_version=OLD)
    page = page_text(lead, ACTIVATE)
    assert "1 disappears, 1 is new; 2 open cases expect one that disappears" in page
    assert "<li>cup: no similar label, 2 open cases</li>" in page and "<li>unicorn</li>" in page
    assert "<code>manage.py labels diff own@1 own@2 --csv FILE</code>" in page
    assert two.active_name() == OLD


def test_confirmation_says_what_a_mapping_makes_of_labels(lead: Client, two: Repository) -> None:
    old = two.activate(str(install(two, "old", "1\tsquare", "2\tcircle", "3\tcross", "4\tgrey_cup")))
    new = install(two, "new", "5\tbox", "6\tdisc", "7\tring", "8\tmug", "9\tunicorn")
    for label in ("square", "circle", "circle", "cross"):
        _decided("corrected", label)
    _decided("no-label", "Unicorn")
    mapped(old, new, "rename square box", "split circle disc ring", "drop cross", "rename grey_cup mug")
    page = page_text(lead, f"{URL}new_401/activate/")
    for text in (
        "2 labels are renamed or merged, 2 disappear, 3 are new;",
        "<li>The label “circle” was split into “disc” and “ring”. 2 decided cases</li>",
        "<li>circle: split into disc and ring, 2 decided cases</li>",
        "<li>cross: dropped, 1 decided case</li>",
        "<li>square: becomes box, 1 decided case</li>",
        "<li>grey cup: becomes mug</li>",
        "<li>Unicorn: unicorn, 1 case</li>",
    ):
        assert text in page, text
    assert "labels diff" not in page


def _decided(verdict: str, label: str) -> None:
    case = open_case(statements=0, label="square", model_version="old@1", top=[["square", 0.9]])
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest(verdict, label))


def test_confirmation_shows_some_of_many_labels(lead: Client, two: Repository) -> None:
    install(two, "many", *(f"n{number}\tlabel {number}" for number in range(views.SHOWN_LABELS + 30)))
    page = page_text(lead, f"{URL}many_401/activate/")
    assert page.count("<li>label ") == views.SHOWN_LABELS and "And 30 more." in page


def test_lead_activates_a_version(lead: Client, two: Repository) -> None:
    assert "The active model is own@2 now. Workers load it" in said_after(lead.post(ACTIVATE, form(), follow=True))
    assert two.active_name() == NEW
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (NEW, "Switched from own@1 to own@2.")
    assert entry.get_admin_url() == NEW_PAGE
    assert activations.history(two.root)[-1].by == "lead, in the admin"
    assert "Switched" not in page_text(lead, "/admin/") and NEW_PAGE in page_text(lead, "/admin/")


def test_second_press_of_the_button_changes_nothing(lead: Client, two: Repository) -> None:
    lead.post(ACTIVATE, form())
    assert "The active model is own@2 already." in said_after(lead.post(ACTIVATE, form(), follow=True))
    lead.post(ROLLBACK, {"instead_of": NEW, "to": OLD})
    assert "The active model is own@1 already." in said_after(
        lead.post(ROLLBACK, {"instead_of": NEW, "to": OLD}, follow=True)
    )
    assert two.active_name() == OLD
    assert LogEntry.objects.count() == 2 and len(activations.history(two.root)) == 3


@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
def test_change_by_another_lead_is_told(lead: Client, two: Repository, address: str) -> None:
    install(two, "other", "1\tcup", "2\tespresso")
    two.activate("other@1")
    said = said_after(lead.post(address, form(), follow=True))
    assert "Nothing was changed: the active version is other@1 now" in said and "Please look again." in said
    assert two.active_name() == "other@1" and not LogEntry.objects.exists()


@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
@pytest.mark.parametrize("field", ["to", "instead_of"])
def test_changed_form_is_not_repeated_in_full(lead: Client, two: Repository, address: str, field: str) -> None:
    two.activate(NEW)
    two.activate(OLD)
    said = said_after(lead.post(address, form() | {field: "\u202e" + "y" * 100_000}, follow=True))
    assert len(said) < 500 and "\u202e" not in said
    if (address, field) != (ACTIVATE, "to"):  # the address names the version
        assert "Nothing was changed: the active version is own@1 now" in said
        assert two.active_name() == OLD


@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
def test_model_of_the_environment_cannot_be_replaced(
    lead: Client, two: Repository, settings: Settings, address: str
) -> None:
    two.activate(NEW)
    settings.MODEL = NEW
    assert "MODEL=own@2" in page_text(lead) and "/activate/" not in page_text(lead) and ROLLBACK not in page_text(lead)
    for response in (lead.get(address, follow=True), lead.post(address, form(), follow=True)):
        assert "MODEL=own@2 is set in the environment" in said_after(response)
    assert two.active_name() == NEW


@pytest.mark.parametrize("is_missing", [True, False])
def test_version_that_cannot_be_used_is_not_activated(lead: Client, two: Repository, is_missing: bool) -> None:
    version = two.get(NEW)
    if is_missing:
        two.remove(NEW)
    else:
        version.file("bin").write_bytes(b"nib")
    for response in (lead.get(ACTIVATE, follow=True), lead.post(ACTIVATE, form(), follow=True)):
        assert ("is not installed" if is_missing else "model.bin is damaged") in said_after(response)
    assert two.active_name() == OLD and not LogEntry.objects.exists()


def test_version_that_the_engine_cannot_load_is_not_activated(
    lead: Client, two: Repository, settings: Settings
) -> None:
    two.activate(NEW)
    settings.ENGINE = "tensorflow"
    for address, version in ((f"{URL}own_401/activate/", OLD), (ROLLBACK, OLD)):
        payload = {"instead_of": NEW, "to": version}
        for response in (lead.get(address, follow=True), lead.post(address, payload, follow=True)):
            said = said_after(response)
            assert "own@1 cannot become active, because ENGINE=tensorflow cannot load it" in said
    assert two.active_name() == NEW and not LogEntry.objects.exists()


def test_confirmation_warns_of_processors_that_refuse_int8(lead: Client, two: Repository) -> None:
    add_version(two, "small-int8", precision="int8")
    warning = "Workers on processors without VNNI or AMX refuse small-int8@1"
    assert warning in page_text(lead, f"{URL}small-int8_401/activate/")
    assert "VNNI" not in page_text(lead, ACTIVATE)


def test_address_without_a_number_leads_to_the_version_that_it_means(lead: Client, two: Repository) -> None:
    """Otherwise a version that is installed after the question was shown could become active."""
    for response in (lead.get(f"{URL}own/activate/"), lead.post(f"{URL}own/activate/", form())):
        assert (response.status_code, response["Location"]) == (302, ACTIVATE)
    assert two.active_name() == OLD


def test_incomplete_form_changes_nothing(lead: Client, two: Repository) -> None:
    assert "the form was incomplete." in said_after(lead.post(ACTIVATE, {}, follow=True))
    assert two.active_name() == OLD


def test_form_needs_its_csrf_token(two: Repository, lead: Client) -> None:
    lead.handler.enforce_csrf_checks = True
    assert lead.post(ACTIVATE, form()).status_code == 403
    assert two.active_name() == OLD


def test_version_with_unreadable_labels_can_be_replaced(lead: Client, two: Repository) -> None:
    two.get(OLD).file("labels").unlink()
    assert "The labels of own@1 cannot be read" in page_text(lead, ACTIVATE)
    lead.post(ACTIVATE, form())
    assert two.active_name() == NEW


# --- Damaged files ----------------------------------------------------------------------------------

DAMAGED = [b"\xff\xfe", b"\0", b"own", b"../own@1", b"own@1\nown@2", b"x" * 300 + b"@1", b"y" * 1_000_000]


def _damage(two: Repository, content: bytes | None) -> None:
    """Replaces the file that names the active version, by a folder if there is no content."""
    file = two.root / "active"
    file.unlink()
    if content is None:
        file.mkdir()
        (file / "kept").write_text("kept")
    else:
        file.write_bytes(content)


@pytest.mark.parametrize("content", [*DAMAGED, b"", b"gone@7\n", None])
def test_list_says_that_the_name_of_the_active_version_is_damaged(
    lead: Client, two: Repository, content: bytes | None
) -> None:
    _damage(two, content)
    page = page_text(lead)
    problem = {b"": "No model is active.", b"gone@7\n": "names a version that is not installed: gone@7."}
    assert problem.get(content or b"", "No usable model is active.") in page or content is None
    assert content is not None or "cannot be read (Is a directory); activate a model." in page
    assert ACTIVATE in page and "models-mark" not in page


@pytest.mark.parametrize("content", [*DAMAGED, b"", b"gone@7\n", None])
@pytest.mark.parametrize("address", [ACTIVATE, ROLLBACK])
def test_activation_repairs_a_damaged_name(lead: Client, two: Repository, content: bytes | None, address: str) -> None:
    two.activate(NEW)
    _damage(two, content)
    page = page_text(lead, address)
    assert 'name="to" value="own@2"' in page
    before = re.findall(r'name="instead_of" value="(.*?)"', page)[0]
    said = said_after(lead.post(address, {"instead_of": before, "to": NEW}, follow=True))
    assert "The active model is own@2 now." in said
    assert two.active_name() == NEW and "No usable model" not in page_text(lead)
    assert content is not None or [file.read_text() for file in two.root.glob(".active-*/kept")] == ["kept"]


def _line(**changes: Any) -> str:
    return json.dumps({"at": "2026-01-01T00:00:00+00:00", "version": NEW, "before": OLD, "by": "somebody"} | changes)


@pytest.mark.parametrize(
    "line",
    [
        *(_line(version=name) for name in ("x" * 300 + "@1", "../own@1", "\0", "own@1\n", "\ud800", "<b>")),
        *(_line(before=name) for name in ("x" * 300 + "@1", "\ud800", "..")),
        *(_line(by=text) for text in ("\ud800", "a\nb", "\u202e")),
        *(_line(at=text) for text in ("", "now", "\ud800", "0001-01-01T00:00:00+23:00", "2026-01-01", "9" * 5000)),
    ],
)
def test_damaged_line_of_the_history_changes_nothing(lead: Client, two: Repository, line: str) -> None:
    with (two.root / activations.FILE).open("a") as file:
        file.write(f"{line}\n")
    assert "switched to own@1" in page_text(lead)
    lead.post(ACTIVATE, form())
    assert two.active_name() == NEW and two.previous_name() == OLD
    assert "switched to own@2" in page_text(lead)


def test_folder_instead_of_the_history_is_kept_aside(lead: Client, two: Repository) -> None:
    (two.root / activations.FILE).unlink()
    (two.root / activations.FILE).mkdir()
    assert ACTIVATE in page_text(lead)
    lead.post(ACTIVATE, form())
    assert (two.active_name(), two.previous_name()) == (NEW, OLD)


# --- Going back -------------------------------------------------------------------------------------


def test_lead_goes_back(lead: Client, two: Repository) -> None:
    two.activate(NEW)
    assert "Go back to own@1" in page_text(lead)
    page = page_text(lead, ROLLBACK)
    assert 'name="to" value="own@1"' in page and "<li>cup</li>" in page
    assert "The active model is own@1 now." in said_after(
        lead.post(ROLLBACK, {"instead_of": NEW, "to": OLD}, follow=True)
    )
    assert two.active_name() == OLD
    assert LogEntry.objects.get().get_change_message() == "Went back from own@2 to own@1."


def test_there_may_be_nothing_to_go_back_to(lead: Client, two: Repository) -> None:
    assert ROLLBACK not in page_text(lead)
    assert "there is no earlier version to go back to." in said_after(lead.get(ROLLBACK, follow=True))
