"""Takes decisions back: reviewers undo their own, leads reopen any case. Retries work as in `review.decisions`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from predictions.exceptions import RequestRejected
from review.claims import require_free
from review.history import (
    add_row,
    adding_to_history,
    effective,
    lock_case,
    require_short_note,
    row_with_key,
    rows_with_key,
)
from review.models import Case, Decision


def undo_last(reviewer: User, key: UUID | None = None, *, until: datetime | None = None) -> list[Decision]:
    """Undoes the reviewer's newest decision that can be undone, with all others of the same bulk.

    `until`: when the page of the reviewer was made. Decisions made later, perhaps in another tab, are ignored.

    Returns the rows of the undo, at least one. Raises `RequestRejected`: `nothing-to-undo`; `claimed` if somebody else
    looks at the case; `decided` or `erased` if the case changes at the same time.
    """
    last = _undoable(reviewer, until).order_by("-id").first()
    # Read after `last`: if an earlier attempt has finished meanwhile, its rows are found here. If it is still undoing
    # `last`, it holds the lock of that case, and `_undo` waits for it.
    if earlier := list(rows_with_key(reviewer, key).filter(kind=Decision.Kind.UNDO)):
        return earlier
    if last is None:
        raise RequestRejected("nothing-to-undo", "There is nothing to undo.", status=409)
    if last.bulk:
        return bulk_undo(last.bulk, reviewer, key)
    return [_undo(last, reviewer, key)]


def _undoable(reviewer: User, until: datetime | None) -> QuerySet[Decision]:
    """Returns the reviewer's decisions that give a case its state, except those whose picture was erased."""
    mine = Decision.objects.filter(reviewer=reviewer, kind__in=Decision.CAN_BE_UNDONE, undone_by__isnull=True)
    if until is not None:
        mine = mine.filter(created_at__lte=until)
    # A reopening, or a newer decision that is in effect.
    newer = Decision.objects.filter(case=OuterRef("case"), number__gt=OuterRef("number"), undone_by__isnull=True)
    return mine.filter(~Exists(newer.exclude(kind=Decision.Kind.UNDO))).exclude(case__image__file="")


def bulk_undo(bulk: UUID, reviewer: User, key: UUID | None = None) -> list[Decision]:
    """Undoes the reviewer's decisions of one bulk, except on cases that have a newer decision.

    Raises `RequestRejected` `nothing-to-undo`.
    """
    decided = Decision.objects.filter(bulk=bulk, reviewer=reviewer, undone_by__isnull=True)
    with transaction.atomic():
        decisions = list(decided.exclude(kind=Decision.Kind.UNDO))
        undone = list(rows_with_key(reviewer, key).filter(undoes__bulk=bulk))  # read after, as in `undo_last`
        for decision in [] if undone else decisions:
            try:
                undone.append(_undo(decision, reviewer, key))
            except RequestRejected:
                continue
    if not undone:
        raise RequestRejected("nothing-to-undo", "There is nothing left to undo.", status=409)
    return undone


def decision_undo(*, decision_id: int, reviewer: User, key: UUID | None = None) -> Decision:
    """Undoes one decision. Raises `RequestRejected`: `nothing-to-undo`, `not-yours`, `decided`, `claimed`."""
    decision = Decision.objects.filter(pk=decision_id).first()
    if decision is None:
        raise RequestRejected("nothing-to-undo", "This decision does not exist.", status=404)
    return _undo(decision, reviewer, key)


def _undo(decision: Decision, reviewer: User, key: UUID | None) -> Decision:
    if decision.reviewer_id != reviewer.pk:
        message = "You can only undo your own decisions. A lead can reopen the case."
        raise RequestRejected("not-yours", message, status=403)
    with adding_to_history():
        case, history = lock_case(decision.case_id)
        earlier = row_with_key(history, reviewer, key)
        if earlier and earlier.undoes_id == decision.pk:
            return earlier
        require_free(case, reviewer)
        standing = effective(history)
        if not standing or standing[-1].pk != decision.pk:
            message = "This decision is already undone, or the case has a newer one."
            raise RequestRejected("decided", message, status=409)
        before = [row.label_set_id for row in history if row.number < decision.number]
        case.label_set_id = before[-1] if before else None
        return add_row(case, history, reviewer, Decision.Kind.UNDO, undoes=decision, key=key)


def case_reopen(*, case_id: int, reviewer: User, note: str = "", key: UUID | None = None) -> Decision:
    """Puts a case back into the queue, whatever its state.

    Raises `RequestRejected`: `no-such-case`, `not-decided`, `note-too-long`.
    """
    require_short_note(note)
    with adding_to_history():
        return reopen_within(case_id, reviewer, key, note)


def reopen_within(case_id: int, reviewer: User, key: UUID | None, note: str = "") -> Decision:
    """Reopens a case as `case_reopen` does, within the caller's `adding_to_history` block."""
    case, history = lock_case(case_id)
    earlier = row_with_key(history, reviewer, key)
    if earlier and earlier.kind == Decision.Kind.REOPEN:
        return earlier
    return reopen_locked(case, history, reviewer, key, note)


def reopen_locked(case: Case, history: list[Decision], reviewer: User, key: UUID | None, note: str = "") -> Decision:
    """Reopens a case that `lock_case` returned. Raises `RequestRejected` `not-decided`."""
    require_not_open(case)
    return add_row(case, history, reviewer, Decision.Kind.REOPEN, note=note, key=key)


def require_not_open(case: Case) -> None:
    """Raises `RequestRejected` `not-decided`."""
    if case.state == Case.State.OPEN:
        raise RequestRejected("not-decided", "This case is already open.", status=409)
