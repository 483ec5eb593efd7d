"""What changes for the reviewers if another model version answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count
from django.template.defaultfilters import pluralize

from feedback.models import Feedback
from predictions import labels
from review.label_reopening import returning_cases
from review.label_sets import known_labels
from review.label_translation import translation_to
from review.models import Case
from review.proposals import proposal_key
from worker.inference.repository import Label, ModelVersion, compare_label_sets


@dataclass(frozen=True)
class GoneLabel:
    """A label whose id the new version does not have.

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

    @property
    def is_renamed(self) -> bool:
        """Whether the stored mapping makes one label of it: it is renamed or merged."""
        return self.becomes is not None and len(self.becomes) == 1

    @property
    def what(self) -> str:
        """What becomes of it, as far as anybody knows: "becomes box", "dropped" or "no similar label"."""
        if self.becomes is None:
            likely = " or ".join(label.display_name for label in self.likely)
            return f"perhaps {likely}" if likely else "no similar label"
        if not self.becomes:
            return "dropped"
        return f"{'becomes' if self.is_renamed else 'split into'} {' and '.join(self.becomes)}"


@dataclass(frozen=True)
class KnownProposal:
    """A label that reviewers have proposed, and the label of the new version that it is now.

    Attributes:
        text: the proposal in its most frequent spelling.
        label: the display name of the label.
        cases: how many cases are decided as this proposal, in any spelling.
        is_mapped: whether the stored mapping says that it is this label; otherwise its cases come back to the desk.
    """

    text: str
    label: str
    cases: int
    is_mapped: bool


@dataclass(frozen=True)
class LabelChanges:
    """What changes from the label set of one version to that of another.

    Attributes:
        renamed: labels with the same id and another display name, each as (old, new).
        gone: the other labels whose id the new version does not have.
        new: the labels that appear, without those that only rename or merge labels, as the stored mapping says.
        proposals: the proposed labels that are labels of the new version.
        returning: why decided cases come back to the desk, each reason with the number of cases: their label is split
            or dropped, or the label that they propose exists now.
        open_cases: how many undecided cases expect a label that disappears.
        unmapped_cases: how many decided cases have a label that disappears without a mapping. They keep their word.
    """

    renamed: tuple[tuple[Label, Label], ...]
    gone: tuple[GoneLabel, ...]
    new: tuple[Label, ...]
    proposals: tuple[KnownProposal, ...]
    returning: tuple[tuple[str, int], ...]
    open_cases: int
    unmapped_cases: int

    @property
    def is_empty(self) -> bool:
        return not (self.renamed or self.gone or self.new or self.returning)

    @property
    def mapped(self) -> tuple[GoneLabel, ...]:
        """The labels that the stored mapping renames or merges."""
        return tuple(one for one in self.gone if one.is_renamed)

    @property
    def lost(self) -> tuple[GoneLabel, ...]:
        """The labels that disappear: they are split or dropped, or no mapping says what becomes of them."""
        return tuple(one for one in self.gone if not one.is_renamed)

    @property
    def unmapped(self) -> tuple[GoneLabel, ...]:
        """The labels that disappear without a mapping."""
        return tuple(one for one in self.gone if one.becomes is None)

    @property
    def returning_cases(self) -> int:
        """How many decided cases come back to the desk."""
        return sum(number for _reason, number in self.returning)

    @property
    def summary(self) -> str:
        """All numbers in one sentence, such as "3 labels are renamed, 37 disappear, ..."."""
        if self.is_empty:
            return "The labels stay the same."
        renamed = len(self.renamed) + len(self.mapped)
        labels = [
            f"{_number(renamed, 'label')} {_be(renamed)} renamed{' or merged' if self.mapped else ''}",
            f"{len(self.lost):,} disappear{_s(len(self.lost))}",
            f"{len(self.new):,} {_be(len(self.new))} new",
        ]
        cases = [f"{_number(self.open_cases, 'open case')} expect{_s(self.open_cases)} one that disappears"]
        returning = self.returning_cases
        cases.append(f"{_number(returning, 'decided case')} come{_s(returning)} back to the desk")
        if self.unmapped_cases:
            unmapped = self.unmapped_cases
            cases.append(f"{_number(unmapped, 'decided case')} keep{_s(unmapped)} a label that no mapping translates")
        return f"{', '.join(labels)}; {', '.join(cases)}."


def label_changes(old: ModelVersion, new: ModelVersion) -> LabelChanges:
    """Returns what changes if `new` answers instead of `old`. Changes nothing, and takes a dozen queries at most.

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
            becomes=translation.became(label.display_name, str(old)),
            likely=difference.likely.get(label.id, ()),
            decided_cases=sum(decided[word] for word in known.words_for(label.display_name)),
            open_cases=sum(undecided[word] for word in known.words_for(label.display_name)),
        )
        for label in difference.gone
    )
    renames = {word for one in gone if one.is_renamed for word in one.becomes or ()}
    returning: Counter[str] = Counter()
    for group in returning_cases(new):
        returning[group.reason] += group.number
    # Two labels may share a word, whose cases count once.
    lost = {
        word for one in gone for word in one.words if not one.is_renamed or len(translation.words(word, str(old))) != 1
    }
    unmapped = {word for one in gone if one.becomes is None for word in one.words}
    return LabelChanges(
        renamed=difference.renamed,
        gone=gone,
        new=tuple(label for label in difference.new if label.display_name not in renames),
        proposals=tuple(proposals_with_a_label(new)),
        returning=tuple(returning.most_common()),
        open_cases=sum(undecided[word] for word in lost),
        unmapped_cases=sum(decided[word] for word in unmapped),
    )


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


def proposals_with_a_label(version: ModelVersion) -> list[KnownProposal]:
    """Returns the proposed labels that a version has, most frequent first. Spellings of a proposal count together."""
    index = labels.index(str(version))
    translation = translation_to(known_labels(version))
    proposals = Case.objects.filter(verdict=Case.Outcome.NO_LABEL).exclude(proposed_label="").order_by()
    columns = ("model_version", "label_set", "proposed_label")
    spellings: defaultdict[tuple[str, str, bool], Counter[str]] = defaultdict(Counter)
    for model_version, label_set, text, number in proposals.values_list(*columns).annotate(number=Count("pk")):
        mapped = translation.proposed(text, model_version, label_set)
        label = " and ".join(mapped) if mapped else index.resolve(text) if mapped is None else None
        if label:
            spellings[proposal_key(text), label, mapped is not None][text] += number
    found = [
        KnownProposal(counted.most_common(1)[0][0], label, counted.total(), is_mapped)
        for (_key, label, is_mapped), counted in spellings.items()
    ]
    return sorted(found, key=lambda one: (-one.cases, one.text))
