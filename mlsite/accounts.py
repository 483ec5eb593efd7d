"""The accounts of reviewers and leads, and the one that a new installation starts with."""

import secrets
from itertools import chain, count

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q

from review.roles import LEADS, REVIEWERS, ROLES, create_roles

LEAD = "lead"


def create_first_lead() -> tuple[str, str] | None:
    """Makes a lead where nobody can manage the reviewers yet. The name and the password, which is kept nowhere."""
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
    return secrets.token_urlsafe(12)


def role_of(account: User) -> str:
    """The name of one of the two groups, or nothing. Who is in both is a lead."""
    names = set(account.groups.filter(name__in=ROLES).values_list("name", flat=True))
    return next((role for role in (LEADS, REVIEWERS) if role in names), "")


@transaction.atomic
def account_set_role(*, account: User, role: str) -> None:
    """Makes somebody a reviewer or a lead, and not the other. Groups of any other kind stay as they are."""
    account.groups.remove(*Group.objects.filter(name__in=ROLES).exclude(name=role))
    account.groups.add(Group.objects.get(name=role))


def is_last_lead(account: User) -> bool:
    """Whether nobody else would be a lead who can log in. Call it in the transaction that takes the role away."""
    # Two leads who take it from each other at the same moment: the second one waits here, and sees what the first did.
    leads = Group.objects.select_for_update().get(name=LEADS)
    active = User.objects.filter(groups=leads, is_active=True, is_staff=True)
    return active.filter(pk=account.pk).exists() and not active.exclude(pk=account.pk).exists()


def may_do_more_than_a_lead(account: User) -> bool:
    """Whether who has this account's password could do what no lead can. Asks the rights, active or not."""
    if account.is_superuser:
        return True
    given = Permission.objects.filter(Q(user=account) | Q(group__user=account))
    return given.exclude(pk__in=Permission.objects.filter(group__name=LEADS)).exists()
