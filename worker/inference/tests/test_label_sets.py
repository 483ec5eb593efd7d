"""Comparing label sets."""

from __future__ import annotations

from worker.inference.repository import Label, compare_label_sets, fingerprint


def _label(id_: str, name: str, *synonyms: str) -> Label:
    return Label(id_, name, name, synonyms)


CUP, MUG, DOG = _label("1", "cup"), _label("2", "mug"), _label("3", "dog")


def test_fingerprint_depends_on_ids_and_display_names_only() -> None:
    one = fingerprint([CUP, MUG])
    assert one == fingerprint([MUG, Label("1", "cup", "cup", ("beaker",), "to drink from")])
    assert one != fingerprint([CUP, _label("2", "Mug")])
    assert one != fingerprint([CUP, _label("4", "mug")])


def test_same_id_with_another_name_is_renamed() -> None:
    found = compare_label_sets([CUP, MUG], [_label("1", "teacup"), MUG])
    assert found.renamed == ((CUP, _label("1", "teacup")),)
    assert not found.gone and not found.new


def test_ids_that_only_one_set_has_are_gone_or_new() -> None:
    found = compare_label_sets([CUP, DOG], [CUP, MUG])
    assert (found.gone, found.new, found.likely) == ((DOG,), (MUG,), {})


def test_same_name_under_another_id_is_likely_the_same() -> None:
    other = _label("a", "Coffee Mug")
    found = compare_label_sets([_label("1", "coffee_mug"), DOG], [other, _label("b", "hound", "coffee mug", "dog")])
    assert found.likely == {"1": (other,), "3": (_label("b", "hound", "coffee mug", "dog"),)}


def test_shared_name_may_mean_several_new_labels() -> None:
    bird, machine = Label("1", "crane", "crane (bird)"), Label("2", "crane", "crane (machine)")
    assert compare_label_sets([_label("x", "crane")], [bird, machine]).likely == {"x": (bird, machine)}
