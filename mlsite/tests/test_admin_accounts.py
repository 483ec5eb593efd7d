"""A lead manages reviewers and leads in the admin. test_admin_limits.py checks what they must not do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mlsite import accounts
from review import roles
from review.decisions import DecisionRequest, case_decide
from review.models import Decision
from review.tests.cases import open_case, reviewer_named
from review.undoing import undo_last

pytestmark = pytest.mark.django_db
URL = "/admin/auth/user/"
PASSWORD = "seven horses, one cart"


def _payload(**changes: str) -> dict[str, str]:
    """The form of an account, as a browser sends it."""
    values = {"first_name": "Ada", "last_name": "", "email": "", "is_active": "on", "role": roles.REVIEWERS} | changes
    return {name: value for name, value in values.items() if value or name != "is_active"}


def _change(client: Client, account: User, **changes: str) -> Any:
    response = client.post(f"{URL}{account.pk}/change/", _payload(**changes))
    account.refresh_from_db()
    return response


def _add(client: Client, **changes: str) -> Any:
    values = {"username": "ada", "role": roles.REVIEWERS, "password1": "", "password2": ""} | changes
    return client.post(f"{URL}add/", values, follow=True)


def _logged_in(password: str) -> Client:
    browser = Client()
    response = browser.post("/admin/login/", {"username": "ada", "password": password})
    assert response.status_code == 302
    return browser


# --- Adding ---------------------------------------------------------------------------------------


def test_adds_a_reviewer(lead: Client) -> None:
    page = _add(lead, password1=PASSWORD, password2=PASSWORD).text
    ada = User.objects.get(username="ada")
    assert (ada.is_active, ada.is_staff, ada.is_superuser) == (True, True, False)
    assert accounts.role_of(ada) == roles.REVIEWERS
    assert PASSWORD not in page and "this password now" not in page
    browser = _logged_in(PASSWORD)
    assert browser.get("/admin/review/case/").status_code == 200
    assert browser.get(URL).status_code == 403


def test_generates_a_password(lead: Client) -> None:
    page = _add(lead, role=roles.LEADS).text
    password = re.search(r"Give ada this password now; .*: <strong>(\S+)</strong>", page)
    assert password and len(password[1]) >= 16
    assert password[1] not in lead.get(URL).text, "shown once"
    browser = _logged_in(password[1])
    assert browser.get(f"{URL}add/").status_code == 200
    assert not LogEntry.objects.filter(change_message__contains=password[1]).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"username": ""}, "This field is required."),
        ({"username": "LEAD"}, "already exists"),
        ({"role": ""}, "This field is required."),
        ({"role": "Superusers"}, "not one of the available choices"),
        ({"password1": PASSWORD}, "Enter the password in both fields, or leave both empty."),
        ({"password2": PASSWORD}, "Enter the password in both fields, or leave both empty."),
        ({"password1": PASSWORD, "password2": "another"}, "The two password fields didn’t match."),
        ({"password1": "12345678", "password2": "12345678"}, "too common"),
    ],
)
def test_rejects_invalid_accounts(lead: Client, changes: dict[str, str], message: str) -> None:
    assert message in _add(lead, **changes).text
    assert User.objects.count() == 1


# --- Changing -------------------------------------------------------------------------------------


def test_changes_name_and_email(lead: Client) -> None:
    ada = reviewer_named()
    assert _change(lead, ada, first_name="Ada", last_name="Lovelace", email="ada@example.org").status_code == 302
    assert (ada.get_full_name(), ada.email, ada.is_active, ada.is_staff) == (
        "Ada Lovelace",
        "ada@example.org",
        True,
        True,
    )


def test_changes_the_role_and_keeps_other_groups(lead: Client) -> None:
    ada = reviewer_named()
    ada.groups.add(Group.objects.create(name="Thursdays"))
    for role in (roles.LEADS, roles.REVIEWERS):
        assert _change(lead, ada, role=role).status_code == 302
        assert set(ada.groups.values_list("name", flat=True)) == {role, "Thursdays"}


def test_deactivation_ends_the_session(lead: Client) -> None:
    ada = reviewer_named()
    browser = Client()
    browser.force_login(ada)
    _change(lead, ada, is_active="")
    assert not ada.is_active
    assert browser.get("/admin/review/case/").status_code == 302
    _change(lead, ada)
    assert User.objects.get(pk=ada.pk).is_active
    assert accounts.role_of(ada) == roles.REVIEWERS


def test_sets_a_new_password_for_another_account(lead: Client) -> None:
    ada = reviewer_named()
    ada.set_password("the old one")
    ada.save()
    browser = Client()
    browser.force_login(ada)
    url = f"{URL}{ada.pk}/password/"
    assert f'href="{url}"' in lead.get(f"{URL}{ada.pk}/change/").text
    page = lead.get(url).text
    assert 'name="password1"' in page and 'name="usable_password"' not in page
    assert "didn’t match" in lead.post(url, {"password1": PASSWORD, "password2": "x"}).text
    assert lead.post(url, {"password1": PASSWORD, "password2": PASSWORD}).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
    assert browser.get("/admin/review/case/").status_code == 302, "logged out everywhere"


def test_cannot_disable_a_password(lead: Client) -> None:
    ada = reviewer_named()
    ada.set_password(PASSWORD)
    ada.save()
    payload = {"usable_password": "false", "unset-password": "x", "password1": "", "password2": ""}
    assert lead.post(f"{URL}{ada.pk}/password/", payload).status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_own_password_requires_the_old_one(lead: Client) -> None:
    me = User.objects.get(username="lead")
    for response in (
        lead.get(f"{URL}{me.pk}/password/"),
        lead.post(f"{URL}{me.pk}/password/", {"password1": PASSWORD, "password2": PASSWORD}),
    ):
        assert (response.status_code, response["Location"]) == (302, "/admin/password_change/")
    me.refresh_from_db()
    assert not me.check_password(PASSWORD)


# --- The last lead -------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"role": roles.REVIEWERS}, {"role": roles.LEADS, "is_active": ""}])
def test_last_lead_keeps_the_role(lead: Client, changes: dict[str, str]) -> None:
    me = User.objects.get(username="lead")
    bob = reviewer_named("bob", roles.LEADS)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert "This is the last active lead. Make somebody else" in _change(lead, me, **changes).text
    User.objects.filter(pk=bob.pk).update(is_active=True)
    page = _change(lead, me, **changes).text
    assert "yourself. Ask another lead." in page and "last active lead" not in page
    assert me.is_active and accounts.role_of(me) == roles.LEADS
    assert _change(lead, bob, **changes).status_code == 302, "another lead"
    assert lead.get(URL).status_code == 200


def test_user_with_permissions_only_cannot_remove_the_last_lead() -> None:
    """A superuser can grant the permissions of leads to somebody who is no lead."""
    bob = reviewer_named("bob", roles.LEADS)
    ada = reviewer_named("ada", roles.LEADS)
    browser = Client()
    browser.force_login(ada)
    assert browser.get(URL).status_code == 200
    ada.groups.clear()
    ada.user_permissions.set(Group.objects.get(name=roles.LEADS).permissions.all())
    assert "This is the last active lead" in _change(browser, bob).text
    assert accounts.role_of(bob) == roles.LEADS


def test_reactivated_lead_can_become_a_reviewer(lead: Client) -> None:
    bob = reviewer_named("bob", roles.LEADS)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert _change(lead, bob).status_code == 302
    assert bob.is_active and accounts.role_of(bob) == roles.REVIEWERS


# --- The list -------------------------------------------------------------------------------------


def _cells(page: str, column: str) -> list[str]:
    cells = re.findall(rf'<t[dh] class="field-{column}[^>]*>(.*?)</t[dh]>', page)
    return [re.sub("<.*?>", "", cell) for cell in cells]


def test_lists_accounts(lead: Client, admin_client: Client) -> None:
    ada = reviewer_named("ada")
    for role in (roles.REVIEWERS, roles.LEADS):
        reviewer_named("bob", role)
    User.objects.filter(pk=ada.pk).update(last_login=timezone.now())
    User.objects.create_user("cy", is_staff=True)
    for _ in range(3):
        case_decide(case_id=open_case().pk, reviewer=ada, verdict=DecisionRequest(Decision.Kind.RIGHT))
    undo_last(ada)
    page = lead.get(URL).text
    assert _cells(page, "username") == ["ada", "bob", "cy", "lead"]
    assert _cells(page, "role") == ["Reviewer", "Lead", "–", "Lead"]
    assert _cells(page, "decisions_made") == ["2", "0", "0", "0"]
    assert _cells(page, "last_login")[1] == "-" != _cells(page, "last_login")[0]
    assert _cells(lead.get(f"{URL}?o=-4.0").text, "username") == ["ada", "bob", "cy", "lead"]
    assert _cells(lead.get(f"{URL}?o=1.0").text, "username") == ["ada", "cy", "bob", "lead"]
    assert "Superuser" in _cells(admin_client.get(URL).text, "role")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?role=lead", ["lead"]),
        ("?role=reviewer", ["ada"]),
        ("?role=none", ["cy"]),
        ("?role=x", ["ada", "cy", "lead"]),
        ("?is_active__exact=0", ["cy"]),
        ("?q=AD", ["ada", "lead"]),
    ],
)
def test_filters_and_search(lead: Client, query: str, names: list[str]) -> None:
    reviewer_named("ada")
    User.objects.create_user("cy", is_staff=True, is_active=False)
    assert _cells(lead.get(URL + query).text, "username") == names


def test_number_of_queries_does_not_grow(lead: Client) -> None:
    counts = []
    for total in (3, 30):
        while User.objects.count() < total:
            ada = reviewer_named(f"ada-{User.objects.count()}")
            case_decide(case_id=open_case().pk, reviewer=ada, verdict=DecisionRequest(Decision.Kind.RIGHT))
        with CaptureQueriesContext(connection) as queries:
            assert len(_cells(lead.get(URL).text, "username")) == total
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 7
