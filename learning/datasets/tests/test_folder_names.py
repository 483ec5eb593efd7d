"""Folder names for labels: safe on every system, and unique."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from learning.datasets.folder_names import folder_names

LABELS = st.text(min_size=1, max_size=200)


def _name(label: str) -> str:
    return folder_names([label])[label]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Eskimo_dog", "Eskimo_dog"),
        ("jack-o'-lantern", "jack-o'-lantern"),
        ("Gänseblümchen", "Gänseblümchen"),
        ("猫", "猫"),
        ("AC/DC", "AC%2FDC"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("-rf", "%2Drf"),
        ("dot.", "dot%2E"),
        ("100%", "100%25"),
        ("a~b", "a%7Eb"),
        ("nul", "%6Eul"),
        ("COM1.png", "%43OM1.png"),
        ("con cert", "con cert"),
        ("tab\there", "tab%09here"),
        ("C:\\x", "C%3A%5Cx"),
    ],
)
def test_keeps_or_escapes_characters(label: str, name: str) -> None:
    assert _name(label) == name


def test_labels_that_differ_only_in_case_get_a_hash() -> None:
    names = folder_names(["cardigan", "Cardigan", "CARDIGAN"])
    assert names["CARDIGAN"] == "CARDIGAN"
    assert names["Cardigan"].startswith("Cardigan~") and names["cardigan"].startswith("cardigan~")
    assert len({name.casefold() for name in names.values()}) == 3
    assert _name("cardigan") == "cardigan"


def test_long_labels_end_with_a_hash() -> None:
    one, other = "ä" * 150, "ä" * 149 + "b"
    names = folder_names([one, other])
    assert names[one] != names[other]
    assert all(len(name.encode()) <= 140 for name in names.values())


@given(st.lists(LABELS, max_size=6))
@example(["é", "e\u0301", "E\u0301", "Å", "\u212b"])
@example(["ß", "ss", "SS"])
def test_names_are_safe_and_unique(labels: list[str]) -> None:
    names = folder_names(labels)
    assert set(names) == set(labels)
    # The strictest comparison of any file system.
    folded = {unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()) for name in names.values()}
    assert len(folded) == len(names)
    for name in names.values():
        assert 0 < len(name.encode()) <= 140
        assert not set(name) & set('/\\:*?"<>|') and name.isprintable()
        assert name[0] not in ".- " and name[-1] not in ". "


@given(st.lists(LABELS, max_size=6), st.randoms())
def test_names_do_not_depend_on_the_order(labels: list[str], random: object) -> None:
    mixed = sorted(labels, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert folder_names(labels) == folder_names(mixed)
