"""Properties of all translations between label sets that share ids and words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from review.label_sets import stored_labels
from review.label_translation import LabelTranslation
from review.models import LabelMapping, LabelSet

WORDS = ("ant", "bee", "cat", "dog")
One = tuple[int, str]  # the key of a label set, and one of its labels


@dataclass(frozen=True)
class Site:
    sets: dict[int, LabelSet]
    mappings: list[LabelMapping]

    @property
    def translation(self) -> LabelTranslation:
        """The translation to the labels of the first set."""
        return LabelTranslation(stored_labels(self.sets[1]), self.sets, self.mappings)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    sets = draw(label_sets())
    return Site(sets, draw(mappings(sets)))


@st.composite
def label_sets(draw: st.DrawFn) -> dict[int, LabelSet]:
    """Two to four label sets. In each of them, any id may have any word."""
    labels = st.tuples(st.sampled_from("12345"), st.sampled_from(WORDS))
    one = st.lists(labels, min_size=1, max_size=4, unique_by=(itemgetter(0), itemgetter(1)))
    drawn = draw(st.lists(one, min_size=2, max_size=4, unique_by=frozenset))
    return {key: LabelSet(pk=key, labels=[list(pair) for pair in pairs]) for key, pairs in enumerate(drawn, start=1)}


@st.composite
def mappings(draw: st.DrawFn, sets: dict[int, LabelSet]) -> list[LabelMapping]:
    """Some mappings between them: each names the labels that are gone, and perhaps others."""
    pairs = [(old, new) for old in sets for new in sets if old != new]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=4))
    return [LabelMapping(old=sets[old], new=sets[new], rows=draw(_rows(sets[old], sets[new]))) for old, new in chosen]


@st.composite
def _rows(draw: st.DrawFn, old: LabelSet, new: LabelSet) -> list[list[object]]:
    kept = {label_id for label_id, _word in new.labels}
    words = [word for label_id, word in old.labels if label_id not in kept or draw(st.booleans())]
    labels = st.lists(st.sampled_from([word for _id, word in new.labels]), unique=True, max_size=2)
    became = {word: draw(labels) for word in words}
    owners = [label for found in became.values() for label in found]
    owners += [dict(new.labels)[label_id] for label_id, word in old.labels if label_id in kept and word not in became]
    return [[_change(found, owners), word, found] for word, found in became.items()]


def _change(labels: list[str], owners: list[str]) -> str:
    if len(labels) == 1:
        return "rename" if owners.count(labels[0]) == 1 else "merge"
    return "split" if labels else "drop"


@given(sites())
def test_word_becomes_labels_of_the_version_or_stays(site: Site) -> None:
    translation = site.translation
    for key, label_set in site.sets.items():
        for _id, word in label_set.labels:
            became = translation.words(word, "", key)
            assert became == (word,) or all(label in translation.target for label in became)


@given(sites())
def test_word_becomes_only_what_ids_and_mappings_say(site: Site) -> None:
    translation = site.translation
    for key, label_set in site.sets.items():
        for _id, word in label_set.labels:
            became = set(translation.words(word, "", key))
            assert became == {word} or became <= _possible(site, (key, word))


@given(sites())
def test_label_with_the_same_id_is_the_same_if_no_mapping_leads_to_the_version(site: Site) -> None:
    mappings = [mapping for mapping in site.mappings if mapping.new_id != 1]
    translation = Site(site.sets, mappings).translation
    for key, label_set in site.sets.items():
        for label_id, word in label_set.labels:
            if same := translation.target.with_id(label_id):
                assert translation.words(word, "", key) == (same.display_name,)


def _possible(site: Site, start: One) -> set[str]:
    """Returns all labels of the first set to which ids and the rows of mappings lead, in any direction and order."""
    found, waiting = {start}, [start]
    while waiting:
        nearby = {other for mapping in site.mappings for other in _other_side(site, mapping, waiting[0])}
        nearby |= {(1, word) for word in _with_same_id(site, waiting.pop(0), 1)}
        waiting += nearby - found
        found |= nearby
    return {word for key, word in found if key == 1}


def _other_side(site: Site, mapping: LabelMapping, one: One) -> Iterator[One]:
    key, word = one
    for old, new, is_back in ((mapping.old_id, mapping.new_id, False), (mapping.new_id, mapping.old_id, True)):
        if key == old:
            rows = [(row[1], row[2]) for row in mapping.rows if not is_back]
            rows += [(row[2][0], [row[1]]) for row in mapping.rows if is_back and row[0] == "rename"]
            said = [other for label, others in rows if label == word for other in others]
            yield from ((new, other) for other in said or _with_same_id(site, one, new))


def _with_same_id(site: Site, one: One, key: int) -> list[str]:
    ids = {word: label_id for label_id, word in site.sets[one[0]].labels}
    return [word for label_id, word in site.sets[key].labels if label_id == ids[one[1]]]
