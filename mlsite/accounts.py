"""The account that a new installation starts with."""

import secrets

from django.contrib.auth.models import Group, Permission, User

REVIEWER = "reviewer"
GROUP = "Reviewers"

# Predictions, images and feedback are records: reviewers look at them.
PERMISSIONS = ("view_prediction", "view_image", "view_feedback")


def create_first_reviewer() -> tuple[str, str] | None:
    """Makes a reviewer where nobody can log in to the admin yet. The name and the password, which is kept nowhere."""
    if User.objects.filter(is_staff=True).exists():
        return None
    group, _created = Group.objects.get_or_create(name=GROUP)
    group.permissions.set(Permission.objects.filter(codename__in=PERMISSIONS))
    password = secrets.token_urlsafe(12)
    reviewer = User.objects.create_user(REVIEWER, password=password, is_staff=True)
    reviewer.groups.add(group)
    return REVIEWER, password
