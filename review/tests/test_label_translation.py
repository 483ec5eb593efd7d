"""Words of one label set in the labels of another."""

from __future__ import annotations

import shutil

import pytest

from review.label_sets import remember
from review.label_translation import LabelTranslation, version_translation
from review.models import LabelMapping
from review.tests.label_versions import install, mapped
from worker.inference.repository import ModelVersion, Repository

pytestmark = pytest.mark.django_db


def _to(version: ModelVersion) -> LabelTranslation:
    translation = version_translation(version)
    assert translation is not None
    return translation


def test_same_ids_need_no_mapping(repository: Repository) -> None:
    install(repository, "a", "1 cup", "2 dog", "3 cat")
    words = _to(install(repository, "b", "2 hound", "1 cup")).words
    assert [words(word, "a@1") for word in ("cup", "dog", "cat")] == [("cup",), ("hound",), ("cat",)]


def test_follows_a_mapping(repository: Repository) -> None:
    a = install(repository, "a", "1 cup", "2 latte", "3 mocha", "4 dog", "5 cat")
    b = install(repository, "b", "1 cup", "6 mug", "7 coffee", "8 hound")
    mapped(a, b, "split cup cup mug", "merge latte coffee", "merge mocha coffee", "rename dog hound", "drop cat")
    words = _to(b).words
    assert words("cup", "a@1") == ("cup", "mug")
    assert words("latte", "a@1") == words("mocha", "a@1") == ("coffee",)
    assert words("dog", "a@1") == ("hound",)
    assert words("cat", "a@1") == ()
    assert words("cup", "b@1") == ("cup",)


def test_mappings_chain(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup", "3 cat")
    b = install(repository, "b", "4 hound", "5 mug", "6 teacup")
    c = install(repository, "c", "7 canine", "8 vessel")
    mapped(a, b, "rename dog hound", "split cup mug teacup", "drop cat")
    mapped(b, c, "rename hound canine", "merge mug vessel", "merge teacup vessel")
    words = _to(c).words
    assert [words(word, "a@1") for word in ("dog", "cup", "cat")] == [("canine",), ("vessel",), ()]


def test_last_step_without_a_mapping_goes_by_ids(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup")
    b = install(repository, "b", "3 hound", "2 cup")
    mapped(a, b, "rename dog hound")
    assert _to(install(repository, "c", "3 canine", "2 cup", "4 cat")).words("dog", "a@1") == ("canine",)


def test_mapping_that_does_not_lead_to_the_labels_changes_no_word(repository: Repository) -> None:
    a = install(repository, "a", "1 cup", "2 espresso", "3 whippet")
    b = install(repository, "b", "4 mug", "5 kitten", "6 coffee")
    mapped(a, b, "split cup mug kitten", "rename espresso coffee", "drop whippet", "proposed unicorn mug")
    for lines in (["8 hedgehog", "9 jay"], ["6 coffee", "5 kitten"], ["8 coffee", "9 espresso"]):
        translation = _to(install(repository, "other", *lines))
        assert translation.words("cup", "a@1") == ("cup",), "the version has no mug"
        assert translation.words("whippet", "a@1") == ("whippet",)
        assert translation.proposed("unicorn", "a@1") is None
        assert translation.proposed("unicorn", "gone@1") is None
    assert _to(install(repository, "c", "8 coffee", "9 espresso")).words("espresso", "a@1") == ("espresso",)
    assert _to(install(repository, "d", "8 espresso", "9 coffee")).words("coffee", "b@1") == ("coffee",)


def test_label_in_the_version_goes_by_its_id_unless_mappings_lead_there(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cat", "3 tabby")
    b = install(repository, "b", "4 hound", "5 feline")
    mapped(a, b, "rename dog hound", "merge cat feline", "merge tabby feline")
    words = _to(install(repository, "c", "1 mutt", "2 tomcat", "4 hound", "5 feline")).words
    assert [words(word, "a@1") for word in ("dog", "cat", "tabby")] == [("mutt",), ("tomcat",), ("feline",)]


def test_mapping_of_another_version_drops_no_label(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cat", "3 whippet")
    b = install(repository, "b", "4 hound", "6 jay")
    c = install(repository, "c", "5 canine", "2 cat")
    mapped(a, b, "rename dog hound", "drop cat", "drop whippet")
    mapped(c, b, "rename canine hound", "drop cat")
    words = _to(c).words
    assert [words(word, "a@1") for word in ("dog", "cat", "whippet")] == [("canine",), ("cat",), ("whippet",)]


def test_merge_does_not_work_backwards(repository: Repository) -> None:
    a = install(repository, "a", "1 latte", "2 cup")
    b = install(repository, "b", "3 coffee", "2 cup")
    mapped(a, b, "merge latte coffee")
    assert _to(a).words("coffee", "b@1") == ("coffee",), "coffee also stands for others"


def test_mapping_applies_to_all_versions_with_the_same_labels(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup")
    install(repository, "a", "2 cup", "1 dog")
    b = install(repository, "b", "3 hound", "2 cup")
    mapped(a, b, "rename dog hound")
    assert _to(b).words("dog", "a@2") == ("hound",)


def test_rename_is_known_in_both_directions(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup", "3 mug")
    b = install(repository, "b", "4 hound", "5 vessel")
    mapped(a, b, "rename dog hound", "merge cup vessel", "merge mug vessel")
    words = _to(a).words
    assert (words("hound", "b@1"), words("vessel", "b@1")) == (("dog",), ("vessel",))


def test_labels_of_a_removed_version_stay_known(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup")
    b = install(repository, "b", "3 hound", "2 cup")
    mapped(a, b, "rename dog hound")
    shutil.rmtree(a.path)
    assert _to(b).words("dog", "a@1") == ("hound",)


def test_words_of_an_unknown_version_are_matched_with_the_known_label_sets(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup")
    b = install(repository, "b", "3 hound", "2 cup")
    mapped(a, b, "rename dog hound")
    words = _to(b).words
    assert [words(word, "gone@1") for word in ("dog", "cup", "cat")] == [("hound",), ("cup",), ("cat",)]
    c = install(repository, "c", "9 dog", "2 cup")
    mapped(c, b, "drop dog")
    assert _to(b).words("dog", "gone@1") == ("dog",)  # the label sets disagree


@pytest.mark.parametrize(
    ("bird", "machine", "becomes"),
    [
        (["heron"], ["hoist"], ("heron", "hoist")),
        (["heron"], ["heron"], ("heron",)),
        (["heron"], [], ()),
        ([], [], ()),
        (["heron"], None, ("crane",)),
    ],
)
def test_word_that_labels_share_becomes_what_all_of_them_become(
    repository: Repository, bird: list[str], machine: list[str] | None, becomes: tuple[str, ...]
) -> None:
    a = install(repository, "a", "1 crane", "2 crane", "3 gull")
    b = install(repository, "b", "3 gull", "4 heron", "5 hoist")
    rows = [["merge", "crane (1)", bird]] + ([] if machine is None else [["merge", "crane (2)", machine]])
    LabelMapping.objects.create(old=remember(a), new=remember(b), rows=rows)
    assert _to(b).words("crane", "a@1") == becomes
    shutil.rmtree(a.path)
    assert _to(b).words("crane", "a@1") == becomes, "the stored label set has the shared name"


def test_word_that_labels_share_stays_if_they_stay(repository: Repository) -> None:
    install(repository, "a", "1 crane", "2 crane", "3 gull")
    assert _to(install(repository, "b", "1 crane", "2 crane", "3 seagull")).words("crane", "a@1") == ("crane",)
    assert _to(install(repository, "c", "1 heron", "2 hoist")).words("crane", "a@1") == ("heron", "hoist")


def test_translation_is_kept_until_labels_or_mappings_change(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup")
    b = install(repository, "b", "3 hound", "2 cup")
    assert _to(b) is _to(b) and _to(b).words("dog", "a@1") == ("dog",)
    mapping = mapped(a, b, "rename dog hound")
    assert _to(b) is _to(b) and _to(b).words("dog", "a@1") == ("hound",)
    mapping.delete()
    assert _to(b).words("dog", "a@1") == ("dog",)
    assert _to(b).words("cat", "c@1") == ("cat",)
    install(repository, "c", "2 cat", "4 mug")
    assert _to(b).words("cat", "c@1") == ("cup",), "the version is installed now"


def test_proposed_label_follows_a_mapping(repository: Repository) -> None:
    a = install(repository, "a", "1 dog", "2 cup")
    b = install(repository, "b", "1 dog", "2 cup", "3 Unicorn")
    c = install(repository, "c", "1 dog", "2 cup", "4 monoceros")
    mapped(a, b, "proposed unicorn Unicorn")
    mapped(b, c, "rename Unicorn monoceros")
    assert _to(b).proposed(" UNICORN", "a@1") == ("Unicorn",)
    assert _to(c).proposed("unicorn", "a@1") == ("monoceros",)
    assert _to(c).proposed("unicorn", "gone@1") == ("monoceros",)
    assert _to(b).proposed("unicorns", "a@1") is None
