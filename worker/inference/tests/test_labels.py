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
    ],
)
def test_rejects_labels_that_cannot_be_used(label: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"id": "2", "name": "dog", "display_name": "dog", **label}
    with pytest.raises(InvalidLabels, match=message):
        check_labels([CAT, Label(**fields)])


def test_rejects_display_names_that_look_the_same_on_pages() -> None:
    with pytest.raises(InvalidLabels, match="same display name"):
        check_labels([Label("1", "type_a", "type_a"), Label("2", "type a", "type a")])


def test_rejects_a_single_label() -> None:
    with pytest.raises(InvalidLabels, match="at least two labels"):
        check_labels([CAT])
