"""Selects the decided cases that go into a data set, and translates their labels to those of one model version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db.models import Count, Sum

from predictions import classifiers
from predictions import labels as model_labels
from predictions.exceptions import RequestRejected
from review.case_words import CaseTranslator, CaseWords
from review.label_sets import active_version, installed_labels
from review.label_translation import version_translation
from review.models import Case, CaseQuerySet

CHUNK = 2000  # rows fetched from the database at a time


class SelectedCase(NamedTuple):
    """A case of a data set. `stored_file` and `byte_size` do not appear in the manifest.

    `decided_label`: the label, or the proposed one, in the words of the decision.
    """

    sha256: str
    stored_file: str
    byte_size: int
    label: str
    verdict: str
    decisions: int
    decided_at: datetime
    model_version: str
    predicted_label: str
    score: float
    statements: int
    in_audit: bool
    proposed_label: str
    decided_label: str
    label_id: str


# The columns of `Case` whose field in `SelectedCase` has another name.
_COLUMNS = {
    "sha256": "image__sha256",
    "stored_file": "image__file",
    "byte_size": "image__byte_size",
    "decisions": "decision_count",
    "statements": "weight",
    "decided_label": "label_set",  # replaced when the words are translated
    "label_id": "pk",  # replaced, too
}

# Added to the archive by each case, apart from its picture: two manifest lines and two zip headers.
OVERHEAD_BYTES = 900
# The height and width that the README suggests if no version is installed.
DEFAULT_INPUT_SIZE = (224, 224)


@dataclass(frozen=True)
class SelectionSize:
    """The current size of a selection.

    `with_label`: cases with a label; `byte_size`: of their pictures as sent. `waiting`: the decided cases of the days
    that are left out because their label was split or dropped.
    """

    cases: int
    with_label: int
    labels: int
    byte_size: int
    waiting: int

    @property
    def archive_bytes(self) -> int:
        """Estimates the size of the archive. Re-encoded pictures may be larger or smaller."""
        return self.byte_size + self.cases * OVERHEAD_BYTES


@dataclass(frozen=True)
class CaseSelection:
    """Selects decided cases. `since` and `until` are inclusive days in UTC; without labels or verdicts, all match.

    Unusable cases, and those that no label fits, match no choice of labels. `labels_of` is the model version,
    `name@version`, whose labels the data set has; if it is empty, the one that is active at that moment: see
    `with_version`. `labels` and `verdicts` are those after the translation to these labels. Cases whose label was split
    or dropped since are left out until a reviewer has decided them again.
    """

    since: date | None = None
    until: date | None = None
    labels: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    labels_of: str = ""

    @classmethod
    def parse(
        cls,
        *,
        since: date | None = None,
        until: date | None = None,
        labels: Iterable[str] = (),
        verdicts: Iterable[str] = (),
        labels_of: str = "",
    ) -> CaseSelection:
        """Builds a valid selection.

        Raises `RequestRejected`: `since-after-until`, `unknown-verdict`, `unknown-label`, `unusable-has-no-label`,
        `unknown-version`.
        """
        if since and until and since > until:
            raise RequestRejected("since-after-until", f"The first day, {since}, is after the last one, {until}.")
        chosen = tuple(sorted(set(verdicts)))
        for verdict in chosen:
            if verdict not in Case.Outcome:
                raise RequestRejected(
                    "unknown-verdict", f"There is no verdict “{verdict}”. Verdicts: {', '.join(Case.Outcome)}."
                )
        # The labels of a removed version may still be in memory, and a name alone means its newest version.
        if labels_of and (classifiers.installed_version(labels_of) is None or installed_labels(labels_of) is None):
            raise _unknown_version(labels_of)
        names = _labels(labels, labels_of)
        if names and chosen and set(chosen) <= {Case.Outcome.UNUSABLE, Case.Outcome.NO_LABEL}:
            which = "Unusable pictures" if Case.Outcome.UNUSABLE in chosen else "Pictures that no label fits"
            message = f"{which} have no label. Choose labels or that verdict, not both."
            raise RequestRejected("unusable-has-no-label", message)
        # All verdicts mean the same as none: equal data sets have equal selections.
        return cls(since, until, names, () if set(chosen) == set(Case.Outcome) else chosen, labels_of)

    def with_version(self) -> CaseSelection:
        """Names the active version if the selection names none: an activation no longer changes the data set."""
        return self if self.labels_of else replace(self, labels_of=str(active_version() or ""))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CaseSelection:
        """Reads the result of `as_json`."""
        since, until = (date.fromisoformat(day) if (day := content.get(name)) else None for name in ("since", "until"))
        names, verdicts = tuple(content.get("labels", ())), tuple(content.get("verdicts", ()))
        return cls(since, until, names, verdicts, content.get("labels_of", ""))

    def as_json(self) -> dict[str, Any]:
        days = {name: day.isoformat() if day else None for name, day in (("since", self.since), ("until", self.until))}
        return asdict(self) | days | {"labels": list(self.labels), "verdicts": list(self.verdicts)}

    def __str__(self) -> str:
        """Describes the selection to people."""
        titles = dict(Case.Outcome.choices)
        parts = [str(titles[verdict]).lower() for verdict in self.verdicts]
        words = " or ".join(parts) if parts else "all decided cases"
        if self.labels:
            words += f", labelled {', '.join(self.labels)}"
        if self.since or self.until:
            words += ", decided"
        words += f" since {self.since}" if self.since else ""
        words += f" until {self.until}" if self.until else ""
        return words + (f", in the labels of {self.labels_of}" if self.labels_of else "")

    def _cases(self) -> CaseQuerySet:
        """The cases in these days. Labels and verdicts are selected after they are translated; see `_has`."""
        cases = Case.objects.filter(state=Case.State.DECIDED).exclude(image__file="")  # erased pictures
        if self.since:
            cases = cases.filter(decided_at__gte=_midnight(self.since))
        if self.until:
            cases = cases.filter(decided_at__lt=_midnight(self.until + timedelta(days=1)))
        return cases

    def _has(self, words: CaseWords) -> bool:
        has_label = not self.labels or words.label in self.labels
        return has_label and (not self.verdicts or words.verdict in self.verdicts)

    def size(self) -> SelectionSize:
        """Counts the cases, in one query beside those of the translation.

        Raises `RequestRejected` `unknown-version` if the version is not installed any more.
        """
        number: Counter[str] = Counter()
        byte_size = waiting = 0
        for words, cases, cases_bytes in _groups(self._cases(), _translator(self.labels_of)):
            if words is None:
                waiting += cases
            elif self._has(words):
                number[words.label] += cases
                byte_size += cases_bytes if words.label else 0
        with_label = number.total() - number[""]
        return SelectionSize(number.total(), with_label, len([label for label in number if label]), byte_size, waiting)

    def input_size(self) -> tuple[int, int]:
        """Returns the height and width of the pictures that the version reads whose labels the data set has."""
        version = classifiers.installed_version(self.labels_of) if self.labels_of else active_version()
        if version is None:
            return DEFAULT_INPUT_SIZE
        preprocessing = version.manifest.preprocessing
        return preprocessing.height, preprocessing.width

    def rows(self, leave_out: Callable[[], None] = lambda: None) -> Iterator[SelectedCase]:
        """Yields the cases, with one query that fetches rows in chunks.

        Calls `leave_out` for each decided case of the days whose label was split or dropped. The cases are ordered by
        hash: every database gives the same order, and labels are mixed as if shuffled. Raises `RequestRejected`
        `unknown-version` if the version is not installed any more.
        """
        translator = _translator(self.labels_of)
        labels_of_version = cache(model_labels.of_version)  # those of a damaged version are read once, too
        index = labels_of_version(self.labels_of or classifiers.active_name())
        columns = [_COLUMNS.get(name, name) for name in SelectedCase._fields]
        found = self._cases().order_by("image__sha256").values_list(*columns)
        for values in found.iterator(chunk_size=CHUNK):
            case = dict(zip(SelectedCase._fields, values, strict=True))
            decided = CaseWords(case["predicted_label"], case["label"], case["verdict"], case["proposed_label"])
            model_version, label_set = case["model_version"], case["decided_label"]
            if translator.has_changed(decided.label, model_version, label_set):
                leave_out()
                continue
            words = translator.translate(decided, model_version, label_set)
            if self._has(words):
                case["decided_label"] = decided.label or decided.proposed_label
                label_id = index.id_of(words.label) or labels_of_version(model_version).id_of(words.label)
                case["label_id"] = label_id or ""
                yield SelectedCase(**case | words._asdict())


def label_counts(labels_of: str = "") -> list[tuple[str, int]]:
    """Returns each label of the decided cases with its number of cases. Raises what `CaseSelection.size` raises."""
    number: Counter[str] = Counter()
    decided = Case.objects.filter(state=Case.State.DECIDED).exclude(image__file="")
    for words, cases, _bytes in _groups(decided, _translator(labels_of)):
        if words and words.label:
            number[words.label] += cases
    return sorted(number.items())


def _translator(labels_of: str) -> CaseTranslator:
    """Returns the translator to the labels of a version, or of the active one if it is empty.

    Raises `RequestRejected` `unknown-version`.
    """
    if not labels_of:
        return CaseTranslator(version_translation())
    version = classifiers.installed_version(labels_of)
    translation = version_translation(version) if version else None
    if translation is None:
        raise _unknown_version(labels_of)
    return CaseTranslator(translation)


def _unknown_version(name: str) -> RequestRejected:
    message = f"The labels of the model version “{name[:100]}” are needed, but it is not installed, or is damaged."
    return RequestRejected("unknown-version", message)


def _groups(cases: CaseQuerySet, translator: CaseTranslator) -> Iterator[tuple[CaseWords | None, int, int]]:
    """Yields translated words with the number of cases that have them, and the bytes of their pictures. One query.

    The words are `None` for cases whose label was split or dropped.
    """
    columns = ("model_version", "label_set", *CaseWords._fields)
    rows = cases.order_by().values_list(*columns).annotate(number=Count("pk"), bytes=Sum("image__byte_size"))
    for model_version, label_set, *fields, number, byte_size in rows:
        words = CaseWords(*fields)
        has_changed = translator.has_changed(words.label, model_version, label_set)
        yield None if has_changed else translator.translate(words, model_version, label_set), number, byte_size


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _labels(texts: Iterable[str], labels_of: str) -> tuple[str, ...]:
    """Resolves texts to labels of decided cases or of the model. Raises `RequestRejected` `unknown-label`."""
    wanted = {text.strip() for text in texts}
    known = {label for label, _number in label_counts(labels_of)} if wanted else set()
    return tuple(sorted({text if text in known else _resolved(text, labels_of) for text in wanted}))


def _resolved(text: str, labels_of: str) -> str:
    if found := model_labels.index(labels_of).resolve(text):
        return found
    raise RequestRejected("unknown-label", f"There is no label “{text[:100]}”.")
