"""Reads the pages of a visitor's history."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import models
from django.db.models import Count, Exists, OuterRef, Q

from feedback.models import Feedback
from predictions.models import Prediction, PredictionQuerySet
from predictions.selectors import label_contains, labels_found

PAGE_SIZE = 48  # fills rows of two, three, four, six and eight
TEXT_MAX_LENGTH = 100

_STATES = {
    "waiting": Prediction.WAITING,
    "answered": (Prediction.State.DONE,),
    "failed": (Prediction.State.FAILED, Prediction.State.EXPIRED, Prediction.State.CANCELLED),
}


class Show(models.TextChoices):
    """Which of their pictures a visitor wants to see."""

    ALL = "all", "All"
    WAITING = "waiting", "Waiting"
    ANSWERED = "answered", "Answered"
    FAILED = "failed", "Failed"
    WRONG = "wrong", "You said no"


@dataclass(frozen=True)
class Cursor:
    """The position of a prediction in the history. As text it is a parameter of an address."""

    created_at: datetime
    id: UUID

    _FORMAT = "%Y%m%dT%H%M%S%f"
    _TEXT = re.compile(r"(\d{8}T\d{12})-([0-9a-f]{32})")

    @classmethod
    def of(cls, prediction: Prediction) -> Cursor:
        return cls(prediction.created_at, prediction.id)

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Returns `None` for any other text."""
        found = cls._TEXT.fullmatch(text)
        if found is None:
            return None
        try:
            return cls(datetime.strptime(found[1], cls._FORMAT).replace(tzinfo=UTC), UUID(found[2]))
        except ValueError:  # the 32nd of a month
            return None

    def __str__(self) -> str:
        return f"{self.created_at.astimezone(UTC):{self._FORMAT}}-{self.id.hex}"

    @property
    def older(self) -> Q:
        """The condition of the rows that come after this position. Its first part is a range of the index."""
        earlier = Q(created_at__lt=self.created_at) | Q(pk__lt=self.id)
        return Q(created_at__lte=self.created_at) & earlier

    @property
    def newer(self) -> Q:
        """The condition of the rows that come before this position."""
        later = Q(created_at__gt=self.created_at) | Q(pk__gt=self.id)
        return Q(created_at__gte=self.created_at) & later


@dataclass(frozen=True)
class SentPicture:
    """A prediction and what its sender has said about its answer."""

    prediction: Prediction
    statement: Feedback | None

    @property
    def may_be_shown(self) -> bool:
        """Whether there is a picture to show. One that failed because of the picture may not be decodable."""
        return self.prediction.state != Prediction.State.FAILED or self.prediction.is_our_failure


@dataclass(frozen=True)
class HistoryPage:
    """One page of the history. `newer`, `older`: the cursors of the links to other pages; `None` without such rows."""

    pictures: Sequence[SentPicture]
    newer: Cursor | None = None
    older: Cursor | None = None


def sent_picture_count(visitor: str) -> int:
    """Returns the number of pictures that a visitor has sent. One that was sent several times counts once."""
    return int(Prediction.objects.of_sender(visitor).aggregate(number=Count("image", distinct=True))["number"])


def history_page(
    visitor: str, *, show: Show = Show.ALL, text: str = "", older: Cursor | None = None, newer: Cursor | None = None
) -> HistoryPage:
    """Returns a page of what a visitor has sent, newest first: `older` or `newer` than a cursor, or else the first.

    `text`: a part of a label, of a file name, or of what the visitor said that a picture shows.
    """
    found = _matching(visitor, show, text)
    if newer is not None:
        nearest = list(found.filter(newer.newer).order_by("created_at", "pk")[: PAGE_SIZE + 1])
        if len(nearest) >= PAGE_SIZE:
            rows = nearest[:PAGE_SIZE][::-1]
            has_older = found.filter(Cursor.of(rows[-1]).older).exists()
            return _page(visitor, rows, has_newer=len(nearest) > PAGE_SIZE, has_older=has_older)
        older = None  # the first page: it shows these few and, below them, others
    rows = list((found.filter(older.older) if older else found).order_by("-created_at", "-pk")[: PAGE_SIZE + 1])
    has_older, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    has_newer = bool(older and rows) and found.filter(Cursor.of(rows[0]).newer).exists()
    return _page(visitor, rows, has_newer=has_newer, has_older=has_older)


def _page(visitor: str, rows: Sequence[Prediction], *, has_newer: bool, has_older: bool) -> HistoryPage:
    said = Feedback.objects.current().filter(author=visitor, prediction__in=rows) if rows else ()
    statements = {statement.prediction_id: statement for statement in said}
    return HistoryPage(
        pictures=[SentPicture(prediction, statements.get(prediction.pk)) for prediction in rows],
        newer=Cursor.of(rows[0]) if has_newer else None,
        older=Cursor.of(rows[-1]) if has_older else None,
    )


def _matching(visitor: str, show: Show, text: str) -> PredictionQuerySet:
    found = Prediction.objects.of_sender(visitor)
    statements = Feedback.objects.current().filter(prediction=OuterRef("pk"), author=visitor)
    if show in _STATES:
        found = found.filter(state__in=_STATES[show])
    elif show == Show.WRONG:
        found = found.filter(Exists(statements.filter(verdict=Feedback.Verdict.WRONG)))
    if text:
        labels = labels_found(text)
        # `labels` has answers only, and people name other labels, too.
        named = label_contains("expected_label", text) | Q(expected_words__icontains=text)
        said = statements.filter(Q(expected_label__in=labels) | named)
        found = found.filter(Q(label__in=labels) | Q(file_name__icontains=text) | Q(Exists(said)))
    return found
