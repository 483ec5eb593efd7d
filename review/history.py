"""The history of a case: rows that are only ever added, and the state that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from predictions.exceptions import RequestRejected
from review.models import Case, Decision

NOTE_MAX_LENGTH = 2000


def effective(decisions: Iterable[Decision]) -> list[Decision]:
    """Returns the decisions that are in effect, oldest first.

    The last one gives the case its state. If there is none, the case is open.
    An undo removes the decision it names. A reopening removes everything before it.
    """
    standing: list[Decision] = []
    for decision in decisions:
        if decision.kind == Decision.Kind.UNDO:
            standing = [other for other in standing if other.pk != decision.undoes_id]
        elif decision.kind == Decision.Kind.REOPEN:
            standing = []
        else:
            standing.append(decision)
    return standing


@contextmanager
def adding_to_history() -> Iterator[None]:
    """A transaction that adds a row to a case's history.

    Raises `RequestRejected` `decided` if another transaction has added a row first. That rolls back the whole block, so
    that saving the row needs no savepoint. A savepoint would cost every decision two round trips.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise RequestRejected("decided", "Somebody else decided this first. Nothing was saved.", status=409) from error


def lock_case(case_id: int) -> tuple[Case, list[Decision]]:
    """Locks a case until the transaction ends. Returns it with its history, oldest first.

    Raises `RequestRejected`: `no-such-case`; `erased` if the picture was erased, which nobody can judge any more.
    """
    try:
        cases = Case.objects.select_for_update(of=("self",)).select_related("claimed_by", "decided_by", "prediction")
        case = cases.get(pk=case_id)
    except Case.DoesNotExist as error:
        raise RequestRejected("no-such-case", "This case no longer exists.", status=404) from error
    # Read after the lock, and with the rows, so that it costs no round trip.
    rows: list[Any] = list(case.decisions.select_related("reviewer").annotate(stored_file=F("case__image__file")))
    # A case that was decided before its picture was erased keeps its verdict, and its state.
    if case.state == Case.State.ERASED or (rows and not rows[0].stored_file):
        raise picture_erased()
    return case, rows


def require_picture(case: Case) -> None:
    """Raises `RequestRejected` `erased`, as `lock_case` does. `case` has its image loaded."""
    if case.state == Case.State.ERASED or (case.decision_count and not case.image.file):
        raise picture_erased()


def picture_erased() -> RequestRejected:
    return RequestRejected("erased", "The picture of this case was erased.", status=409)


def row_with_key(history: Iterable[Decision], reviewer: User, key: UUID | None) -> Decision | None:
    """Returns the row of a case's history that an earlier write with this key stored, if there was one."""
    return next((row for row in history if key and row.key == key and row.reviewer_id == reviewer.pk), None)


def rows_with_key(reviewer: User, key: UUID | None) -> QuerySet[Decision]:
    """Returns all rows that an earlier write with this key stored."""
    rows = Decision.objects.filter(reviewer=reviewer, key=key) if key else Decision.objects.none()
    return rows.select_related("undoes").order_by("pk")


def require_short_note(note: str) -> None:
    """Raises `RequestRejected` `note-too-long`."""
    if len(note) > NOTE_MAX_LENGTH:
        message = f"The note has {len(note)} characters; at most {NOTE_MAX_LENGTH} are allowed."
        raise RequestRejected("note-too-long", message)


def add_row(
    case: Case,
    history: list[Decision],
    reviewer: User,
    kind: Decision.Kind,
    *,
    key: UUID | None,
    label: str = "",
    proposed_label: str = "",
    note: str = "",
    undoes: Decision | None = None,
    bulk: UUID | None = None,
) -> Decision:
    """Adds a row to the history of a case that `lock_case` returned, and updates the case.

    The row has the label set of the case. A caller that changes the label set sets it on the case first.
    """
    decision = Decision(
        case=case,
        number=case.decision_count + 1,
        kind=kind,
        label=label,
        proposed_label=proposed_label,
        label_set_id=case.label_set_id,
        note=note.strip(),
        reviewer=reviewer,
        undoes=undoes,
        bulk=bulk,
        key=key,
        prediction_id=case.prediction_id,
        predicted_label=case.predicted_label,
        score=case.score,
        model_version=case.model_version,
    )
    decision.save()
    _update_case(case, [*history, decision])
    return decision


def _update_case(case: Case, history: list[Decision]) -> None:
    """Copies what the history says to the case, and releases the case."""
    standing = effective(history)
    last = standing[-1] if standing else None
    verdict = last if last is not None and last.kind in Decision.VERDICTS else None
    case.decision_count = len(history)
    case.state = Case.State.OPEN if last is None else Case.State.DECIDED if verdict else Case.State.FLAGGED
    case.verdict = verdict.kind if verdict else ""
    case.label = verdict.label if verdict else ""
    case.proposed_label = verdict.proposed_label if verdict else ""
    case.decided_by = verdict.reviewer if verdict else None
    case.decided_at = verdict.created_at if verdict else None
    case.claimed_by = case.claimed_until = case.claimed_in_advance = None
    case.save()
