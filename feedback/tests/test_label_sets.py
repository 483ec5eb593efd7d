"""Feedback on sites whose label set is not ImageNet's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from feedback.models import Feedback
from predictions import labels
from predictions.tests.label_sets import ActivateLabels, answered_by_page
from worker.inference.repository.labels import Label
from worker.inference.tests.label_examples import FOUR, ODD, many_labels
from worker.inference.tests.tiny_networks import ANIMALS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("chosen", [FOUR, ODD, many_labels()], ids=["4", "odd", "12,000"])
def test_takes_any_other_label_as_feedback(
    client: Client, activate_labels: ActivateLabels, work_off: Callable[[], None], chosen: tuple[Label, ...]
) -> None:
    activate_labels(chosen)
    prediction = answered_by_page(client, work_off)
    label = next(label for label in reversed(chosen) if label.display_name != prediction.label)
    said = {"prediction": str(prediction.id), "verdict": "wrong"}
    answer = client.post("/api/feedback", said | {"expected_label_id": label.id}, content_type="application/json")
    assert (answer.status_code, answer.json()["expected_label"]) == (201, label.display_name)
    # The combobox puts the label into the field as it shows it.
    form = {"verdict": "wrong", "expected": labels.readable(label.display_name)}
    assert client.post(f"/predictions/{prediction.id}/feedback/", form).status_code == 302
    assert set(Feedback.objects.values_list("expected_label", "expected_words")) == {(label.display_name, "")}
    assert client.get(prediction.get_absolute_url()).status_code == 200


def test_names_all_labels_that_a_synonym_may_mean(
    client: Client, activate_labels: ActivateLabels, work_off: Callable[[], None]
) -> None:
    activate_labels(ANIMALS)
    prediction = answered_by_page(client, work_off)
    said = {"prediction": str(prediction.id), "verdict": "wrong", "expected_label": "puss"}
    answer = client.post("/api/feedback", said, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "“puss” may be “Persian_cat” or “tabby”. Please send one of them."
