"""The account that a new installation starts with."""

import secrets
from itertools import chain, count

from django.contrib.auth.models import Group, User
from django.db.models import Q

from feedback.roles import LEADS, create_roles

LEAD = "lead"


def create_first_lead() -> tuple[str, str] | None:
    """Makes a lead where nobody can manage the reviewers yet. The name and the password, which is kept nowhere."""
    if User.objects.filter(Q(is_superuser=True) | Q(groups__name=LEADS), is_active=True, is_staff=True).exists():
        return None
    create_roles()
    password = secrets.token_urlsafe(12)
    taken = set(User.objects.filter(username__startswith=LEAD).values_list("username", flat=True))
    name = next(name for name in chain([LEAD], (f"{LEAD}-{number}" for number in count(2))) if name not in taken)
    lead = User.objects.create_user(name, password=password, is_staff=True)
    lead.groups.add(Group.objects.get(name=LEADS))
    return name, password
