"""What the counted cases say about the model. Nothing here asks the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from review.models import Case
from review.statistics.intervals import Proportion
from review.statistics.queries import CaseCount


def within(counts: Iterable[CaseCount], model_version: str) -> list[CaseCount]:
    """Those of one model version; all if it is empty."""
    return [count for count in counts if not model_version or count.model_version == model_version]


def _by(key: Callable[[CaseCount], str], counts: Iterable[CaseCount]) -> dict[str, list[CaseCount]]:
    groups: defaultdict[str, list[CaseCount]] = defaultdict(list)
    for count in counts:
        groups[key(count)].append(count)
    return groups


def _share(counts: Iterable[CaseCount], verdict: Case.Verdict) -> Proportion:
    """How many of the usable ones have this verdict."""
    total = successes = 0
    for count in counts:
        if count.is_usable:
            total += count.number
            successes += count.number * (count.verdict == verdict)
    return Proportion(successes, total)


# --- Complaints -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComplaintsEstimate:
    """The cases in which somebody says that the answer is wrong.

    `corrected`: how often a reviewer agreed, of those that are decided and usable.
    """

    model_version: str
    corrected: Proportion
    unusable: int
    undecided: int


def complaints(counts: Iterable[CaseCount], model_version: str = "") -> ComplaintsEstimate:
    disputed = [count for count in counts if count.is_disputed]
    return ComplaintsEstimate(
        model_version,
        corrected=_share(disputed, Case.Verdict.CORRECTED),
        unusable=sum(count.number for count in disputed if count.verdict == Case.Verdict.UNUSABLE),
        undecided=sum(count.number for count in disputed if not count.is_decided),
    )


def complaints_by_version(counts: Iterable[CaseCount]) -> list[ComplaintsEstimate]:
    """Those with most decided cases first."""
    groups = _by(lambda count: count.model_version, counts)
    found = [complaints(group, version) for version, group in groups.items()]
    found = [one for one in found if one.corrected.total or one.unusable or one.undecided]
    return sorted(found, key=lambda one: (-one.corrected.total, one.model_version))


# --- Precision ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Precision:
    """How often an answer was right, estimated twice.

    `decided`: of all decided and usable cases. Most of them are there because somebody complained or the model was
    unsure, so that it is lower than what a visitor meets.

    `audited`: of those of the audit sample, which chance drew from all pictures, whatever was answered or said. That
    is what a visitor meets, as far as the sample is decided: `audited_undecided` are missing in it, and which ones are
    still missing need not be chance. One bias is left: where several versions answered a picture, the answer under
    review is the one that somebody complained of.
    """

    name: str
    decided: Proportion
    audited: Proportion
    audited_undecided: int
    unusable: int

    @property
    def audited_extremes(self) -> tuple[float, float] | None:
        """What the audited share would become if all undecided ones turned out wrong, and if all turned out right."""
        total = self.audited.total + self.audited_undecided
        if not total:
            return None
        return self.audited.successes / total, (self.audited.successes + self.audited_undecided) / total


def precision(counts: Sequence[CaseCount], name: str = "") -> Precision:
    audited = [count for count in counts if count.in_audit]
    return Precision(
        name,
        decided=_share(counts, Case.Verdict.RIGHT),
        audited=_share(audited, Case.Verdict.RIGHT),
        audited_undecided=sum(count.number for count in audited if not count.is_decided),
        unusable=sum(count.number for count in counts if count.verdict == Case.Verdict.UNUSABLE),
    )


def precision_by_class(counts: Iterable[CaseCount]) -> list[Precision]:
    """One for each predicted label of which something is decided, the most frequent first."""
    return _precisions(_by(lambda count: count.predicted_label, counts))


def precision_by_version(counts: Iterable[CaseCount]) -> list[Precision]:
    return _precisions(_by(lambda count: count.model_version, counts))


def _precisions(groups: dict[str, list[CaseCount]]) -> list[Precision]:
    found = [precision(group, name) for name, group in groups.items()]
    return sorted((one for one in found if one.decided.total), key=lambda one: (-one.decided.total, one.name))


# --- Confusions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusion:
    """The model said one label and reviewers another: `share` of the predicted label's decided and usable cases."""

    predicted_label: str
    label: str
    share: Proportion


def confusions(counts: Iterable[CaseCount]) -> list[Confusion]:
    """The most frequent pair first."""
    pairs: Counter[tuple[str, str]] = Counter()
    decided: Counter[str] = Counter()
    for count in counts:
        if count.is_usable:
            decided[count.predicted_label] += count.number
        if count.verdict == Case.Verdict.CORRECTED:
            pairs[count.predicted_label, count.label] += count.number
    found = [Confusion(said, is_, Proportion(number, decided[said])) for (said, is_), number in pairs.items()]
    return sorted(found, key=lambda one: (-one.share.successes, one.predicted_label, one.label))
