"""Which of the decided cases go into a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Q, Sum

from predictions import labels as known_labels
from predictions.exceptions import RequestRejected
from review.models import Case, CaseQuerySet

# How many rows the database hands over at a time.
CHUNK = 2000


class SelectedCase(NamedTuple):
    """What a data set says of a case. `stored_file` is for us, the rest is for its manifest."""

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


_COLUMNS = {
    "sha256": "image__sha256",
    "stored_file": "image__file",
    "byte_size": "image__byte_size",
    "decisions": "decision_count",
    "statements": "weight",
}


# What an archive holds of a case beside its picture: two lines of the manifest, and two entries of the archive's own.
BYTES_BESIDE = 900


@dataclass(frozen=True)
class Size:
    """What a selection amounts to now. `byte_size`: of the pictures as they were sent."""

    cases: int
    with_label: int
    labels: int
    byte_size: int

    @property
    def archive_bytes(self) -> int:
        """About what its archive will need. Pictures that have to be encoded anew may turn out larger or smaller."""
        return self.byte_size + self.cases * BYTES_BESIDE


@dataclass(frozen=True)
class Selection:
    """Decided cases. `since` and `until` are days in UTC, both included; empty labels or verdicts mean all of them.

    A case that was decided as unusable has no label, so that a choice of labels leaves it out.
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
    ) -> Selection:
        """A selection that can be meant.

        Raises `RequestRejected`: `since-after-until`, `unknown-verdict`, `unknown-label`, `unusable-has-no-label`.
        """
        if since and until and since > until:
            raise RequestRejected("since-after-until", f"The first day, {since}, is after the last one, {until}.")
        chosen = tuple(sorted(set(verdicts)))
        for verdict in chosen:
            if verdict not in Case.Outcome:
                raise RequestRejected(
                    "unknown-verdict", f"“{verdict}” is none of the verdicts: {', '.join(Case.Outcome)}."
                )
        names = _labels(labels)
        if names and chosen == (Case.Outcome.UNUSABLE,):
            raise RequestRejected(
                "unusable-has-no-label", "Unusable pictures have no label: choose labels, or that verdict."
            )
        # All of them are no choice, so that the same data set is asked for in one way only.
        return cls(since, until, names, () if set(chosen) == set(Case.Outcome) else chosen)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Selection:
        """Reads what `as_json` has written."""
        since, until = (date.fromisoformat(day) if (day := content.get(name)) else None for name in ("since", "until"))
        return cls(since, until, tuple(content.get("labels", ())), tuple(content.get("verdicts", ())))

    def as_json(self) -> dict[str, Any]:
        days = {name: day.isoformat() if day else None for name, day in (("since", self.since), ("until", self.until))}
        return asdict(self) | days | {"labels": list(self.labels), "verdicts": list(self.verdicts)}

    def __str__(self) -> str:
        """In words, for people."""
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
        cases = Case.objects.filter(state=Case.State.DECIDED)
        if self.since:
            cases = cases.filter(decided_at__gte=_midnight(self.since))
        if self.until:
            cases = cases.filter(decided_at__lt=_midnight(self.until + timedelta(days=1)))
        if self.labels:
            cases = cases.filter(label__in=self.labels)
        return cases.filter(verdict__in=self.verdicts) if self.verdicts else cases

    def size(self) -> Size:
        """Counts, in one query."""
        has_label = ~Q(label="")
        found = self.cases().aggregate(
            cases=Count("pk"),
            with_label=Count("pk", filter=has_label),
            labels=Count("label", filter=has_label, distinct=True),
            byte_size=Sum("image__byte_size", filter=has_label),
        )
        return Size(**(found | {"byte_size": found["byte_size"] or 0}))

    def rows(self) -> Iterator[SelectedCase]:
        """The cases as they are at this moment: one query, read bit by bit.

        In the order of their hashes. That is the same whatever the database is and whenever the rows came, and as good
        as chance for everything else: a file that is read from the front mixes the labels.
        """
        columns = [_COLUMNS.get(name, name) for name in SelectedCase._fields]
        found = self.cases().order_by("image__sha256").values_list(*columns)
        return (SelectedCase(*row) for row in found.iterator(chunk_size=CHUNK))


def label_counts() -> list[tuple[str, int]]:
    """Each label that cases were decided with, and how many were."""
    decided = Case.objects.filter(state=Case.State.DECIDED).exclude(label="")
    return list(decided.values_list("label").annotate(number=Count("pk")).order_by("label"))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _labels(texts: Iterable[str]) -> tuple[str, ...]:
    """The labels that these texts name: those that cases were decided with, or the model's."""
    wanted = {text.strip() for text in texts}
    decided = Case.objects.filter(state=Case.State.DECIDED, label__in=wanted - {""})
    known = set(decided.values_list("label", flat=True).distinct()) if wanted else set()
    return tuple(sorted({text if text in known else _resolved(text) for text in wanted}))


def _resolved(text: str) -> str:
    if found := known_labels.resolve(text):
        return found
    raise RequestRejected("unknown-label", f"“{text[:100]}” is none of the labels.")
