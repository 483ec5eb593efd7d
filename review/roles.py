"""The two roles of the reviewing desk: groups whose permissions are set after each `migrate`."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import DEFAULT_DB_ALIAS

REVIEWERS = "Reviewers"
LEADS = "Leads"

# (app label, model): codenames of permissions. Nobody may change predictions, feedback or decisions.
_REVIEWER: dict[tuple[str, str], tuple[str, ...]] = {
    ("predictions", "image"): ("view_image",),
    ("predictions", "prediction"): ("view_prediction",),
    ("feedback", "feedback"): ("view_feedback",),
    ("review", "case"): ("view_case", "decide_case"),
    ("review", "decision"): ("view_decision",),
}
_LEAD = _REVIEWER | {
    ("predictions", "image"): ("view_image", "erase_image"),
    ("review", "case"): ("view_case", "decide_case", "reopen_case", "view_statistics"),
    ("auth", "user"): ("view_user", "add_user", "change_user"),
}

# Packages above this one add the permissions of their own models at start.
ROLES = {REVIEWERS: dict(_REVIEWER), LEADS: dict(_LEAD)}


def on_post_migrate(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Receives `post_migrate`, which is sent when the tables of all applications exist."""
    create_roles(using)


def create_roles(using: str = DEFAULT_DB_ALIAS) -> None:
    """Creates both groups if they are missing, and sets their permissions as `ROLES` says."""
    labels = {app_label for models in ROLES.values() for app_label, _model in models}
    for app_label in sorted(labels):  # Django may not have created all of them yet
        create_permissions(apps.get_app_config(app_label), verbosity=0, using=using)
    for name, models in ROLES.items():
        group, _created = Group.objects.using(using).get_or_create(name=name)
        wanted = [
            Permission.objects.db_manager(using).get_by_natural_key(codename, app_label, model)
            for (app_label, model), codenames in models.items()
            for codename in codenames
        ]
        group.permissions.set(wanted)
