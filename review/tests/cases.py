"""Creates cases and reviewers for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User

from feedback.services import feedback_give
from predictions.models import Prediction
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import picture
from review import opening, roles
from review.decisions import SeenState
from review.models import Case

_numbers = count()


def reviewer_named(name: str = "ada", role: str = roles.REVIEWERS) -> User:
    roles.create_roles()
    user, _created = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    user.groups.add(Group.objects.get(name=role))
    return user


def own_prediction(**changes: Any) -> Prediction:
    """Stores an answered prediction of a new image."""
    return stored_prediction(stored_image(picture(seed=next(_numbers) % 256)), **changes)


def open_case(*, statements: int = 1, expected: str = "cup", **changes: Any) -> Case:
    """Opens a case with `statements` people who expect `expected`; with none, a case of the audit sample."""
    prediction = own_prediction(**changes)
    for number in range(statements):
        feedback_give(prediction=prediction, author=f"author {number}", verdict="wrong", expected_label=expected)
    if not statements:
        opening.cases_open([prediction], source=Case.OpenedBy.AUDIT)
    return Case.objects.get(image=prediction.image)


def seen_state(case: Case) -> SeenState:
    """Returns what a page that was loaded now says that its reviewer saw."""
    return SeenState(case.decision_count, case.prediction_id)
