"""The two roles of the reviewing desk, as groups. Made by a migration."""

from __future__ import annotations

from typing import Any

from django.apps import apps as django_apps
from django.contrib.auth.models import User

REVIEWERS = "Reviewers"
LEADS = "Leads"

# (app, model): permissions. What happened is looked at, never edited.
_REVIEWER = {
    ("predictions", "image"): ("view_image",),
    ("predictions", "prediction"): ("view_prediction",),
    ("feedback", "feedback"): ("view_feedback",),
    ("feedback", "case"): ("view_case", "decide_case"),
    ("feedback", "decision"): ("view_decision",),
}
_LEAD = _REVIEWER | {
    ("feedback", "case"): ("view_case", "decide_case", "reopen_case", "view_statistics"),
    ("feedback", "export"): ("view_export", "add_export", "delete_export"),
    ("auth", "user"): ("view_user", "add_user", "change_user"),
}
ROLES = {REVIEWERS: _REVIEWER, LEADS: _LEAD}


def create_roles(apps: Any = django_apps) -> None:
    """Makes both groups, or gives them their permissions anew. `apps`: those of a migration, or of today."""
    groups, permissions, content_types = (
        apps.get_model(*name) for name in (("auth", "Group"), ("auth", "Permission"), ("contenttypes", "ContentType"))
    )
    for name, models in ROLES.items():
        group, _created = groups.objects.get_or_create(name=name)
        wanted = []
        for (app, model), codenames in models.items():
            kind, _created = content_types.objects.get_or_create(app_label=app, model=model)
            for codename in codenames:
                # A migration runs before Django makes the permissions of its models: then they are made here.
                permission, _created = permissions.objects.get_or_create(
                    content_type=kind, codename=codename, defaults={"name": _title(apps, app, model, codename)}
                )
                wanted.append(permission)
        group.permissions.set(wanted)


def _title(apps: Any, app: str, model: str, codename: str) -> str:
    """What the permission is called, as Django would call it."""
    try:
        own: dict[str, str] = dict(apps.get_model(app, model)._meta.permissions)
    except LookupError:  # a migration that is older than the model
        own = {}
    return own.get(codename, f"Can {codename.replace('_', ' ')}")


def is_lead(user: User) -> bool:
    return user.is_superuser or user.groups.filter(name=LEADS).exists()
