"""Deciding cases, and taking it back. A case's state is what its decisions say, one after the other.

Every function that writes takes the `key` of the write. A retry, which is sent because the first answer was lost, has
the same key: it changes nothing and returns the rows that the first one stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from predictions import labels
from predictions.exceptions import RequestRejected
from review.claims import require_free
from review.models import Case, Decision, Skip

LABEL_MAX_LENGTH = 200
NOTE_MAX_LENGTH = 2000
MOST_AT_ONCE = 500


@dataclass(frozen=True)
class Verdict:
    """What a reviewer wants to say of a case. `kind`: one of `Decision.CAN_BE_UNDONE`, or `ACCEPT`.

    `label` is what the picture shows; it belongs to `corrected` only. If it is what the model had said, the case comes
    out as confirmed right. `accept` corrects to the label that most people expect, whichever that is. A flag needs a
    note.
    """

    ACCEPT: ClassVar = "accept"

    kind: str
    label: str = ""
    note: str = ""


@dataclass(frozen=True)
class Seen:
    """What a reviewer had before his eyes: how many rows the history had, and which answer was under review."""

    decision_count: int
    prediction: UUID

    @classmethod
    def of(cls, case: Case) -> Seen:
        return cls(case.decision_count, case.prediction_id)


@dataclass
class BulkResult:
    """What became of a write to many cases: the rows it `stored`, and for each of the other cases why not."""

    bulk: UUID
    stored: list[Decision] = field(default_factory=list)
    refused: list[tuple[int, RequestRejected]] = field(default_factory=list)


# --- Deciding -------------------------------------------------------------------------------------


def case_decide(
    *, case_id: int, reviewer: User, verdict: Verdict, seen: Seen | None = None, key: UUID | None = None
) -> Decision:
    """Decides a case and releases it.

    An expired claim does no harm as long as nobody else has taken or decided the case.

    Raises `RequestRejected`: `no-such-case`; `decided` or `changed` if it is not what the reviewer has `seen` any more;
    `claimed` if somebody else looks at it; `unknown-label`, `label-needed`, `note-needed`, `note-too-long`.
    """
    with _change():
        return _decide(case_id, reviewer, verdict, seen, key)


def cases_decide(
    *, seen: Mapping[int, Seen | None], reviewer: User, verdict: Verdict, key: UUID | None = None
) -> BulkResult:
    """Decides many cases with one verdict, by their ids; `MOST_AT_ONCE` at most. The others stay as they are.

    Raises `RequestRejected` `too-many`.
    """
    bulk = key or uuid4()
    return _for_each(seen, reviewer, bulk, lambda pk: _decide(pk, reviewer, verdict, seen[pk], key=bulk, bulk=bulk))


def require_not_too_many(case_ids: Collection[int]) -> None:
    """Raises `RequestRejected` `too-many`."""
    if len(case_ids) > MOST_AT_ONCE:
        raise RequestRejected("too-many", f"Up to {MOST_AT_ONCE} cases at once; these are {len(case_ids)}.")


def outcome(case: Case, reviewer: User, verdict: Verdict, seen: Seen | None = None) -> tuple[Decision.Kind, str]:
    """The kind and the label of the decision that `verdict` would be; for this case, now, by this reviewer.

    Changes nothing. Raises what `case_decide` raises.
    """
    _require_same(case, seen)
    require_free(case, reviewer)
    return _kind_and_label(case, verdict)


def known_label(case: Case, text: str) -> str:
    """The label that a text names, for this case. Raises `RequestRejected` `unknown-label`.

    Labels of the answer and of what people expect are known even if their model version is gone.
    """
    text = text.strip()
    if len(text) > LABEL_MAX_LENGTH:
        raise RequestRejected("unknown-label", f"“{text[:100]}…” is longer than any label.")
    near = {case.predicted_label, case.expected_label, *(label for label, _score in case.prediction.top)}
    label = text if text in near else labels.resolve(text)
    if not label:
        raise RequestRejected("unknown-label", f"“{text[:100]}” is none of the labels.")
    return label


def _require_short_note(note: str) -> None:
    if len(note) > NOTE_MAX_LENGTH:
        raise RequestRejected(
            "note-too-long", f"The note has {len(note)} characters; up to {NOTE_MAX_LENGTH} are kept."
        )


@contextmanager
def _change() -> Iterator[None]:
    """A transaction that adds a row to a case's history: if another one was first, `RequestRejected` `decided`.

    No savepoint of its own for the row, which would cost every decision two round trips.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise RequestRejected(
            "decided", "Decided meanwhile by somebody else. Nothing was stored.", status=409
        ) from error


def _for_each(case_ids: Collection[int], reviewer: User, key: UUID, change: Callable[[int], Decision]) -> BulkResult:
    """Changes each of the cases that can be changed. A retry changes none that the first write left as it was."""
    require_not_too_many(case_ids)
    result = BulkResult(key)
    with transaction.atomic():
        earlier = set(_stored(reviewer, key).values_list("pk", flat=True))
        for case_id in sorted(case_ids):  # in one order, so that two of these cannot block each other
            try:
                with _change():
                    row = change(case_id)
                    if earlier and row.pk not in earlier:
                        raise RequestRejected(
                            "left-out", "It could not be changed when this was sent first.", status=409
                        )
                result.stored.append(row)
            except RequestRejected as rejection:
                result.refused.append((case_id, rejection))
    return result


def _decide(
    case_id: int, reviewer: User, verdict: Verdict, seen: Seen | None, key: UUID | None, bulk: UUID | None = None
) -> Decision:
    if len(verdict.note) > NOTE_MAX_LENGTH:
        message = f"The note has {len(verdict.note)} characters; up to {NOTE_MAX_LENGTH} are kept."
        raise RequestRejected("note-too-long", message)
    _require_short_note(verdict.note)
    case, history = _locked(case_id)
    earlier = _with_key(history, reviewer, key)
    if earlier and _says(earlier, verdict):
        return earlier
    kind, label = outcome(case, reviewer, verdict, seen)
    decision = _add(case, history, reviewer, kind, label=label, note=verdict.note, key=key, bulk=bulk)
    Skip.objects.filter(case=case, reviewer=reviewer).delete()
    return decision


def _locked(case_id: int) -> tuple[Case, list[Decision]]:
    """A case that nobody else can change meanwhile, and its history, oldest first."""
    try:
        cases = Case.objects.select_for_update(of=("self",)).select_related("claimed_by", "decided_by", "prediction")
        case = cases.get(pk=case_id)
    except Case.DoesNotExist as error:
        raise RequestRejected("no-such-case", "There is no such case any more.", status=404) from error
    return case, list(case.decisions.select_related("reviewer"))


def _with_key(history: Iterable[Decision], reviewer: User, key: UUID | None) -> Decision | None:
    """The row of the history that the reviewer's write with this key stored."""
    return next((row for row in history if key and row.key == key and row.reviewer_id == reviewer.pk), None)


def _stored(reviewer: User, key: UUID | None) -> QuerySet[Decision]:
    """All rows that the reviewer's write with this key stored."""
    rows = Decision.objects.filter(reviewer=reviewer, key=key) if key else Decision.objects.none()
    return rows.select_related("undoes")


def _says(decision: Decision, verdict: Verdict) -> bool:
    """Whether the row is what became of this verdict. The buttons of one form have one key."""
    if decision.note != verdict.note.strip():
        return False
    if verdict.kind == Verdict.ACCEPT:
        return decision.kind in {Decision.Kind.RIGHT, Decision.Kind.CORRECTED}
    if verdict.kind == Decision.Kind.CORRECTED:
        text = verdict.label.strip()
        return bool(decision.label) and decision.label in {text, labels.resolve(text)}
    return decision.kind == verdict.kind


def _require_same(case: Case, seen: Seen | None) -> None:
    if case.state == Case.State.DECIDED:
        who = case.decided_by.get_username() if case.decided_by else "somebody"
        what = f"{case.get_verdict_display()}: {case.label}" if case.label else case.get_verdict_display()
        raise RequestRejected(
            "decided", f"Decided meanwhile by {who} ({what}). Your verdict was not stored.", status=409
        )
    if seen is not None and seen != Seen.of(case):
        raise RequestRejected("changed", "The case has changed meanwhile. Please look at it again.", status=409)


def _kind_and_label(case: Case, verdict: Verdict) -> tuple[Decision.Kind, str]:
    if verdict.kind == Decision.Kind.RIGHT:
        return Decision.Kind.RIGHT, case.predicted_label
    if verdict.kind == Decision.Kind.CORRECTED:
        if not verdict.label.strip():
            raise RequestRejected("label-needed", "Which label is it?")
        label = known_label(case, verdict.label)
        return (Decision.Kind.RIGHT if label == case.predicted_label else Decision.Kind.CORRECTED), label
    if verdict.kind == Verdict.ACCEPT:
        if not case.expected_label:
            raise RequestRejected("no-expected-label", "Nobody has said what it is.")
        return _kind_and_label(case, Verdict(Decision.Kind.CORRECTED, case.expected_label))
    if verdict.kind == Decision.Kind.UNUSABLE:
        return Decision.Kind.UNUSABLE, ""
    if verdict.kind == Decision.Kind.FLAGGED:
        if not verdict.note.strip():
            raise RequestRejected("note-needed", "A flag needs a note: what should somebody look at?")
        return Decision.Kind.FLAGGED, ""
    raise RequestRejected("unknown-verdict", f"“{verdict.kind[:40]}” is no verdict.")


# --- Taking it back -------------------------------------------------------------------------------


def undo_last(reviewer: User, key: UUID | None = None) -> Decision:
    """Takes back what this reviewer decided last and has not taken back yet; all of it, if it was many at once.

    Returns the first row that says so. Raises `RequestRejected`: `nothing-to-undo`; `decided` if somebody has done
    something to the case since.
    """
    mine = Decision.objects.filter(reviewer=reviewer, kind__in=Decision.CAN_BE_UNDONE, undone_by__isnull=True)
    last = mine.order_by("-id").first()
    # Read after `last`: if the first write has taken back a newer decision, its row is there by now. If it is still
    # taking back `last`, this one waits for the lock of the case.
    earlier = _stored(reviewer, key).filter(kind=Decision.Kind.UNDO).first()
    if earlier is not None:
        return earlier
    if last is None:
        raise RequestRejected("nothing-to-undo", "There is nothing that you could undo.", status=409)
    if last.bulk:
        return bulk_undo(last.bulk, reviewer, key)[0]
    return decision_undo(decision=last, reviewer=reviewer, key=key)


def bulk_undo(bulk: UUID, reviewer: User, key: UUID | None = None) -> list[Decision]:
    """Takes back what this reviewer decided at once, as far as nobody has done anything to those cases since.

    Raises `RequestRejected` `nothing-to-undo`.
    """
    decided = Decision.objects.filter(bulk=bulk, reviewer=reviewer, undone_by__isnull=True)
    with transaction.atomic():
        decisions = list(decided.exclude(kind=Decision.Kind.UNDO))
        undone = list(_stored(reviewer, key).filter(undoes__bulk=bulk))  # read after, as in `undo_last`
        for decision in [] if undone else decisions:
            try:
                undone.append(decision_undo(decision=decision, reviewer=reviewer, key=key))
            except RequestRejected:
                continue
    if not undone:
        raise RequestRejected("nothing-to-undo", "There is nothing left of it that you could undo.", status=409)
    return undone


def decision_undo(*, decision: Decision, reviewer: User, key: UUID | None = None) -> Decision:
    """Takes back one decision. Raises `RequestRejected`: `not-yours`, `decided`, `claimed`."""
    if decision.reviewer_id != reviewer.pk:
        raise RequestRejected("not-yours", "Only who decided can undo it; a lead can reopen the case.", status=403)
    with _change():
        case, history = _locked(decision.case_id)
        earlier = _with_key(history, reviewer, key)
        if earlier and earlier.undoes_id == decision.pk:
            return earlier
        require_free(case, reviewer)
        standing = effective(history)
        if not standing or standing[-1].pk != decision.pk:
            message = "It was undone, or somebody has done something to the case since."
            raise RequestRejected("decided", message, status=409)
        return _add(case, history, reviewer, Decision.Kind.UNDO, undoes=decision, key=key)


def case_reopen(*, case_id: int, reviewer: User, note: str = "", key: UUID | None = None) -> Decision:
    """Puts a case back into the queue, whatever was decided. Raises `RequestRejected`: `no-such-case`, `not-decided`,
    `note-too-long`.
    """
    _require_short_note(note)
    with _change():
        return _reopen(case_id, reviewer, note, key)


def cases_reopen(*, case_ids: Collection[int], reviewer: User, key: UUID | None = None) -> BulkResult:
    """Puts many cases back into the queue; `MOST_AT_ONCE` at most. Raises `RequestRejected` `too-many`."""
    bulk = key or uuid4()
    return _for_each(case_ids, reviewer, bulk, lambda pk: _reopen(pk, reviewer, note="", key=bulk))


def _reopen(case_id: int, reviewer: User, note: str, key: UUID | None) -> Decision:
    case, history = _locked(case_id)
    earlier = _with_key(history, reviewer, key)
    if earlier and earlier.kind == Decision.Kind.REOPEN:
        return earlier
    if case.state == Case.State.OPEN:
        raise RequestRejected("not-decided", "The case is open already.", status=409)
    return _add(case, history, reviewer, Decision.Kind.REOPEN, note=note, key=key)


# --- What the rows say ----------------------------------------------------------------------------


def effective(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions that stand, oldest first: the last one is the case's state, and none means open.

    An undo takes away the one it names; after a reopening nothing stands of what was before.
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


def _add(
    case: Case,
    history: list[Decision],
    reviewer: User,
    kind: Decision.Kind,
    *,
    key: UUID | None,
    label: str = "",
    note: str = "",
    undoes: Decision | None = None,
    bulk: UUID | None = None,
) -> Decision:
    decision = Decision(
        case=case,
        number=case.decision_count + 1,
        kind=kind,
        label=label,
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
    _write_down(case, [*history, decision])
    return decision


def _write_down(case: Case, history: list[Decision]) -> None:
    """Copies what the decisions say to the case itself, and releases it."""
    standing = effective(history)
    last = standing[-1] if standing else None
    is_decided = last is not None and last.kind in Decision.VERDICTS
    case.decision_count = len(history)
    case.state = Case.State.OPEN if last is None else Case.State.DECIDED if is_decided else Case.State.FLAGGED
    case.verdict = last.kind if last and is_decided else ""
    case.label = last.label if last and is_decided else ""
    case.decided_by = last.reviewer if last and is_decided else None
    case.decided_at = last.created_at if last and is_decided else None
    case.claimed_by = case.claimed_until = None
    case.save()
