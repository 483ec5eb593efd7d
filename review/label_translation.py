"""Translates the words of decisions and answers into the labels of another label set.

Decisions keep the words they were made in. Statistics and data sets translate each distinct pair of model version and
word once, not each row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from predictions import classifiers
from predictions.labels import LabelIndex
from review.label_sets import active_version, installed_labels, known_labels, stored_labels
from review.models import LabelMapping, LabelSet
from review.proposals import proposal_key
from worker.inference.repository import Label, ModelVersion, RepositoryError


@dataclass(frozen=True)
class _Step:
    """One step from a label set to another: by the rows of a mapping, and otherwise by the ids of the labels.

    `rows`: the new labels of each changed label. `renamed`: those of them that are renamed, with their new name.
    `proposed`: the label of each proposed label, by its `proposal_key`.
    """

    old: LabelIndex
    new: LabelIndex
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    proposed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: LabelMapping, sets: Mapping[int, LabelIndex]) -> _Step:
        rename, proposed = LabelMapping.Change.RENAME, LabelMapping.Change.PROPOSED
        return cls(
            sets[mapping.old_id],
            sets[mapping.new_id],
            {old: tuple(new) for change, old, new in mapping.rows if change != proposed},
            {old: new[0] for change, old, new in mapping.rows if change == rename},
            {proposal_key(old): new[0] for change, old, new in mapping.rows if change == proposed},
        )

    def back(self) -> _Step:
        """Returns the step in the other direction. It knows which labels were renamed; others go by their ids."""
        kept = self.old.ids & self.new.ids
        rows = {new: (old,) for old, new in self.renamed.items() if self.new.id_of(new) not in kept}
        return _Step(self.new, self.old, rows)

    def translate(self, word: str) -> tuple[str, ...] | None:
        """Returns the labels that a word becomes: none if it was dropped, several if it was split.

        Returns `None` if neither the mapping nor the ids say anything. A word that several labels share becomes what
        all of them become; it counts as dropped if one of them is. It stays as it is if it may mean the same labels in
        the new set.
        """
        if word in self.rows:
            return self.rows[word]
        became = [self._counterparts(label) for label in self.old.meant_by(word)]
        if not became or None in became:
            return None
        if () in became:
            return ()
        found = tuple(dict.fromkeys(new for labels in became if labels for new in labels))
        is_same = len(found) > 1 and set(found) == {label.display_name for label in self.new.meant_by(word)}
        return (word,) if is_same else found

    def _counterparts(self, label: Label) -> tuple[str, ...] | None:
        """Returns what a label becomes by the mapping or else by its id, or `None` if neither says anything."""
        if label.display_name in self.rows:
            return self.rows[label.display_name]
        kept = self.new.with_id(label.id)
        return (kept.display_name,) if kept else None


@dataclass(frozen=True)
class _Routes:
    """The routes from a label set.

    `chain`: mappings from old to new that lead to the target; none if both have the same labels; `None` if there is no
    such chain. `reached`: the route with the fewest mappings, in either direction, to each label set that they lead to,
    nearest first.
    """

    chain: Sequence[_Step] | None
    reached: Sequence[Sequence[_Step]]


class LabelTranslation:
    """Translates words to the labels of one label set, `target`."""

    def __init__(self, target: LabelIndex, sets: Mapping[int, LabelSet], mappings: Iterable[LabelMapping]) -> None:
        self.target = target
        self._by_key = {key: stored_labels(label_set) for key, label_set in sets.items()}
        self._stored = {name: self._by_key[key] for key, label_set in sets.items() for name in label_set.versions}
        self._steps = [_Step.of(mapping, self._by_key) for mapping in mappings]
        self._sources: dict[tuple[str, int | None], LabelIndex | None] = {}
        self._routes: dict[str, _Routes] = {}

    def words(self, word: str, model_version: str, label_set: int | None = None) -> tuple[str, ...]:
        """Returns the labels that a word becomes: none if it was dropped, several if it was split.

        `model_version` and `label_set` say whose word it is, as the columns of a case do. A word that has no
        counterpart and that no mapping names stays as it is.
        """
        source = self.source(model_version, label_set)
        if source is not None:
            return self._words(source, word)
        if word in self.target:
            return (word,)
        # The version is gone: what its word becomes is known if all label sets that have the word agree.
        found = {self._words(labels, word) for labels in self._all_sets if labels.meant_by(word)}
        return found.pop() if len(found) == 1 else (word,)

    def is_mapped(self, word: str, model_version: str) -> bool:
        """Whether a mapping says what becomes of a word of a version."""
        source = self.source(model_version, None)
        found: tuple[str, ...] = (word,)
        for step in self.route(source) if source is not None else ():
            if any(one in step.rows for one in found):
                return True
            found = tuple(new for old in found for new in step.translate(old))
        return False

    def proposed(self, text: str, model_version: str, label_set: int | None = None) -> tuple[str, ...] | None:
        """Returns the labels that a proposed label becomes, or `None` if no mapping names it."""
        source, wanted = self.source(model_version, label_set), proposal_key(text)
        # Steps of an unknown version: any mapping may name the text.
        for step in self._steps if source is None else self._steps_from(source):
            if wanted in step.proposed and (became := self._became(step.new, step.proposed[wanted])) is not None:
                return became
        return None

    def source(self, model_version: str, label_set: int | None) -> LabelIndex | None:
        """Returns the labels whose words a row has, or `None` if nobody knows them any more."""
        key = model_version, label_set
        if key not in self._sources:
            known = self._by_key.get(label_set) if label_set else installed_labels(model_version)
            self._sources[key] = known or self._stored.get(model_version)
        return self._sources[key]

    def _words(self, source: LabelIndex, word: str) -> tuple[str, ...]:
        became = self._became(source, word)
        return (word,) if became is None else became

    def _became(self, source: LabelIndex, word: str) -> tuple[str, ...] | None:
        """Returns the labels of the target that a word of a label set becomes, or `None` if nothing says which.

        A chain of mappings that leads to the target says it. Otherwise a label goes by its id. If the target lacks the
        id, the label goes by what it became in the nearest label set of which the target has these ids.
        """
        routes = self._routes_from(source)
        if routes.chain is not None and (found := _along(routes.chain, word)) is not None:
            return found
        for route in routes.reached:
            reached = route[-1].new if route else source
            # A label that was dropped in another label set may be in the target, so that this says nothing.
            if found := _along([*route, _Step(reached, self.target)], word):
                return found
        return None

    def _steps_from(self, source: LabelIndex) -> Sequence[_Step]:
        """Returns the steps of the chain that leads to the target or, if there is none, all steps."""
        routes = self._routes_from(source)
        return routes.chain if routes.chain is not None else [route[-1] for route in routes.reached if route]

    def _routes_from(self, source: LabelIndex) -> _Routes:
        if source.fingerprint not in self._routes:
            chains = _shortest_routes(source, self._steps)
            reached = _shortest_routes(source, [*self._steps, *(step.back() for step in self._steps)])
            self._routes[source.fingerprint] = _Routes(chains.get(self.target.fingerprint), list(reached.values()))
        return self._routes[source.fingerprint]

    @cached_property
    def _all_sets(self) -> list[LabelIndex]:
        installed = [installed_labels(str(version)) for version in classifiers.repository().versions()]
        found = [*self._by_key.values(), *(labels for labels in installed if labels is not None)]
        return list({labels.fingerprint: labels for labels in found}.values())


def _shortest_routes(source: LabelIndex, steps: Sequence[_Step]) -> dict[str, list[_Step]]:
    """Returns the route with the fewest steps to each label set, by its fingerprint, nearest first."""
    routes: dict[str, list[_Step]] = {source.fingerprint: []}
    waiting = deque([source.fingerprint])
    while waiting:
        reached = waiting.popleft()
        for step in steps:
            if step.old.fingerprint == reached and step.new.fingerprint not in routes:
                routes[step.new.fingerprint] = [*routes[reached], step]
                waiting.append(step.new.fingerprint)
    return routes


def _along(route: Iterable[_Step], word: str) -> tuple[str, ...] | None:
    """Returns the labels that a word becomes on a route, or `None` if a step says nothing about one of them."""
    found: tuple[str, ...] = (word,)
    for step in route:
        became = [step.translate(old) for old in found]
        if None in became:
            return None
        found = tuple(dict.fromkeys(new for labels in became if labels for new in labels))
    return found


class _State(NamedTuple):
    """What a translation depends on, beside the labels that it translates to."""

    folder: Path
    installed: tuple[str, ...]  # versions
    sets: tuple[tuple[int, str, tuple[str, ...]], ...]  # key, fingerprint and versions of each stored label set
    mappings: tuple[tuple[int, datetime], ...]  # key and time of each stored mapping

    @classmethod
    def now(cls) -> _State:
        """Two small queries, or one if there are no mappings."""
        sets = LabelSet.objects.order_by("pk").values_list("pk", "fingerprint", "versions")
        found = tuple((pk, fingerprint, tuple(versions)) for pk, fingerprint, versions in sets)
        mappings = tuple(LabelMapping.objects.order_by("pk").values_list("pk", "stored_at")) if found else ()
        installed = tuple(str(version) for version in classifiers.repository().versions())
        return cls(settings.MODELS_DIR, installed, found, mappings)


def translation_to(target: LabelIndex) -> LabelTranslation:
    """Returns the translation by the stored mappings. It is made again if labels or mappings have changed."""
    return _translation(target, _State.now())


@lru_cache(maxsize=4)
def _translation(target: LabelIndex, state: _State) -> LabelTranslation:
    """Reads the label sets and mappings, which takes long if they have thousands of labels."""
    if not state.sets:
        return LabelTranslation(target, {}, [])
    mappings = list(LabelMapping.objects.order_by("-stored_at", "-pk"))
    return LabelTranslation(target, LabelSet.objects.in_bulk(), mappings)  # sets are never deleted


def version_translation(version: ModelVersion | None = None) -> LabelTranslation | None:
    """Returns the translation to the labels of an installed version, by default the active one.

    `None` if no version is active, or if its labels cannot be read: then every word stays as it is. If nothing has
    changed, it takes two small queries, or one if there are no mappings.
    """
    state = _State.now()
    version = version or active_version()
    if version is None:
        return None
    try:
        return _translation(known_labels(version), state)
    except RepositoryError:
        return None
