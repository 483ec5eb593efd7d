"""Deciding cases, and taking it back. A case's state is what its decisions say, one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from predictions import labels
from predictions.exceptions import Refusal
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
    """What became of a verdict on many cases: `decided`, and for each of the others why not."""

    bulk: UUID
    decided: list[Decision] = field(default_factory=list)
    refused: list[tuple[int, Refusal]] = field(default_factory=list)


# --- Deciding -------------------------------------------------------------------------------------


def case_decide(
    *, case_id: int, reviewer: User, verdict: Verdict, seen: Seen | None = None, bulk: UUID | None = None
) -> Decision:
    """Decides a case and gives it free.

    A claim that has run out meanwhile does no harm as long as nobody else has taken or decided the case.

    Raises `Refusal`: `no-such-case`; `decided` or `changed` if it is not what the reviewer has `seen` any more;
    `claimed` if somebody else looks at it; `unknown-label`, `label-needed`, `note-needed`, `note-too-long`.
    """
    _require_short_note(verdict.note)
    with _change():
        case = _locked(case_id)
        kind, label = outcome(case, reviewer, verdict, seen)
        decision = _add(case, reviewer, kind, label=label, note=verdict.note, bulk=bulk)
        Skip.objects.filter(case=case, reviewer=reviewer).delete()
    return decision


def cases_decide(*, seen: Mapping[int, Seen | None], reviewer: User, verdict: Verdict) -> BulkResult:
    """One verdict for many cases, by their ids; `MOST_AT_ONCE` at most. Those that cannot be decided stay as they are.

    Raises `Refusal` `too-many`.
    """
    require_not_too_many(seen)
    result = BulkResult(uuid4())
    with transaction.atomic():
        for case_id, one_seen in sorted(seen.items()):  # in one order, so that two of these cannot block each other
            try:
                decision = case_decide(
                    case_id=case_id, reviewer=reviewer, verdict=verdict, seen=one_seen, bulk=result.bulk
                )
                result.decided.append(decision)
            except Refusal as refusal:
                result.refused.append((case_id, refusal))
    return result


def require_not_too_many(case_ids: Collection[int]) -> None:
    """Raises `Refusal` `too-many`."""
    if len(case_ids) > MOST_AT_ONCE:
        raise Refusal("too-many", f"Up to {MOST_AT_ONCE} cases at once; these are {len(case_ids)}.")


def outcome(case: Case, reviewer: User, verdict: Verdict, seen: Seen | None = None) -> tuple[Decision.Kind, str]:
    """The kind and the label of the decision that `verdict` would be; for this case, now, by this reviewer.

    Changes nothing. Raises what `case_decide` raises.
    """
    _require_same(case, seen)
    require_free(case, reviewer)
    return _kind_and_label(case, verdict)


def known_label(case: Case, text: str) -> str:
    """The label that a text names, for this case. Raises `Refusal` `unknown-label`.

    Labels of the answer and of what people expect are known even if their model version is gone.
    """
    text = text.strip()
    if len(text) > LABEL_MAX_LENGTH:
        raise Refusal("unknown-label", f"“{text[:100]}…” is longer than any label.")
    near = {case.predicted_label, case.expected_label, *(label for label, _score in case.prediction.top)}
    label = text if text in near else labels.resolve(text)
    if not label:
        raise Refusal("unknown-label", f"“{text[:100]}” is none of the labels.")
    return label


def _require_short_note(note: str) -> None:
    if len(note) > NOTE_MAX_LENGTH:
        raise Refusal("note-too-long", f"The note has {len(note)} characters; up to {NOTE_MAX_LENGTH} are kept.")


@contextmanager
def _change() -> Iterator[None]:
    """A transaction that adds a row to a case's history: if another one was first, `Refusal` `decided`.

    No savepoint of its own for the row, which would cost every decision two round trips.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Refusal("decided", "Decided meanwhile by somebody else. Nothing was stored.", status=409) from error


def _locked(case_id: int) -> Case:
    try:
        cases = Case.objects.select_for_update(of=("self",)).select_related("claimed_by", "decided_by", "prediction")
        return cases.get(pk=case_id)
    except Case.DoesNotExist as error:
        raise Refusal("no-such-case", "There is no such case any more.", status=404) from error


def _require_same(case: Case, seen: Seen | None) -> None:
    if case.state == Case.State.DECIDED:
        who = case.decided_by.get_username() if case.decided_by else "somebody"
        what = f"{case.get_verdict_display()}: {case.label}" if case.label else case.get_verdict_display()
        raise Refusal("decided", f"Decided meanwhile by {who} ({what}). Your verdict was not stored.", status=409)
    if seen is not None and seen != Seen.of(case):
        raise Refusal("changed", "The case has changed meanwhile. Please look at it again.", status=409)


def _kind_and_label(case: Case, verdict: Verdict) -> tuple[Decision.Kind, str]:
    if verdict.kind == Decision.Kind.RIGHT:
        return Decision.Kind.RIGHT, case.predicted_label
    if verdict.kind == Decision.Kind.CORRECTED:
        if not verdict.label.strip():
            raise Refusal("label-needed", "Which label is it?")
        label = known_label(case, verdict.label)
        return (Decision.Kind.RIGHT if label == case.predicted_label else Decision.Kind.CORRECTED), label
    if verdict.kind == Verdict.ACCEPT:
        if not case.expected_label:
            raise Refusal("no-expected-label", "Nobody has said what it is.")
        return _kind_and_label(case, Verdict(Decision.Kind.CORRECTED, case.expected_label))
    if verdict.kind == Decision.Kind.UNUSABLE:
        return Decision.Kind.UNUSABLE, ""
    if verdict.kind == Decision.Kind.FLAGGED:
        if not verdict.note.strip():
            raise Refusal("note-needed", "A flag needs a note: what should somebody look at?")
        return Decision.Kind.FLAGGED, ""
    raise Refusal("unknown-verdict", f"“{verdict.kind[:40]}” is no verdict.")


# --- Taking it back -------------------------------------------------------------------------------


def undo_last(reviewer: User) -> Decision:
    """Takes back what this reviewer decided last and has not taken back yet; all of it, if it was many at once.

    Returns the first row that says so. Raises `Refusal`: `nothing-to-undo`; `decided` if somebody has done something
    to the case since.
    """
    mine = Decision.objects.filter(reviewer=reviewer, kind__in=Decision.CAN_BE_UNDONE, undone_by__isnull=True)
    last = mine.order_by("-id").first()
    if last is None:
        raise Refusal("nothing-to-undo", "There is nothing that you could undo.", status=409)
    return bulk_undo(last.bulk, reviewer)[0] if last.bulk else decision_undo(decision=last, reviewer=reviewer)


def bulk_undo(bulk: UUID, reviewer: User) -> list[Decision]:
    """Takes back what this reviewer decided at once, as far as nobody has done anything to those cases since.

    Raises `Refusal` `nothing-to-undo`.
    """
    undone = []
    with transaction.atomic():
        for decision in Decision.objects.filter(bulk=bulk, reviewer=reviewer, undone_by__isnull=True).exclude(
            kind=Decision.Kind.UNDO
        ):
            try:
                with transaction.atomic():
                    undone.append(decision_undo(decision=decision, reviewer=reviewer))
            except Refusal:
                continue
    if not undone:
        raise Refusal("nothing-to-undo", "There is nothing left of it that you could undo.", status=409)
    return undone


def decision_undo(*, decision: Decision, reviewer: User) -> Decision:
    """Takes back one decision. Raises `Refusal`: `not-yours`, `decided`, `claimed`."""
    if decision.reviewer_id != reviewer.pk:
        raise Refusal("not-yours", "Only who decided can undo it; a lead can reopen the case.", status=403)
    with _change():
        case = _locked(decision.case_id)
        require_free(case, reviewer)
        standing = effective(case.decisions.all())
        if not standing or standing[-1].pk != decision.pk:
            message = "It was undone, or somebody has done something to the case since."
            raise Refusal("decided", message, status=409)
        return _add(case, reviewer, Decision.Kind.UNDO, undoes=decision)


def case_reopen(*, case_id: int, reviewer: User, note: str = "") -> Decision:
    """Puts a case back into the queue, whatever was decided.

    Raises `Refusal`: `no-such-case`, `not-decided`, `note-too-long`.
    """
    _require_short_note(note)
    with _change():
        case = _locked(case_id)
        if case.state == Case.State.OPEN:
            raise Refusal("not-decided", "The case is open already.", status=409)
        return _add(case, reviewer, Decision.Kind.REOPEN, note=note)


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
    reviewer: User,
    kind: Decision.Kind,
    *,
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
        prediction_id=case.prediction_id,
        predicted_label=case.predicted_label,
        score=case.score,
        model_version=case.model_version,
    )
    decision.save()
    _write_down(case)
    return decision


def _write_down(case: Case) -> None:
    """Copies what the decisions say to the case itself, and gives it free."""
    rows = list(case.decisions.select_related("reviewer"))
    standing = effective(rows)
    last = standing[-1] if standing else None
    is_decided = last is not None and last.kind in Decision.VERDICTS
    case.decision_count = len(rows)
    case.state = Case.State.OPEN if last is None else Case.State.DECIDED if is_decided else Case.State.FLAGGED
    case.verdict = last.kind if last and is_decided else ""
    case.label = last.label if last and is_decided else ""
    case.decided_by = last.reviewer if last and is_decided else None
    case.decided_at = last.created_at if last and is_decided else None
    case.claimed_by = case.claimed_until = None
    case.save()
