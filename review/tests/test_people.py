"""Cases count people, not statements, and invented people do not steer the queue."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from feedback.history.merging import histories_merge
from feedback.services import feedback_give
from predictions import erasing
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction
from review.claims import claim_next
from review.decisions import DecisionRequest, case_decide
from review.filters import Filters
from review.models import Case
from review.tests.cases import open_case, own_prediction, reviewer_named
from review.tests.focus import page, url

pytestmark = pytest.mark.django_db

LIST = "/admin/review/case/"


def _say(prediction: Prediction, author: str, label: str = "", **values: str) -> Case:
    feedback_give(prediction=prediction, author=author, verdict="wrong", expected_label=label, **values)
    return Case.objects.get(image=prediction.image)


def _again(prediction: Prediction, **changes: Any) -> Prediction:
    """The same picture is sent again."""
    return stored_prediction(prediction.image, **changes)


def _post(prediction: Prediction, address: str = "203.0.113.7", **values: str) -> None:
    payload = {"prediction": str(prediction.id), "verdict": "wrong"} | values
    client = Client(REMOTE_ADDR=address)
    assert client.post("/api/feedback", payload, content_type="application/json").status_code == 201


def _visit(prediction: Prediction, **values: str) -> None:
    response = Client().post(f"/predictions/{prediction.id}/feedback/", {"verdict": "wrong"} | values)
    assert response.status_code == 302


def _cases(client: Client, query: str = "") -> list[int]:
    return [int(pk) for pk in re.findall(r'alt="Picture of case (\d+)"', page(client, LIST + query))]


def _expected_cell(client: Client) -> str:
    """Returns the column "People expect" of the first row, without tags."""
    cell = (
        page(client, LIST + "?state=all")
        .partition("<tbody>")[2]
        .split("<td")[3]
        .partition(">")[2]
        .partition("</td>")[0]
    )
    return " ".join(re.sub("<[^>]*>", "", cell).split())


# --- Counting -----------------------------------------------------------------------------------------


def test_a_person_who_sends_a_picture_ten_times_counts_once() -> None:
    first = own_prediction()
    for prediction in [first, *(_again(first) for _ in range(9))]:
        case = _say(prediction, "a", "cup")
    assert case.feedback.current().count() == 10
    assert (case.weight, case.sender_count, case.wrong_count, case.expected_label) == (1, 1, 1, "cup")


def test_a_person_who_deletes_and_sends_again_counts_once() -> None:
    own_picture = own_prediction(sender="b" * 64)
    _say(own_picture, "b" * 64, "cup")
    for _ in range(3):
        mine = _again(own_picture, sender="a" * 64)
        case = _say(mine, "a" * 64, "coffee_mug")
        assert (case.weight, case.sender_count, case.wrong_count) == (2, 2, 2)
        erasing.prediction_delete(mine.pk, visitor="a" * 64)
        case.refresh_from_db()
        assert (case.weight, case.sender_count, case.wrong_count, case.expected_label) == (1, 1, 1, "cup")


def test_most_people_outweigh_most_statements() -> None:
    first = own_prediction()
    for prediction in [first, *(_again(first) for _ in range(9))]:
        _say(prediction, "a", "coffee_mug")
    _say(first, "b", "cup")
    case = _say(first, "c", "cup")
    assert (case.weight, case.expected_label) == (3, "cup")


def test_a_person_who_says_two_labels_counts_for_both(reviewer: Client) -> None:
    first = own_prediction()
    _say(first, "a", "cup")
    case = _say(_again(first), "a", "coffee_mug")
    assert (case.weight, case.expected_label) == (1, "coffee_mug"), "the one that was named last"
    assert _expected_cell(reviewer) == "coffee mug ×1, cup ×1"


def test_statements_without_an_author_count_one_each() -> None:
    first = own_prediction()
    for prediction in (first, _again(first), _again(first)):
        case = _say(prediction, "", "cup")
    assert (case.weight, case.sender_count) == (3, 3)


def test_a_replaced_statement_does_not_count() -> None:
    prediction = own_prediction()
    _say(prediction, "a", "cup")
    feedback_give(prediction=prediction, author="a", verdict="right")
    case = Case.objects.get()
    assert (case.weight, case.sender_count, case.wrong_count, case.expected_label) == (1, 1, 0, "")


# --- Invented people ----------------------------------------------------------------------------------


def test_invented_authors_of_one_network_are_one_sender() -> None:
    prediction = own_prediction()
    for number in range(10):
        _post(prediction, author=f"invented {number}", expected_label="cup")
    case = Case.objects.get()
    assert (case.weight, case.sender_count) == (10, 1)


@pytest.mark.parametrize(
    ("addresses", "senders"),
    [
        (["203.0.113.7", "203.0.113.8"], 2),
        (["2001:db8::1", "2001:db8::2"], 1),
        (["2001:db8::1", "2001:db8:0:1::1"], 2),
    ],
)
def test_senders_are_networks(addresses: list[str], senders: int) -> None:
    prediction = own_prediction()
    for number, address in enumerate(addresses):
        _post(prediction, address, author=str(number))
    assert Case.objects.get().sender_count == senders


def test_visitors_of_one_address_are_several_senders() -> None:
    prediction = own_prediction()
    for _ in range(3):
        _visit(prediction)
    case = Case.objects.get()
    assert (case.weight, case.sender_count) == (3, 3)


def test_an_author_who_moves_between_networks_is_one_sender() -> None:
    first = own_prediction()
    _post(first, "203.0.113.7", author="ada")
    _post(_again(first), "203.0.113.8", author="ada")
    case = Case.objects.get()
    assert (case.weight, case.sender_count) == (1, 1)


def test_clients_behind_a_trusted_proxy_are_several_people(settings: Any) -> None:
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    prediction = own_prediction()
    for address in ("203.0.113.7", "203.0.113.8", "203.0.113.7"):
        client = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": address})
        payload = {"prediction": str(prediction.id), "verdict": "wrong"}
        assert client.post("/api/feedback", payload, content_type="application/json").status_code == 201
    case = Case.objects.get()
    assert (case.weight, case.sender_count) == (2, 2)


def test_real_people_come_before_invented_ones_in_the_queue(reviewer: Client) -> None:
    loud, quiet = own_prediction(), own_prediction()
    for number in range(10):
        _post(loud, author=f"invented {number}")
    for _ in range(2):
        _visit(quiet)
    first, second = Case.objects.get(image=quiet.image), Case.objects.get(image=loud.image)
    assert _cases(reviewer) == [first.pk, second.pk]
    assert claim_next(reviewer_named("ada")) == first


def test_more_people_come_first_among_cases_of_one_sender(reviewer: Client) -> None:
    one, two = own_prediction(), own_prediction()
    for prediction in (one, _again(one), _again(one)):
        _post(prediction, author="ada")
    for author in ("ada", "ben"):
        _post(two, author=author)
    assert _cases(reviewer) == [Case.objects.get(image=image).pk for image in (two.image, one.image)]


def test_invented_people_do_not_choose_the_label_to_accept() -> None:
    prediction = own_prediction()
    for number in range(10):
        _post(prediction, author=f"invented {number}", expected_label="coffee_mug")
    for _ in range(2):
        _visit(prediction, expected="cup")
    assert Case.objects.get().expected_label == "cup"


# --- Showing ------------------------------------------------------------------------------------------


@pytest.fixture
def three_labels() -> Case:
    prediction = own_prediction()
    for author, label in (("a", "cup"), ("b", "cup"), ("c", "coffee_mug"), ("d", "Eskimo_dog")):
        _say(prediction, author, label)
    _say(_again(prediction), "a", "cup")
    return _say(prediction, "e", expected_words="a “demitasse” \u202e")


@pytest.fixture(autouse=True)
def labels(models: object) -> None:
    """The labels of the default model are known."""


def test_list_shows_every_label_with_its_people_and_words(reviewer: Client, three_labels: Case) -> None:
    assert _expected_cell(reviewer) == "cup ×2, Eskimo dog ×1, coffee mug ×1 “a “demitasse” [U+202E]”"


def test_list_shows_words_alone(reviewer: Client) -> None:
    _say(own_prediction(), "a", expected_words="a <b>demitasse</b>")
    assert "“<bdi>a &lt;b&gt;demitasse&lt;/b&gt;</bdi>”" in page(reviewer, LIST)


def test_list_shows_the_newest_words_and_the_number_of_other_labels(reviewer: Client) -> None:
    prediction = own_prediction()
    names = ("cup", "coffee_mug", "Eskimo_dog", "abacus", "abaya", "airship", "acorn", "airliner", "ant", "axolotl")
    for number, label in enumerate(names):
        _say(prediction, str(number), label, expected_words=f"word {number}")
    cell = _expected_cell(reviewer)
    assert "and 2 more" in cell and "“word 9” “word 8” “word 7”" in cell and "word 6" not in cell


def test_list_shows_the_same_words_once(reviewer: Client) -> None:
    first = own_prediction()
    for prediction, author, text in (
        (first, "a", "my cat"),
        (first, "b", "a dog"),
        (_again(first), "b", "a dog"),
        (first, "c", "a dog"),
    ):
        _say(prediction, author, expected_words=text)
    assert _expected_cell(reviewer) == "“a dog” ×2 “my cat”"


def test_grid_shows_every_label_with_its_people(reviewer: Client, three_labels: Case) -> None:
    text = " ".join(re.sub("<[^>]*>", "", page(reviewer, f"{LIST}grid/")).split())
    assert "→ cup ×2, Eskimo dog ×1, coffee mug ×1" in text


def test_focus_view_counts_people(reviewer: Client, three_labels: Case) -> None:
    text = page(reviewer, url(three_labels))
    assert "2 people expect it" in text and "<strong>5</strong> wrong" in text
    assert "1 expects it" in text, "coffee mug is one of the model's labels"
    assert "Eskimo dog ×1" in text


def test_decided_case_shows_every_label(reviewer: Client, three_labels: Case) -> None:
    case_decide(case_id=three_labels.pk, reviewer=reviewer_named("grace"), verdict=DecisionRequest("right"))
    text = " ".join(page(reviewer, url(three_labels)).split())
    assert "People expect “cup” ×2, “Eskimo dog” ×1, “coffee mug” ×1." in text


@pytest.mark.parametrize("label", ["cup", "coffee_mug", "Eskimo_dog"])
def test_filter_finds_every_label(reviewer: Client, three_labels: Case, label: str) -> None:
    open_case(expected="abacus")
    assert _cases(reviewer, f"?expected_label={label}") == [three_labels.pk]
    assert claim_next(reviewer_named("ada"), filters=Filters(values={"expected_label": label})) == three_labels
    counts = dict(
        re.findall(r'href="\?expected_label=(\w+)">[^<]*</a> <span class="count">(\d+)<', page(reviewer, LIST))
    )
    assert counts == {"cup": "1", "coffee_mug": "1", "Eskimo_dog": "1", "abacus": "1"}


def test_counts_add_cases_with_one_expected_label_to_those_with_several(reviewer: Client, three_labels: Case) -> None:
    open_case(expected="coffee_mug")
    assert '"?expected_label=coffee_mug">coffee mug</a> <span class="count">2<' in page(reviewer, LIST)


def test_migration_marks_the_cases_with_several_expected_labels(three_labels: Case) -> None:
    open_case(expected="cup")
    Case.objects.update(has_other_expected_labels=None)
    migration: Any = import_module("review.migrations.0007_other_expected_labels")
    migration.mark_cases(apps, None)
    assert list(Case.objects.filter(has_other_expected_labels=True)) == [three_labels]


def test_filter_ignores_replaced_statements(reviewer: Client) -> None:
    prediction = own_prediction()
    _say(prediction, "a", "cup")
    _say(prediction, "a", "coffee_mug")
    assert _cases(reviewer, "?expected_label=cup") == []
    assert "expected_label=cup" not in page(reviewer, LIST)


@pytest.mark.parametrize("text", ["cup", "coffee mug", "eskimo", "Eskimo_dog"])
def test_search_finds_every_label(reviewer: Client, three_labels: Case, text: str) -> None:
    open_case(expected="abacus")
    assert _cases(reviewer, f"?q={text}") == [three_labels.pk]


def test_search_finds_words(reviewer: Client, three_labels: Case) -> None:
    assert _cases(reviewer, "?q=demitasse") == [three_labels.pk]


@pytest.mark.parametrize("cases", [1, 20])
def test_number_of_queries_does_not_grow(
    reviewer: Client, cases: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(cases):
        open_case(statements=2)
    with django_assert_max_num_queries(14):
        page(reviewer, LIST)


def test_merged_histories_count_as_one_person() -> None:
    prediction = own_prediction()
    for visitor in ("desktop", "phone", "somebody else"):
        case = _say(_again(prediction, sender=visitor), visitor, "cup")
    assert case.weight == 3
    histories_merge("phone", into="desktop")
    case.refresh_from_db()
    assert (case.weight, case.wrong_count) == (2, 2)
