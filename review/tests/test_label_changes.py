"""What changes for the reviewers if another version answers."""

from __future__ import annotations

import pytest

from review.decisions import DecisionRequest, case_decide
from review.label_changes import KnownProposal, LabelChanges, label_changes, statement_counts
from review.label_sets import remember
from review.models import Case, LabelMapping
from review.tests.cases import open_case, reviewer_named
from review.tests.label_versions import install, mapped
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db


def _decided(label: str) -> Case:
    case = open_case(expected=label, model_version="a@1", top=[["espresso", 0.9], [label, 0.1]])
    request = DecisionRequest("corrected", label, may_propose=True)
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=request)
    return case


def test_counts_the_cases_that_are_affected(repository: Repository) -> None:
    a = install(repository, "a", "1 espresso", "2 cup", "3 dog", "4 cat")
    b = install(repository, "b", "1 coffee", "5 mug", "6 teacup", "7 hound, dog")
    for label in ("cup", "cup", "dog"):
        _decided(label)
    open_case(expected="cat", model_version="a@1", top=[["espresso", 0.9], ["cat", 0.1]])
    changes = label_changes(a, b)
    assert [(old.name, new.name) for old, new in changes.renamed] == [("espresso", "coffee")]
    assert [label.name for label in changes.new] == ["mug", "teacup", "hound"]
    assert [(one.label.name, one.becomes, one.decided_cases, one.open_cases) for one in changes.gone] == [
        ("cup", None, 2, 0),
        ("dog", None, 1, 0),
        ("cat", None, 0, 1),
    ]
    assert [label.name for label in changes.gone[1].likely] == ["hound"]
    assert (changes.open_cases, changes.returning_cases, changes.unmapped_cases) == (1, 0, 3)
    mapped(a, b, "split cup mug teacup", "rename dog hound", "drop cat")
    changes = label_changes(a, b)
    assert [one.becomes for one in changes.gone] == [("mug", "teacup"), ("hound",), ()]
    assert [one.what for one in changes.gone] == ["split into mug and teacup", "becomes hound", "dropped"]
    assert [label.name for label in changes.new] == ["mug", "teacup"]
    assert changes.returning == (("The label “cup” was split into “mug” and “teacup”.", 2),)
    assert (changes.open_cases, changes.returning_cases, changes.unmapped_cases) == (1, 2, 0)
    assert changes.summary == (
        "2 labels are renamed or merged, 2 disappear, 2 are new; 1 open case expects one that disappears, "
        "2 decided cases come back to the desk."
    )


def test_renamed_label_does_not_disappear(repository: Repository) -> None:
    a = install(repository, "a", "1 circle", "2 square", "3 latte", "4 cup")
    b = install(repository, "b", "1 circle", "5 box", "6 latte", "4 cup")
    _decided("square")
    open_case(expected="square", model_version="a@1", top=[["circle", 0.9], ["square", 0.1]])
    mapped(a, b, "rename square box", "rename latte latte")
    changes = label_changes(a, b)
    assert [one.what for one in changes.mapped] == ["becomes box", "becomes latte"]
    assert changes.summary == (
        "2 labels are renamed or merged, 0 disappear, 0 are new; 0 open cases expect one that disappears, "
        "0 decided cases come back to the desk."
    )


def test_label_of_a_third_version_is_no_new_name(repository: Repository) -> None:
    a = install(repository, "a", "1 circle", "2 square")
    mapped(a, install(repository, "b", "1 circle", "5 box"), "rename square box")
    changes = label_changes(a, install(repository, "c", "1 circle", "6 ring"))
    assert [one.what for one in changes.lost] == ["no similar label"] and not changes.mapped


def test_merged_label_has_no_way_back(repository: Repository) -> None:
    """The mapping names it, but in the other direction it does not say what becomes of it."""
    a = install(repository, "a", "1 circle", "2 latte", "3 mocha")
    b = install(repository, "b", "1 circle", "4 coffee")
    mapped(a, b, "merge latte coffee", "merge mocha coffee")
    case = open_case(expected="coffee", model_version="b@1", top=[["circle", 0.9], ["coffee", 0.1]])
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest("corrected", "coffee"))
    assert label_changes(b, a).summary.endswith("1 decided case keeps a label that no mapping translates.")


def test_proposals_that_are_labels_now_come_back(repository: Repository) -> None:
    a = install(repository, "a", "1 espresso", "2 cup")
    b = install(repository, "b", "1 espresso", "2 cup", "3 unicorn, monoceros")
    for text in ("Unicorn", "UNICORN", "Unicorn", "monoceros", "dragon"):
        case = open_case(model_version="a@1")
        case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest("no-label", text))
    changes = label_changes(a, b)
    assert changes.returning == (("There is a label “unicorn” now.", 4),)
    assert changes.proposals == (
        KnownProposal("Unicorn", "unicorn", 3, is_mapped=False),
        KnownProposal("monoceros", "unicorn", 1, is_mapped=False),
    )
    mapped(a, b, "proposed unicorn unicorn")
    changes = label_changes(a, b)
    assert changes.returning_cases == 1
    assert [one.is_mapped for one in changes.proposals] == [True, False]


def test_cases_of_a_word_that_labels_share_count_once(repository: Repository) -> None:
    """Decisions of earlier releases say only `crane`."""
    a = install(repository, "a", "1 crane", "2 crane", "3 gull")
    b = install(repository, "b", "3 gull", "4 heron", "5 machine")
    _decided("crane")
    open_case(expected="crane", model_version="a@1", top=[["gull", 0.9], ["crane", 0.1]])
    changes = label_changes(a, b)
    assert [(one.label.display_name, one.decided_cases, one.open_cases) for one in changes.gone] == [
        ("crane (1)", 1, 1),
        ("crane (2)", 1, 1),
    ]
    assert statement_counts(changes) == {"crane (1)": 2, "crane (2)": 2}
    assert (changes.open_cases, changes.returning_cases, changes.unmapped_cases) == (1, 0, 1)
    rows = [["rename", "crane (1)", ["heron"]], ["rename", "crane (2)", ["machine"]]]
    LabelMapping.objects.create(old=remember(a), new=remember(b), rows=rows)
    changes = label_changes(a, b)
    assert (changes.open_cases, changes.returning_cases, changes.unmapped_cases) == (1, 1, 0)


def test_nothing_changes_between_versions_with_the_same_labels(repository: Repository) -> None:
    a = install(repository, "a", "1 espresso", "2 cup")
    changes = label_changes(a, install(repository, "a", "2 cup", "1 espresso"))
    assert changes == LabelChanges((), (), (), (), (), 0, 0)
    assert changes.summary == "The labels stay the same."
