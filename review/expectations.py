"""Counts what people expect a picture to show. One person may have made several statements about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, Max, Value, Window
from django.db.models.functions import RowNumber

from feedback.models import Feedback, FeedbackQuerySet
from feedback.people import number_of_people, number_of_senders
from review.models import Case

MAX_LABELS = 8  # labels that a list shows for each case
MAX_WORDS = 3  # newest texts in people's own words


class Said(NamedTuple):
    """A verdict, a label or words with the number of people who said it.

    `senders`: the number of visitors and of networks of API clients that they came from.
    """

    what: str
    people: int
    senders: int
    latest: datetime

    @property
    def weight(self) -> tuple[int, int, datetime]:
        """The more senders, the more weight. People come second, because an API client may invent them."""
        return min(self.senders, self.people), self.people, self.latest


_COUNTS: dict[str, Any] = {
    "people": number_of_people(),
    "senders": number_of_senders(),
    "latest": Max("created_at"),
}


@dataclass(frozen=True)
class Summary:
    """What people said about one image. `total`: all of them; `None` if nobody said anything."""

    total: Said | None
    verdicts: dict[str, Said]
    labels: list[Said]


def summary(statements: FeedbackQuerySet) -> Summary:
    """Counts the current ones of these statements. One query."""
    current = statements.current().order_by()
    verdicts = current.annotate(what=F("verdict"))
    labels = current.exclude(expected_label="").annotate(what=F("expected_label"))
    parts = [
        values.annotate(part=Value(part)).values_list("part", "what").annotate(**_COUNTS)
        for part, values in (("total", current.annotate(what=Value(""))), ("verdict", verdicts), ("label", labels))
    ]
    found: dict[str, list[Said]] = {"total": [], "verdict": [], "label": []}
    for part, *row in parts[0].union(*parts[1:], all=True):
        found[part].append(Said(*row))
    return Summary(
        total=next(iter(found["total"]), None),
        verdicts={said.what: said for said in found["verdict"]},
        labels=sorted(found["label"], key=lambda label: label.weight, reverse=True),
    )


@dataclass(frozen=True)
class Expectations:
    """What people expect one picture to show: labels, the most expected first, and the newest words of their own."""

    labels: list[Said]
    words: list[Said]

    @property
    def first_labels(self) -> list[Said]:
        return self.labels[:MAX_LABELS]

    @property
    def left_out(self) -> int:
        """How many labels a list does not show."""
        return max(0, len(self.labels) - MAX_LABELS)


def expectations_of(cases: Collection[Case]) -> dict[int, Expectations]:
    """Returns what people expect of each of these cases, by its id. Two queries, or none if nobody said anything."""
    case_ids = {case.image_id: case.pk for case in cases if case.weight}
    about = Feedback.objects.current().filter(image__in=list(case_ids))
    found = {case.pk: Expectations([], []) for case in cases}
    if not case_ids:
        return found
    labels = about.exclude(expected_label="").order_by().values_list("image_id", "expected_label").annotate(**_COUNTS)
    for image_id, *row in labels:
        found[case_ids[image_id]].labels.append(Said(*row))
    for expectations in found.values():
        expectations.labels.sort(key=lambda label: label.weight, reverse=True)
    newest = Window(RowNumber(), partition_by=F("image_id"), order_by=(F("latest").desc(), F("expected_words")))
    words = about.exclude(expected_words="").order_by().values_list("image_id", "expected_words").annotate(**_COUNTS)
    for image_id, *row, _rank in words.annotate(rank=newest).filter(rank__lte=MAX_WORDS).order_by("image_id", "rank"):
        found[case_ids[image_id]].words.append(Said(*row))
    return found
