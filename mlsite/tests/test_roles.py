"""Each role can open its own pages of the admin, and no others.

A route that is in no list must admit nobody, so a new route cannot be forgotten here.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from learning.models import Export, Quantization
from review import roles
from review.models import Case
from review.tests.cases import open_case

pytestmark = pytest.mark.django_db

# Independent of roles: login, logout, and redirects.
LEFT_OUT = frozenset({None, "login", "logout", "view_on_site", "autocomplete", "app_list", "review_case_change"})
EVERYBODY = frozenset({"index", "password_change", "password_change_done", "jsi18n"})
REVIEWERS = EVERYBODY | {
    *(
        f"{model}_{page}"
        for model in ("predictions_image", "predictions_prediction", "feedback_feedback", "review_case")
        for page in ("changelist", "change", "history")
    ),
    *(
        f"review_case_{page}"
        for page in (
            *("next", "nothing_left", "claim", "release", "focus", "decide", "undo"),
            *("grid", "grid_preview", "grid_decide", "grid_undo"),
        )
    ),
}
REVIEWERS -= LEFT_OUT
LEADS = REVIEWERS | {
    "predictions_image_erase",
    "review_case_reopen",
    "review_case_statistics",
    "review_case_statistics_csv",
    *(
        f"learning_export_{page}"
        for page in ("changelist", "add", "change", "history", "delete", "progress", "download")
    ),
    *(f"learning_quantization_{page}" for page in ("changelist", "change", "history", "picture")),
    *(f"learning_installedmodel_{page}" for page in ("changelist", "change", "labels", "activate", "rollback")),
    *(f"auth_user_{page}" for page in ("changelist", "add", "change", "history", "password_change")),
}


def _routes(resolver: URLResolver) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _routes(entry)
        else:
            yield entry


def _admin() -> dict[str, URLPattern]:
    (admin,) = (entry for entry in get_resolver().url_patterns if getattr(entry, "namespace", "") == "admin")
    assert isinstance(admin, URLResolver)
    return {str(route.name): route for route in _routes(admin) if route.name not in LEFT_OUT}


def _addresses(case: Case, account: User) -> dict[str, str]:
    """One URL for each route, with ids of existing rows."""
    row_ids = {
        "predictions_image": case.image_id,
        "predictions_prediction": case.prediction_id,
        "feedback_feedback": case.feedback.all()[0].pk,
        "review_case": case.pk,
        "learning_export": Export.objects.create(requested_by=account, format=Export.DatasetFormat.IMAGEFOLDER).pk,
        "learning_quantization": Quantization.objects.create(compared=1, labelled=0, flipped=0, precisions=[]).pk,
        "auth_user": account.pk,
        "auth_group": Group.objects.get(name=roles.REVIEWERS).pk,
    }
    own = {
        "case_id": case.pk,
        "bulk": uuid4(),
        "export_id": row_ids["learning_export"],
        "flip_id": 1,
        "name": "statements",
        "app_label": "feedback",
        "id": account.pk,
        "queue_index": 0,
        "scheduler_index": 0,
        "connection_index": 0,
    }
    addresses = {}
    for name, route in _admin().items():
        model = next((model for model in row_ids if name.startswith(model)), "")
        values = own | {"object_id": row_ids.get(model, 1)}
        names = route.pattern.converters or route.pattern.regex.groupindex
        addresses[name] = reverse(f"admin:{name}", kwargs={key: values.get(key, "x") for key in names})
    return addresses


def _can_open(client: Client, address: str) -> bool:
    """Sends a GET and an empty POST. A 404 or a validation error counts: the view has run."""
    for send in (client.get, client.post):
        response = send(address)
        login = response.get("Location", "").startswith(("/admin/login/", "/accounts/login/"))
        outside = login or response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        # Django redirects from a history that the user may not see.
        redirected = address.endswith("/history/") and response.status_code == HTTPStatus.FOUND
        if not outside and not redirected and response.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
            return True
    return False


@pytest.mark.parametrize(
    ("role", "expected"), [(roles.REVIEWERS, REVIEWERS), (roles.LEADS, LEADS), ("", EVERYBODY), (None, frozenset())]
)
def test_roles_open_their_own_pages_only(queue: object, role: str | None, expected: frozenset[str]) -> None:
    case, other = open_case(statements=1), User.objects.create_user("other", is_staff=True)
    roles.create_roles()
    other.groups.add(Group.objects.get(name=roles.REVIEWERS))
    account = User.objects.create_user("somebody", is_staff=role is not None)
    if role:
        account.groups.add(Group.objects.get(name=role))
    found = set()
    for name, address in _addresses(case, other).items():
        client = Client(raise_request_exception=False)
        client.force_login(account)
        if _can_open(client, address):
            found.add(name)
    assert found == expected
