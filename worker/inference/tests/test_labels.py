"""Label sets and their file."""

from __future__ import annotations

from typing import Any

import pytest

from worker.inference.repository.labels import (
    InvalidLabels,
    Label,
    check_labels,
    labels_from_text,
    labels_to_text,
    problem_of_text,
    with_display_names,
)

CAT, DOG = Label("1", "cat", "cat", ("tabby", "tom cat"), "Purrs."), Label("2", "dog", "dog")


def test_round_trip() -> None:
    labels = (CAT, DOG, Label("3", "jaguar", "jaguar (car)"), Label("4", "jaguar", "jaguar (cat)"))
    check_labels(labels)
    assert labels_from_text(labels_to_text(labels)) == labels


def test_labels_that_share_a_name_get_their_id() -> None:
    labels = with_display_names([Label("a1", "jaguar", ""), Label("b2", "jaguar", ""), Label("c3", "eel", "")])
    assert [label.display_name for label in labels] == ["jaguar (a1)", "jaguar (b2)", "eel"]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"id": ""}, "label 2 has no id"),
        ({"name": ""}, "label 2 has no name"),
        ({"id": "1"}, "labels 1 and 2 have the same id, '1'"),
        ({"display_name": "cat"}, "labels 1 and 2 have the same display name, 'cat'"),
        ({"name": "a" * 201}, "label 2 has a text of 201 characters"),
        ({"name": "a\0b"}, r"label 2 has the character U\+0000"),
        ({"synonyms": ("a\tb",)}, r"label 2 has the character U\+0009"),
        ({"description": "a\nb"}, r"label 2 has the character U\+000A"),
        ({"name": " dog"}, "label 2 begins or ends with a space"),
        ({"synonyms": ("a, b",)}, "separated by commas"),
        ({"name": "\u200b"}, r"label 2 has only characters that nobody can see: '\\u200b'"),
        ({"name": "\u3164\u2800\ufe0f"}, "label 2 has only characters that nobody can see"),
        ({"display_name": "a\u202eb"}, r"label 2 changes the writing direction, and does not end that: 'a\\u202eb'"),
        ({"description": "a\u2069b\u2068"}, "label 2 changes the writing direction"),
        ({"synonyms": ("\u202a\u2066a\u202c\u2069",)}, "label 2 changes the writing direction"),
        ({"name": "a\ufeffb"}, r"label 2 has the character U\+FEFF"),
    ],
)
def test_rejects_labels_that_cannot_be_used(label: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"id": "2", "name": "dog", "display_name": "dog", **label}
    with pytest.raises(InvalidLabels, match=message):
        check_labels([CAT, Label(**fields)])


@pytest.mark.parametrize(
    "other",
    ["type a", "type  a", "type\xa0a", "type_a\u200b", "ty\u00adpe a", "type \u200da", "type a\ufe0f", "type\u3164 a"],
)
def test_rejects_display_names_that_look_the_same_on_pages(other: str) -> None:
    with pytest.raises(InvalidLabels, match="labels 1 and 2 have the same display name to the eye"):
        check_labels([Label("1", "type_a", "type_a"), Label("2", other, other)])


def test_rejects_two_spellings_of_one_letter() -> None:
    with pytest.raises(InvalidLabels, match=r"'K\\xf6nig' and 'Ko\\u0308nig'"):
        check_labels([Label("1", "K\xf6nig", "K\xf6nig"), Label("2", "Ko\u0308nig", "Ko\u0308nig")])


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a non-joiner
        "\U0001f468\u200d\U0001f4bb",  # an emoji of a man, a joiner and a laptop
        "\u2764\ufe0f",
        "_",
        "\u2067\u0634\u06cc\u0631\u2069 (lion)",  # a word that is written from right to left
        "\u202b\u2067a\u2069\u202c",
    ],
)
def test_accepts_invisible_characters_that_have_a_purpose(text: str) -> None:
    assert problem_of_text(text) == ""


def test_rejects_a_single_label() -> None:
    with pytest.raises(InvalidLabels, match="at least two labels"):
        check_labels([CAT])
