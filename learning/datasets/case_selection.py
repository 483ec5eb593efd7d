"""Selects the decided cases that go into a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Q, Sum

from predictions import labels as known_labels
from predictions.exceptions import RequestRejected
from review.models import Case, CaseQuerySet

CHUNK = 2000  # rows fetched from the database at a time


class SelectedCase(NamedTuple):
    """A case of a data set. `stored_file` and `byte_size` do not appear in the manifest."""

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


# The columns of `Case` whose field in `SelectedCase` has another name.
_COLUMNS = {
    "sha256": "image__sha256",
    "stored_file": "image__file",
    "byte_size": "image__byte_size",
    "decisions": "decision_count",
    "statements": "weight",
}

# Added to the archive by each case, apart from its picture: two manifest lines and two zip headers.
OVERHEAD_BYTES = 900


@dataclass(frozen=True)
class SelectionSize:
    """The current size of a selection. `with_label`: cases with a label; `byte_size`: of their pictures as sent."""

    cases: int
    with_label: int
    labels: int
    byte_size: int

    @property
    def archive_bytes(self) -> int:
        """Estimates the size of the archive. Re-encoded pictures may be larger or smaller."""
        return self.byte_size + self.cases * OVERHEAD_BYTES


@dataclass(frozen=True)
class CaseSelection:
    """Selects decided cases. `since` and `until` are inclusive days in UTC; without labels or verdicts, all match.

    Unusable cases, and those that no label fits, match no choice of labels.
    """

    since: date | None = None
    until: date | None = None
    labels: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        *,
        since: date | None = None,
        until: date | None = None,
        labels: Iterable[str] = (),
        verdicts: Iterable[str] = (),
    ) -> CaseSelection:
        """Builds a valid selection.

        Raises `RequestRejected`: `since-after-until`, `unknown-verdict`, `unknown-label`, `unusable-has-no-label`.
        """
        if since and until and since > until:
            raise RequestRejected("since-after-until", f"The first day, {since}, is after the last one, {until}.")
        chosen = tuple(sorted(set(verdicts)))
        for verdict in chosen:
            if verdict not in Case.Outcome:
                raise RequestRejected(
                    "unknown-verdict", f"There is no verdict “{verdict}”. Verdicts: {', '.join(Case.Outcome)}."
                )
        names = _labels(labels)
        if names and chosen and set(chosen) <= {Case.Outcome.UNUSABLE, Case.Outcome.NO_LABEL}:
            which = "Unusable pictures" if Case.Outcome.UNUSABLE in chosen else "Pictures that no label fits"
            message = f"{which} have no label. Choose labels or that verdict, not both."
            raise RequestRejected("unusable-has-no-label", message)
        # All verdicts mean the same as none: equal data sets have equal selections.
        return cls(since, until, names, () if set(chosen) == set(Case.Outcome) else chosen)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CaseSelection:
        """Reads the result of `as_json`."""
        since, until = (date.fromisoformat(day) if (day := content.get(name)) else None for name in ("since", "until"))
        return cls(since, until, tuple(content.get("labels", ())), tuple(content.get("verdicts", ())))

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
        return words + (f" until {self.until}" if self.until else "")

    def cases(self) -> CaseQuerySet:
        cases = Case.objects.filter(state=Case.State.DECIDED).exclude(image__file="")  # erased pictures
        if self.since:
            cases = cases.filter(decided_at__gte=_midnight(self.since))
        if self.until:
            cases = cases.filter(decided_at__lt=_midnight(self.until + timedelta(days=1)))
        if self.labels:
            cases = cases.filter(label__in=self.labels)
        return cases.filter(verdict__in=self.verdicts) if self.verdicts else cases

    def size(self) -> SelectionSize:
        """Counts the cases, in one query."""
        has_label = ~Q(label="")
        found = self.cases().aggregate(
            cases=Count("pk"),
            with_label=Count("pk", filter=has_label),
            labels=Count("label", filter=has_label, distinct=True),
            byte_size=Sum("image__byte_size", filter=has_label),
        )
        return SelectionSize(**(found | {"byte_size": found["byte_size"] or 0}))

    def rows(self) -> Iterator[SelectedCase]:
        """Yields the cases, with one query that fetches rows in chunks.

        They are ordered by hash: every database gives the same order, and labels are mixed as if shuffled.
        """
        columns = [_COLUMNS.get(name, name) for name in SelectedCase._fields]
        found = self.cases().order_by("image__sha256").values_list(*columns)
        return (SelectedCase(*row) for row in found.iterator(chunk_size=CHUNK))


def label_counts() -> list[tuple[str, int]]:
    """Returns each label of the decided cases with its number of cases."""
    decided = Case.objects.filter(state=Case.State.DECIDED).exclude(label="").exclude(image__file="")
    return list(decided.values_list("label").annotate(number=Count("pk")).order_by("label"))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _labels(texts: Iterable[str]) -> tuple[str, ...]:
    """Resolves texts to labels of decided cases or of the model. Raises `RequestRejected` `unknown-label`."""
    wanted = {text.strip() for text in texts}
    decided = Case.objects.filter(state=Case.State.DECIDED, label__in=wanted - {""})
    known = set(decided.values_list("label", flat=True).distinct()) if wanted else set()
    return tuple(sorted({text if text in known else _resolved(text) for text in wanted}))


def _resolved(text: str) -> str:
    if found := known_labels.index().resolve(text):
        return found
    raise RequestRejected("unknown-label", f"There is no label “{text[:100]}”.")
