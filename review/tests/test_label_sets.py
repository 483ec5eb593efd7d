"""The desk on sites whose label set is not ImageNet's, and words that several labels share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import pytest
from django.test import Client

from predictions.labels import readable
from predictions.tests.label_sets import ActivateLabels
from review.models import Case
from review.tests.cases import open_case
from review.tests.focus import last, page, send, take, url
from worker.inference.repository.labels import Label
from worker.inference.tests.label_examples import FOUR, ODD, many_labels

pytestmark = pytest.mark.django_db
LIST = "/admin/review/case/"
CRANES = (Label("n1", "crane", "crane (bird)"), Label("n2", "crane", "crane (machine)"), Label("n3", "gull", "gull"))


def _case(labels: Sequence[Label], version: str, *, expected: str) -> Case:
    top = [[label.display_name, 0.9 / 2**place] for place, label in enumerate(labels[:5])]
    return open_case(label=top[0][0], score=0.9, top=top, model_version=version, expected=expected)


def _found(client: Client, **query: str) -> list[int]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return [int(pk) for pk in re.findall(r'alt="Picture of case (\d+)"', response.text)]


@pytest.mark.parametrize("labels", [FOUR, FOUR[:2], ODD, many_labels()], ids=["4", "2", "odd", "12,000"])
def test_pages_work_with_any_labels(reviewer: Client, activate_labels: ActivateLabels, labels: Sequence[Label]) -> None:
    version = activate_labels(labels)
    case = _case(labels, str(version), expected=labels[-1].display_name)
    focus = page(reviewer, url(case))
    for label in labels[:5]:
        assert escape(readable(label.display_name)) in focus
    assert "<b>bold" not in focus
    for address in (LIST, f"{LIST}grid/"):
        text = page(reviewer, address)
        assert escape(readable(labels[0].display_name)) in text and "<b>bold" not in text
    take(reviewer, case)
    assert send(reviewer, case, verdict="corrected", label=readable(labels[-1].display_name)).status_code == 303
    assert last()[:2] == ("corrected", labels[-1].display_name)


@pytest.mark.parametrize("labels", [FOUR, ODD, many_labels()], ids=["4", "odd", "12,000"])
def test_statistics_work_with_any_labels(
    lead: Client, activate_labels: ActivateLabels, labels: Sequence[Label]
) -> None:
    version = activate_labels(labels)
    case = _case(labels, str(version), expected=labels[-1].display_name)
    take(lead, case)
    send(lead, case, label=labels[-1].display_name)
    text = page(lead, f"{LIST}statistics/")
    assert escape(readable(labels[0].display_name)) in text and "<b>bold" not in text
    confusions = page(lead, f"{LIST}statistics/confusions.csv")
    assert labels[-1].display_name in confusions
    assert not re.search(r'(^|,)"?=', confusions, re.MULTILINE), "no cell is a formula"


def test_filters_find_a_label_as_pages_show_it(reviewer: Client, activate_labels: ActivateLabels) -> None:
    """The combobox puts it into the field."""
    labels = many_labels(100)
    case = _case(labels, str(activate_labels(labels)), expected=labels[3].display_name)
    assert _found(reviewer, predicted_label=readable(labels[0].display_name)) == [case.pk]
    assert _found(reviewer, expected_label=readable(labels[3].display_name)) == [case.pk]
    assert _found(reviewer, predicted_label=readable(labels[1].display_name)) == []
    assert _found(reviewer, q=readable(labels[0].display_name)) == [case.pk]


def test_a_case_says_what_a_shared_word_may_mean(reviewer: Client, activate_labels: ActivateLabels) -> None:
    """A row of an earlier release says only `crane`."""
    version = activate_labels(CRANES)
    top = [["crane", 0.6], ["gull", 0.2], ["crane", 0.1]]
    case = open_case(statements=0, label="crane", score=0.6, top=top, model_version=str(version))
    text = page(reviewer, url(case))
    assert "“crane” may be " in text and text.count("crane (bird)") > 1 and text.count("crane (machine)") > 1
    assert text.count('name="label" value="crane"') == 1, "the word is one choice"
    take(reviewer, case)
    send(reviewer, case, label="crane (bird)")
    assert last()[:2] == ("right", "crane (bird)"), "the model said a word that means this label, too"


def test_another_label_corrects_a_shared_word(reviewer: Client, activate_labels: ActivateLabels) -> None:
    version = activate_labels(CRANES)
    case = open_case(statements=0, label="crane", top=[["crane", 0.6], ["gull", 0.2]], model_version=str(version))
    take(reviewer, case)
    send(reviewer, case, label="gull")
    assert last()[:2] == ("corrected", "gull")


def test_filters_by_a_label_find_the_word_that_it_shares(reviewer: Client, activate_labels: ActivateLabels) -> None:
    version = activate_labels(CRANES)
    old = open_case(label="crane", top=[["crane", 0.9]], model_version=str(version), expected="gull")
    bird = open_case(label="crane (bird)", top=[["crane (bird)", 0.9]], model_version=str(version), expected="gull")
    gull = open_case(label="gull", top=[["gull", 0.9], ["crane", 0.1]], model_version=str(version), expected="crane")
    assert sorted(_found(reviewer, predicted_label="crane (bird)")) == [old.pk, bird.pk]
    assert _found(reviewer, predicted_label="crane (machine)") == [old.pk]
    assert _found(reviewer, predicted_label="crane") == [old.pk]
    assert _found(reviewer, expected_label="crane (bird)") == [gull.pk]
    counts = dict(re.findall(r'>(crane[^<]*)</a> <span class="count">(\d+)<', page(reviewer, LIST)))
    assert counts == {"crane": "1", "crane (bird)": "2"}, "a count tells how many cases the filter finds"
