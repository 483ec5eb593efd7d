"""Feedback that was given before there were cases: what `0003_roles_and_earlier_feedback` makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps.registry import Apps
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from feedback import roles
from feedback.models import Case, Feedback
from feedback.review import opening
from feedback.tests.cases import own_prediction
from predictions.models import Prediction

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 1, tzinfo=UTC)


def _migrate(*targets: tuple[str, str]) -> Apps:
    """Migrates to these, or to the newest of all. The models as they are then."""
    executor = MigrationExecutor(connection)
    apps: Apps = executor.migrate(list(targets) or executor.loader.graph.leaf_nodes()).apps
    return apps


@pytest.fixture
def before() -> Iterator[Apps]:
    """The tables as they were when there were no cases."""
    yield _migrate(("feedback", "0001_initial"))
    _migrate()


def _say(apps: Apps, prediction: Prediction, *statements: tuple[str, str]) -> None:
    """Rows of that time: verdict and expected label of each, one a day."""
    feedback: Any = apps.get_model("feedback", "Feedback")
    for verdict, expected in statements:
        days = feedback.objects.count()
        row = feedback.objects.create(prediction_id=prediction.pk, verdict=verdict, expected_label=expected)
        feedback.objects.filter(pk=row.pk).update(created_at=START + timedelta(days=days))


def test_it_works(before: Apps) -> None:
    first = own_prediction(label="cup", score=0.8, top=[["cup", 0.8], ["espresso", 0.1]])
    second = own_prediction(label="mug", score=0.6, top=[["mug", 0.6], ["espresso", 0.1]], model_version="other-net@1")
    Prediction.objects.filter(pk=second.pk).update(image=first.image)
    _say(before, first, ("wrong", "espresso"))
    _say(before, second, ("wrong", "coffee_mug"), ("unsure", ""))
    _say(before, first, ("wrong", "espresso"), ("right", ""))
    _migrate()
    case = Case.objects.get()
    assert (case.image_id, case.prediction_id, case.source) == (first.image_id, first.pk, Case.Source.FEEDBACK)
    assert (case.predicted_label, case.score, case.model_version) == ("cup", 0.8, "fake-net@1")
    assert case.margin == pytest.approx(0.7)
    assert (case.weight, case.wrong_count, case.is_disputed, case.expected_label) == (5, 3, True, "espresso")
    assert (case.opened_at, case.last_statement_at) == (START, START + timedelta(days=4))
    assert (case.state, case.in_audit, case.decision_count) == (Case.State.OPEN, False, 0)
    assert case.statements.count() == 5 and case.statements.current().count() == 5


def test_as_if_it_were_said_today(before: Apps) -> None:
    """What the migration counts is what the reviewing desk counts."""
    for said in [
        [("wrong", "cup"), ("wrong", "coffee_mug")],
        [("wrong", "coffee_mug"), ("wrong", "cup"), ("wrong", "coffee_mug"), ("right", "cup")],
        [("right", ""), ("unsure", "lungo")],
    ]:
        _say(before, own_prediction(), *said)
    _migrate()
    columns = ("weight", "wrong_count", "is_disputed", "expected_label", "last_statement_at")
    counted = list(Case.objects.order_by("pk").values(*columns))
    for case in Case.objects.all():
        opening.case_recount(case)
    assert counted == list(Case.objects.order_by("pk").values(*columns))
    assert [row["expected_label"] for row in counted] == ["coffee_mug", "cup", ""]


def test_what_nobody_complained_of(before: Apps) -> None:
    _say(before, own_prediction(), ("right", ""))
    old: Any = before.get_model("feedback", "Feedback")
    old.objects.create(comment="a report of an old client")
    _migrate()
    assert not Case.objects.exists()
    assert Feedback.objects.filter(case__isnull=True).count() == 2


def test_each_picture_has_a_case_of_its_own(before: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("feedback.migrations.0003_roles_and_earlier_feedback"), "CHUNK", 3)
    predictions = [own_prediction() for _ in range(7)]
    for prediction in predictions:
        _say(before, prediction, ("wrong", "cup"), ("unsure", ""))
    _migrate()
    assert {case.image_id for case in Case.objects.all()} == {prediction.image_id for prediction in predictions}
    for statement in Feedback.objects.select_related("prediction", "case"):
        assert statement.prediction and statement.case
        assert statement.prediction.image_id == statement.case.image_id


def test_words_that_are_no_label(before: Apps) -> None:
    """Otherwise a reviewer would be offered them as a label, and could decide for it."""
    own = own_prediction(label="a label of a model that is gone")
    _say(before, own_prediction(), ("wrong", "Eskimo dog"), ("wrong", "Eskimo_dog"), ("wrong", own.label))
    old: Any = before.get_model("feedback", "Feedback")
    assert not old.objects.filter(expected_label="").exists()
    _migrate()
    assert list(Feedback.objects.order_by("pk").values_list("expected_label", "expected_words")) == [
        ("", "Eskimo dog"),
        ("Eskimo_dog", ""),
        (own.label, ""),
    ]


def test_the_mirror_stays_as_it_is(before: Apps) -> None:
    _say(before, own_prediction(), ("wrong", "cup"), ("wrong", "a thimble"), ("right", ""))
    old: Any = before.get_model("feedback", "Feedback")
    expected = list(old.objects.order_by("pk").values_list("expected_label", flat=True))
    _migrate()
    rows = Feedback.objects.select_related("prediction__image").order_by("pk")
    assert [json.loads(row.mirror_line)["expected"] for row in rows] == expected


def test_nothing_that_was_said_is_lost_on_the_way_back() -> None:
    feedback = Feedback.objects.create(prediction=own_prediction(), verdict="wrong", expected_words="a thimble")
    try:
        old: Any = _migrate(("feedback", "0001_initial")).get_model("feedback", "Feedback")
        assert old.objects.get(pk=feedback.pk).expected_label == "a thimble"
    finally:
        _migrate()


def test_the_roles(before: Apps) -> None:
    Group.objects.all().delete()
    _migrate()
    assert set(Group.objects.values_list("name", flat=True)) == set(roles.ROLES)
