"""The accounts of reviewers and leads, and the first account of a new site."""

import secrets
from itertools import chain, count

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q

from review.roles import LEADS, REVIEWERS, ROLES, create_roles

LEAD = "lead"


def create_first_lead() -> tuple[str, str] | None:
    """Creates a lead if nobody can manage the reviewers yet, and returns the name and password; otherwise `None`.

    The password is not stored in clear: the caller has to show it.
    """
    if User.objects.filter(Q(is_superuser=True) | Q(groups__name=LEADS), is_active=True, is_staff=True).exists():
        return None
    create_roles()
    password = new_password()
    taken = set(User.objects.filter(username__startswith=LEAD).values_list("username", flat=True))
    name = next(name for name in chain([LEAD], (f"{LEAD}-{number}" for number in count(2))) if name not in taken)
    lead = User.objects.create_user(name, password=password, is_staff=True)
    account_set_role(account=lead, role=LEADS)
    return name, password


def new_password() -> str:
    """A random password of 16 characters."""
    return secrets.token_urlsafe(12)


def role_of(account: User) -> str:
    """The name of the group of reviewers or leads, or an empty string. A member of both groups is a lead."""
    names = set(account.groups.filter(name__in=ROLES).values_list("name", flat=True))
    return next((role for role in (LEADS, REVIEWERS) if role in names), "")


@transaction.atomic
def account_set_role(*, account: User, role: str) -> None:
    """Makes the account a reviewer or a lead. Its other groups stay as they are."""
    account.groups.remove(*Group.objects.filter(name__in=ROLES).exclude(name=role))
    account.groups.add(Group.objects.get(name=role))


def is_last_lead(account: User) -> bool:
    """Whether no other lead can log in. Call it in the transaction that takes the role away."""
    # If two leads take the role from each other at once, the second request waits here and sees the first change.
    leads = Group.objects.select_for_update().get(name=LEADS)
    active = User.objects.filter(groups=leads, is_active=True, is_staff=True)
    return active.filter(pk=account.pk).exists() and not active.exclude(pk=account.pk).exists()


def may_do_more_than_a_lead(account: User) -> bool:
    """Whether this account has a permission that leads lack, even if it is inactive."""
    if account.is_superuser:
        return True
    granted = Permission.objects.filter(Q(user=account) | Q(group__user=account))
    return granted.exclude(pk__in=Permission.objects.filter(group__name=LEADS)).exists()
