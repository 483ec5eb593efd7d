"""Only superusers may grant more than a lead may do, whatever fields a request to Django's forms holds."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from mlsite import accounts
from review import roles
from review.decisions import DecisionRequest, case_decide
from review.models import Decision
from review.tests.cases import open_case, reviewer_named

pytestmark = pytest.mark.django_db
URL = "/admin/auth/user/"
PASSWORD = "seven horses, one cart"
PASSWORDS = {"password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", password="only root knows it")


@pytest.fixture
def rights() -> dict[str, Any]:
    """All fields that would grant more than a lead may do."""
    secret = Group.objects.create(name="Secret")
    secret.permissions.set(Permission.objects.all())
    return {
        "is_superuser": "on",
        "is_staff": "on",
        "groups": [secret.pk],
        "user_permissions": list(Permission.objects.values_list("pk", flat=True)),
        "password": "pbkdf2_sha256$1$x$x",
        "username": "root2",
        "last_login_0": "2001-01-01",
        "_save": "Save",
        "_continue": "1",
    }


def _form(account: User, **extra: Any) -> dict[str, Any]:
    return {"first_name": "Changed", "is_active": "on", "role": accounts.role_of(account)} | extra


def _rights(account: User) -> tuple[object, ...]:
    account = User.objects.get(pk=account.pk)
    return (
        account.username,
        account.password,
        account.is_superuser,
        account.is_staff,
        account.is_active,
        account.last_login,
        sorted(account.groups.values_list("name", flat=True)),
        account.user_permissions.count(),
    )


def _everything() -> list[object]:
    return [(_rights(account), account.first_name) for account in User.objects.order_by("pk")]


# --- A lead ---------------------------------------------------------------------------------------


def test_ignores_foreign_fields_of_an_account(lead: Client, rights: dict[str, Any]) -> None:
    me, ada = User.objects.get(username="lead"), reviewer_named()
    for account in (me, ada):
        before = _rights(account)
        assert lead.post(f"{URL}{account.pk}/change/", _form(account, **rights)).status_code == 302
        assert _rights(account) == before
        account.refresh_from_db()
        assert account.first_name == "Changed", "the rest of the form was accepted"


def test_ignores_foreign_fields_of_a_new_account(lead: Client, rights: dict[str, Any]) -> None:
    payload = rights | {"username": "ada", "role": roles.REVIEWERS, "is_active": "", "usable_password": "false"}
    assert lead.post(f"{URL}add/?is_superuser=1&groups=1", payload | PASSWORDS).status_code == 302
    ada = User.objects.get(username="ada")
    assert (ada.is_superuser, ada.user_permissions.count()) == (False, 0)
    assert [group.name for group in ada.groups.all()] == [roles.REVIEWERS]
    assert ada.check_password(PASSWORD)


def test_saving_a_superuser_as_new_grants_nothing(lead: Client, root: User, rights: dict[str, Any]) -> None:
    """`_saveasnew` makes Django treat the form of an existing account as that of a new one."""
    payload = rights | PASSWORDS | {"_saveasnew": "1", "role": roles.REVIEWERS}
    assert lead.post(f"{URL}{root.pk}/change/", payload).status_code == 302
    copy = User.objects.get(username="root2")
    assert (copy.is_superuser, copy.user_permissions.count()) == (False, 0)
    assert [group.name for group in copy.groups.all()] == [roles.REVIEWERS]


@pytest.mark.parametrize("path", ["change", "password", "history", "delete"])
def test_superusers_are_hidden(lead: Client, root: User, rights: dict[str, Any], path: str) -> None:
    before = _everything()
    for payload in (_form(root), _form(root, **rights), PASSWORDS, {"post": "yes"}):
        response = lead.post(f"{URL}{root.pk}/{path}/", payload)
        assert response.status_code in (302, 403, 404)
        assert response.status_code != 302 or response["Location"] == "/admin/"
    assert "root" not in lead.get(f"{URL}{root.pk}/{path}/", follow=True).text.replace("rootLevel", "")
    assert _everything() == before


def test_accounts_that_are_not_staff_are_hidden(lead: Client, root: User) -> None:
    guest = User.objects.create_user("guest")
    page = lead.get(URL).text
    assert "guest" not in page and ">root<" not in page
    assert lead.get(f"{URL}?q=root").text.count('class="field-username') == 0
    assert lead.get(f"{URL}?is_superuser__exact=1").text.count('class="field-username') == 0
    assert lead.get(f"{URL}{guest.pk}/change/").status_code == 302
    assert lead.post(f"{URL}{guest.pk}/password/", PASSWORDS).status_code == 404


@pytest.mark.parametrize("how", ["by permission", "by group", "by permission, inactive"])
def test_accounts_that_may_do_more_are_read_only(lead: Client, how: str, rights: dict[str, Any]) -> None:
    """Otherwise a lead could set a new password and log in with the account."""
    keeper = User.objects.create_user("keeper", is_staff=True, is_active="inactive" not in how)
    if how == "by group":
        keeper.groups.set([Group.objects.get(name="Secret"), Group.objects.get(name=roles.LEADS)])
    else:
        keeper.user_permissions.set(Permission.objects.filter(codename="change_group"))
    before = _everything()
    page = lead.get(f"{URL}{keeper.pk}/change/")
    assert page.status_code == 200 and "it may do more than a lead" in page.text
    assert 'name="_save"' not in page.text and f"{URL}{keeper.pk}/password/" not in page.text
    assert lead.get(f"{URL}{keeper.pk}/password/").status_code == 403
    assert lead.post(f"{URL}{keeper.pk}/password/", PASSWORDS).status_code == 403
    assert lead.post(f"{URL}{keeper.pk}/change/", _form(keeper, role=roles.LEADS)).status_code == 403
    assert _everything() == before


def test_lead_cannot_delete_accounts(lead: Client) -> None:
    ada = reviewer_named()
    case_decide(case_id=open_case().pk, reviewer=ada, verdict=DecisionRequest(Decision.Kind.RIGHT))
    page = lead.get(f"{URL}{ada.pk}/change/").text
    assert "deletelink" not in page and "Deactivate instead of deleting" in page
    assert lead.get(f"{URL}{ada.pk}/delete/").status_code == 403
    assert lead.post(f"{URL}{ada.pk}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [ada.pk], "post": "yes"}
    lead.post(URL, action)
    lead.post(URL, action | {"index": "0", "select_across": "1"})
    assert User.objects.filter(pk=ada.pk).exists()


def test_list_cannot_be_edited(lead: Client) -> None:
    reviewer_named()
    before = _everything()
    rows = {"form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "2", "form-0-id": "1", "form-0-is_superuser": "on"}
    lead.post(URL, rows | {"_save": "Save"})
    assert _everything() == before


def test_passwords_cannot_be_searched(lead: Client) -> None:
    assert lead.get(f"{URL}?password__startswith=p", follow=True).status_code == 400


def test_groups_are_for_superusers(lead: Client, reviewer: Client) -> None:
    leads = Group.objects.get(name=roles.LEADS)
    for client in (lead, reviewer):
        for path in ("", "add/", f"{leads.pk}/change/", f"{leads.pk}/delete/"):
            payload = {"name": roles.LEADS, "permissions": [1, 2, 3]}
            assert client.post(f"/admin/auth/group/{path}", payload).status_code == 403
    assert Group.objects.filter(name=roles.LEADS).exists()


# --- A reviewer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["reviewer", "lead", "root"])
def test_reviewer_sees_no_accounts(
    reviewer: Client, lead: Client, root: User, rights: dict[str, Any], whose: str
) -> None:
    account = User.objects.get(username=whose)
    before = _everything()
    pages = ["", "add/", *(f"{account.pk}/{path}/" for path in ("change", "password", "history", "delete"))]
    for page in pages:
        response = reviewer.get(URL + page)
        # Django redirects from the history of a hidden account.
        assert response.status_code == 403 or (page.endswith("history/") and response["Location"] == "/admin/"), page
        for payload in (_form(account, role=roles.LEADS), rights | PASSWORDS | {"role": roles.LEADS}, {"post": "yes"}):
            assert reviewer.post(URL + page, payload).status_code in (302, 403), page
    assert _everything() == before
    assert URL not in reviewer.get("/admin/").text
    query = "app_label=admin&model_name=logentry&field_name=user"
    assert reviewer.get(f"/admin/autocomplete/?{query}").status_code == 403


# --- A superuser ----------------------------------------------------------------------------------


def test_superusers_keep_djangos_forms(admin_client: Client) -> None:
    ada = reviewer_named()
    page = admin_client.get(f"{URL}{ada.pk}/change/").text
    for name in ("is_superuser", "is_staff", "groups", "user_permissions", "username"):
        assert f'name="{name}"' in page
    assert "usable_password" in admin_client.get(f"{URL}add/").text
    ada.set_password("x")
    ada.save()
    assert "usable_password" in admin_client.get(f"{URL}{ada.pk}/password/").text
    payload = {"username": "ada", "is_superuser": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    assert admin_client.post(f"{URL}{ada.pk}/change/", payload).status_code == 302
    ada.refresh_from_db()
    assert ada.is_superuser and not ada.is_staff and not ada.groups.exists()
    assert admin_client.post(f"{URL}{ada.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(username="ada").exists()


def test_superuser_cannot_delete_an_account_with_decisions(admin_client: Client) -> None:
    ada = reviewer_named()
    case_decide(case_id=open_case().pk, reviewer=ada, verdict=DecisionRequest(Decision.Kind.RIGHT))
    assert "Cannot delete user" in admin_client.post(f"{URL}{ada.pk}/delete/").text
    admin_client.post(URL, {"action": "delete_selected", "_selected_action": [ada.pk], "post": "yes"})
    assert User.objects.filter(username="ada").exists()
