"""What changes for the reviewers if another model version answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count
from django.template.defaultfilters import pluralize

from feedback.models import Feedback
from predictions import labels
from review.label_reopening import returning_cases
from review.label_sets import known_labels
from review.label_translation import LabelTranslation, translation_to
from review.models import Case
from worker.inference.repository import Label, ModelVersion, compare_label_sets


@dataclass(frozen=True)
class GoneLabel:
    """A label that the new version does not have.

    Attributes:
        label: the label of the old version.
        words: the words of rows that may mean it: its display name, and perhaps its name.
        becomes: the display names of what the stored mapping makes of it: none if it is dropped, several if it is
            split. `None` if no mapping says anything.
        likely: labels of the new version that probably mean the same.
        decided_cases: how many cases are decided as one of its words.
        open_cases: how many undecided cases have one of its words as the label that most people expect.
    """

    label: Label
    words: tuple[str, ...]
    becomes: tuple[str, ...] | None
    likely: tuple[Label, ...]
    decided_cases: int
    open_cases: int


@dataclass(frozen=True)
class LabelChanges:
    """What changes from the label set of one version to that of another.

    Attributes:
        renamed: labels with the same id and another display name, each as (old, new).
        gone: the labels that disappear.
        new: the labels that appear.
        open_cases: how many undecided cases expect a label that disappears.
        returning_cases: how many decided cases come back to the desk, because their label is split or dropped or
            because the label that they propose exists now.
        unmapped_cases: how many decided cases have a label that disappears without a mapping. They keep their word.
    """

    renamed: tuple[tuple[Label, Label], ...]
    gone: tuple[GoneLabel, ...]
    new: tuple[Label, ...]
    open_cases: int
    returning_cases: int
    unmapped_cases: int

    @property
    def is_empty(self) -> bool:
        return not (self.renamed or self.gone or self.new or self.returning_cases)

    @property
    def summary(self) -> str:
        """All numbers in one sentence, such as "3 labels are renamed, 37 disappear, ..."."""
        if self.is_empty:
            return "The labels stay the same."
        labels = [
            f"{_number(len(self.renamed), 'label')} {_be(len(self.renamed))} renamed",
            f"{len(self.gone):,} disappear{_s(len(self.gone))}",
            f"{len(self.new):,} {_be(len(self.new))} new",
        ]
        cases = [f"{_number(self.open_cases, 'open case')} expect{_s(self.open_cases)} one that disappears"]
        returning = self.returning_cases
        cases.append(f"{_number(returning, 'decided case')} come{_s(returning)} back to the desk")
        if self.unmapped_cases:
            unmapped = self.unmapped_cases
            cases.append(f"{_number(unmapped, 'decided case')} keep{_s(unmapped)} a label that no mapping names")
        return f"{', '.join(labels)}; {', '.join(cases)}."


def label_changes(old: ModelVersion, new: ModelVersion) -> LabelChanges:
    """Returns what changes if `new` answers instead of `old`. Changes nothing. Nine queries at most.

    Raises `worker.inference.repository.Damaged` if the labels of a version cannot be read.
    """
    difference = compare_label_sets(old.labels, new.labels)
    known = known_labels(old)
    words = {word for label in difference.gone for word in known.words_for(label.display_name)}
    decided = _counted(words, "label", Case.State.DECIDED)
    undecided = _counted(words, "expected_label", Case.State.OPEN, Case.State.FLAGGED)
    translation = translation_to(known_labels(new))
    gone = tuple(
        GoneLabel(
            label=label,
            words=known.words_for(label.display_name),
            becomes=_becomes(label, old, translation),
            likely=difference.likely.get(label.id, ()),
            decided_cases=sum(decided[word] for word in known.words_for(label.display_name)),
            open_cases=sum(undecided[word] for word in known.words_for(label.display_name)),
        )
        for label in difference.gone
    )
    # Two labels may share a word, whose cases count once.
    unmapped = {word for one in gone if one.becomes is None for word in one.words}
    return LabelChanges(
        renamed=difference.renamed,
        gone=gone,
        new=difference.new,
        open_cases=undecided.total(),
        returning_cases=sum(one.number for one in returning_cases(new)),
        unmapped_cases=sum(decided[word] for word in unmapped),
    )


def _becomes(label: Label, old: ModelVersion, translation: LabelTranslation) -> tuple[str, ...] | None:
    """Returns what a mapping makes of a label that is gone, or `None` if no mapping says anything."""
    becomes = translation.words(label.display_name, str(old))
    return None if becomes == (label.display_name,) else becomes


def _counted(words: Collection[str], column: str, *states: Case.State) -> Counter[str]:
    """Counts the cases in these states by the label in a column, for these labels only."""
    if not words:
        return Counter()
    cases = Case.objects.filter(state__in=states).exclude(**{column: ""}).order_by()
    counted = cases.values_list(column).annotate(number=Count("pk"))
    return Counter({word: number for word, number in counted if word in words})


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{pluralize(number)}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _s(number: int) -> str:
    """Returns the ending of a verb in the third person."""
    return "s" if number == 1 else ""


def statement_counts(changes: LabelChanges) -> Counter[str]:
    """Counts the current statements that expect each label that disappears, by its display name. One query."""
    if not changes.gone:
        return Counter()
    expecting = Feedback.objects.current().exclude(expected_label="").order_by()
    counted = Counter(dict(expecting.values_list("expected_label").annotate(number=Count("pk"))))
    return Counter({one.label.display_name: sum(counted[word] for word in one.words) for one in changes.gone})


def proposals_with_a_label(version: ModelVersion) -> list[tuple[str, str, int]]:
    """Returns the proposed labels that a version has, as (proposal, label, number of cases), most frequent first."""
    index = labels.index(str(version))
    proposals = Case.objects.filter(verdict=Case.Outcome.NO_LABEL).order_by()
    counted = proposals.values_list("proposed_label").annotate(number=Count("pk"))
    found = [(text, index.resolve(text), number) for text, number in counted]
    return sorted(((text, label, n) for text, label, n in found if label), key=lambda one: (-one[2], one[0]))
