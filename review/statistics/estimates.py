"""Estimates computed from the counts of cases, without database access."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from review.models import Case
from review.proposals import proposal_key
from review.statistics.intervals import Proportion
from review.statistics.queries import CaseCount


def within(counts: Iterable[CaseCount], model_version: str) -> list[CaseCount]:
    """Return the counts of one model version, or all of them if `model_version` is empty."""
    return [count for count in counts if not model_version or count.model_version == model_version]


def _by(key: Callable[[CaseCount], str], counts: Iterable[CaseCount]) -> dict[str, list[CaseCount]]:
    groups: defaultdict[str, list[CaseCount]] = defaultdict(list)
    for count in counts:
        groups[key(count)].append(count)
    return groups


def _share(counts: Iterable[CaseCount], *, right: bool) -> Proportion:
    """Return the share of usable cases in which the answer is right, or else wrong."""
    total = successes = 0
    for count in counts:
        if count.is_usable:
            total += count.number
            successes += count.number * (count.is_right == right)
    return Proportion(successes, total)


def _erased(counts: Iterable[CaseCount]) -> int:
    """Return the number of cases that nobody can decide any more."""
    return sum(count.number for count in counts if count.state == Case.State.ERASED)


# --- Complaints -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComplaintsEstimate:
    """The cases in which somebody says that the answer is wrong.

    `corrected`: the share in which a reviewer agreed, among the decided and usable cases. `erased`: the cases whose
    picture was erased before they were decided.
    """

    model_version: str
    corrected: Proportion
    unusable: int
    undecided: int
    erased: int = 0


def complaints(counts: Iterable[CaseCount], model_version: str = "") -> ComplaintsEstimate:
    disputed = [count for count in counts if count.is_disputed]
    return ComplaintsEstimate(
        model_version,
        corrected=_share(disputed, right=False),
        unusable=sum(count.number for count in disputed if count.verdict == Case.Outcome.UNUSABLE),
        undecided=sum(count.number for count in disputed if count.is_undecided),
        erased=_erased(disputed),
    )


def complaints_by_version(counts: Iterable[CaseCount]) -> list[ComplaintsEstimate]:
    """Return one estimate per model version, the one with the most decided cases first."""
    groups = _by(lambda count: count.model_version, counts)
    found = [complaints(group, version) for version, group in groups.items()]
    found = [one for one in found if one.corrected.total or one.unusable or one.undecided]
    return sorted(found, key=lambda one: (-one.corrected.total, one.model_version))


# --- Precision ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Precision:
    """Two estimates of how often an answer is right.

    `decided` covers all decided and usable cases. Most of them were opened because somebody complained or the model
    was unsure, so this estimate is lower than what visitors see.

    `audited` covers only the audit sample, which is drawn at random from all pictures. It estimates what visitors see.
    Two biases remain. The sample lacks its `audited_undecided` cases, which need not be a random part of it. And if
    several versions answered a picture, the answer under review is the one that somebody complained about.

    `erased` covers the cases whose picture was erased before they were decided, in the audit sample or not.
    """

    name: str
    decided: Proportion
    audited: Proportion
    audited_undecided: int
    unusable: int
    erased: int = 0

    @property
    def audited_extremes(self) -> tuple[float, float] | None:
        """The audited share if all undecided cases turn out wrong, and if all turn out right."""
        total = self.audited.total + self.audited_undecided
        if not total:
            return None
        return self.audited.successes / total, (self.audited.successes + self.audited_undecided) / total


def precision(counts: Sequence[CaseCount], name: str = "") -> Precision:
    audited = [count for count in counts if count.in_audit]
    return Precision(
        name,
        decided=_share(counts, right=True),
        audited=_share(audited, right=True),
        audited_undecided=sum(count.number for count in audited if count.is_undecided),
        unusable=sum(count.number for count in counts if count.verdict == Case.Outcome.UNUSABLE),
        erased=_erased(counts),
    )


def precision_by_class(counts: Iterable[CaseCount]) -> list[Precision]:
    """Return one estimate per predicted label with decided cases, the label with the most of them first."""
    return _precisions(_by(lambda count: count.predicted_label, counts))


def precision_by_version(counts: Iterable[CaseCount]) -> list[Precision]:
    return _precisions(_by(lambda count: count.model_version, counts))


def _precisions(groups: dict[str, list[CaseCount]]) -> list[Precision]:
    found = [precision(group, name) for name, group in groups.items()]
    return sorted((one for one in found if one.decided.total), key=lambda one: (-one.decided.total, one.name))


# --- Confusions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusion:
    """A pair of labels that the model confuses: it predicted one, and reviewers chose the other.

    `share`: how often, among the decided and usable cases of the predicted label.
    """

    predicted_label: str
    label: str
    share: Proportion


def confusions(counts: Iterable[CaseCount]) -> list[Confusion]:
    """Return all confused pairs, the most frequent one first."""
    pairs: Counter[tuple[str, str]] = Counter()
    decided: Counter[str] = Counter()
    for count in counts:
        if count.is_usable:
            decided[count.predicted_label] += count.number
        if count.verdict == Case.Outcome.CORRECTED:
            pairs[count.predicted_label, count.label] += count.number
    found = [
        Confusion(predicted, label, Proportion(number, decided[predicted]))
        for (predicted, label), number in pairs.items()
    ]
    return sorted(found, key=lambda one: (-one.share.successes, one.predicted_label, one.label))


# --- Proposed labels ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProposedLabel:
    """What reviewers typed where no label fits, with the label that the model predicted and the number of cases.

    Spellings that differ in case, accents or spaces count together, under the most frequent one.
    """

    proposed_label: str
    predicted_label: str
    number: int


def proposed_labels(counts: Iterable[CaseCount]) -> list[ProposedLabel]:
    """Return all pairs, the most frequent one first."""
    pairs: Counter[tuple[str, str]] = Counter()
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for count in counts:
        if count.proposed_label:
            key = proposal_key(count.proposed_label)
            pairs[key, count.predicted_label] += count.number
            spellings[key][count.proposed_label] += count.number
    usual = {key: min(texts, key=lambda text: (-texts[text], text)) for key, texts in spellings.items()}
    found = [ProposedLabel(usual[key], predicted, number) for (key, predicted), number in pairs.items()]
    return sorted(found, key=lambda one: (-one.number, one.proposed_label, one.predicted_label))
