"""Statistics in the labels of the active or the chosen version."""

from __future__ import annotations

import csv
import re
import shutil
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from review.statistics.estimates import ProposedLabel, proposed_labels
from review.statistics.tests.rows import case, counted, decided
from review.tests.cases import reviewer_named
from review.tests.focus import page
from review.tests.label_versions import install, mapped
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def repository(settings: Settings, tmp_path: Path) -> Repository:
    """`a@1` and `b@1`, which is active: `dog` is renamed, two coffees are merged, and `cup` is split."""
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    a = install(repository, "a", "1 dog", "2 latte", "3 mocha", "4 cup")
    b = install(repository, "b", "1 hound", "5 coffee", "6 mug", "7 teacup", "8 unicorn")
    mapped(a, b, "merge latte coffee", "merge mocha coffee", "split cup mug teacup", "proposed unicorn unicorn")
    repository.activate("b@1")
    return repository


def _rows(lead: Client, table: str, **query: str) -> list[list[str]]:
    response = lead.get(reverse("admin:review_case_statistics_csv", args=[table]), {"days": "all", **query})
    return list(csv.reader(StringIO(response.content.decode("utf-8-sig"))))[1:]


def _proposed(said: str, text: str, model_version: str = "a@1") -> None:
    given: dict[str, Any] = {"state": "decided", "verdict": "no-label", "proposed_label": text}
    case(said, model_version=model_version, decided_by=reviewer_named(), decided_at=timezone.now(), **given)


def test_renamed_and_merged_labels_count_under_the_new_one(lead: Client) -> None:
    decided("dog", "latte", model_version="a@1")
    decided("hound", "coffee", model_version="b@1")
    decided("dog", "cup", model_version="a@1")  # has not come back yet
    assert [row[:4] for row in _rows(lead, "confusions")] == [
        ["hound", "coffee", "2", "3"],
        ["hound", "cup", "1", "3"],
    ]


def test_page_says_whose_labels_it_uses(lead: Client, repository: Repository) -> None:
    decided("dog", "latte", model_version="a@1")
    address = reverse("admin:review_case_statistics")
    for query, version in (({}, "b@1"), ({"model_version": "a@1"}, "a@1"), ({"model_version": "gone@1"}, "b@1")):
        assert f"In the labels of {version}." in lead.get(address, query).text
    shutil.rmtree(repository.root)
    assert "In the labels of" not in lead.get(address).text


def test_confusion_of_merged_labels_is_none(lead: Client) -> None:
    decided("latte", "mocha", model_version="a@1")
    assert _rows(lead, "confusions") == []
    assert [row[:3] for row in _rows(lead, "precision")] == [["all", "1", "1"], ["coffee", "1", "1"]]


def test_chosen_version_keeps_its_own_words(lead: Client) -> None:
    decided("latte", "mocha", model_version="a@1")
    assert [row[:3] for row in _rows(lead, "confusions", model_version="a@1")] == [["latte", "mocha", "1"]]


def test_mapped_proposals_count_as_the_label(lead: Client) -> None:
    _proposed("dog", "Unicorn ")
    _proposed("dog", "dragon")
    assert [row[:3] for row in _rows(lead, "confusions")] == [["hound", "unicorn", "1"]]
    assert _rows(lead, "proposed-labels") == [["dragon", "hound", "1"]]


def test_spellings_of_a_proposal_count_together() -> None:
    texts = {"unicorn": 2, "Unicorn": 3, "UNICÓRN": 1, "🦄": 1}
    counts = [counted("dog", "", number, verdict="no-label", proposed_label=text) for text, number in texts.items()]
    assert proposed_labels(counts) == [ProposedLabel("Unicorn", "dog", 6), ProposedLabel("🦄", "dog", 1)]


def test_links_lead_to_all_cases_or_nowhere(lead: Client) -> None:
    decided("dog", "latte", model_version="a@1")
    text = page(lead, "/admin/review/case/statistics/?days=all")
    assert "?state=decided&amp;predicted_label=dog&amp;label=latte" in text
    decided("dog", "mocha", model_version="a@1")
    assert "Each pair links to its cases" in text
    text = page(lead, "/admin/review/case/statistics/?days=all")
    assert "Pairs link to their cases if the list can show just these" in text
    assert "label=latte" not in text and "label=mocha" not in text and "label=coffee" not in text
    _proposed("dog", "dragon")
    assert "?state=no-label&amp;q=dragon" in page(lead, "/admin/review/case/statistics/?days=all")


def test_pair_of_a_mapped_proposal_has_no_link(lead: Client) -> None:
    _proposed("dog", "unicorn")
    decided("dog", "cup", model_version="a@1")
    assert _linked_pairs(lead) == {"?state=decided&predicted_label=dog&label=cup"}


def test_pair_has_no_link_if_other_cases_have_its_words(lead: Client, repository: Repository) -> None:
    install(repository, "c", "9 dog", "4 cup")  # another dog, without a counterpart
    decided("dog", "cup", model_version="a@1")
    decided("dog", "cup", model_version="c@1")
    decided("latte", "cup", model_version="a@1")
    decided("mocha", "dog", model_version="a@1")
    assert _linked_pairs(lead) == {
        "?state=decided&predicted_label=latte&label=cup",
        "?state=decided&predicted_label=mocha&label=dog",
    }, "the two coffees are told apart by what reviewers chose"


def _linked_pairs(lead: Client) -> set[str]:
    text = unescape(page(lead, "/admin/review/case/statistics/?days=all"))
    section = text.partition('id="confusions"')[2].partition("</section>")[0]
    return set(re.findall(r'href="[^"?]*(\?state=[^"]*)"', section))


def test_words_stay_as_they_are_if_no_version_is_active(lead: Client, repository: Repository) -> None:
    (repository.root / "active").unlink()
    decided("dog", "latte", model_version="a@1")
    assert [row[:2] for row in _rows(lead, "confusions")] == [["dog", "latte"]]
