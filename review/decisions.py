"""Decides one case. `bulk` decides many, `undoing` takes decisions back, `history` stores the rows.

Every function that writes takes the `key` of the write. A client that loses the response sends the same write with the
same key: that retry changes nothing and returns the rows that the first attempt stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from django.contrib.auth.models import User

from predictions import labels
from predictions.exceptions import RequestRejected
from review.claims import require_free
from review.history import (
    add_row,
    adding_to_history,
    lock_case,
    picture_erased,
    require_short_note,
    row_with_key,
)
from review.models import Case, Decision, Skip

LABEL_MAX_LENGTH = 200


@dataclass(frozen=True)
class DecisionRequest:
    """The decision that a reviewer asks for. `kind` is one of `Decision.CAN_BE_UNDONE`, or `ACCEPT`.

    `label` is what the picture shows; only `corrected` uses it. If it equals the model's label, the decision becomes
    `right`. `accept` corrects to the label that most people expect. `flagged` needs a note.
    """

    ACCEPT: ClassVar = "accept"

    kind: str
    label: str = ""
    note: str = ""


@dataclass(frozen=True)
class SeenState:
    """The state of a case as the reviewer's page showed it: the length of its history, and the answer under review."""

    decision_count: int
    prediction: UUID

    @classmethod
    def of(cls, case: Case) -> SeenState:
        return cls(case.decision_count, case.prediction_id)


def case_decide(
    *, case_id: int, reviewer: User, verdict: DecisionRequest, seen: SeenState | None = None, key: UUID | None = None
) -> Decision:
    """Decides a case and releases it. The reviewer needs no claim, as long as nobody else has one.

    Raises `RequestRejected`: `no-such-case`; `decided` or `changed` if the case differs from what the reviewer has
    `seen`; `claimed` if somebody else has claimed it; `unknown-verdict`, `unknown-label`, `label-needed`,
    `no-expected-label`, `note-needed`, `note-too-long`.
    """
    with adding_to_history():
        return decide_within(case_id, reviewer, verdict, seen, key)


def decide_within(
    case_id: int,
    reviewer: User,
    verdict: DecisionRequest,
    seen: SeenState | None,
    key: UUID | None,
    bulk: UUID | None = None,
) -> Decision:
    """Decides a case as `case_decide` does, within the caller's `adding_to_history` block."""
    require_short_note(verdict.note)
    case, history = lock_case(case_id)
    earlier = row_with_key(history, reviewer, key)
    if earlier and _is_result_of(earlier, verdict):
        return earlier
    kind, label = outcome(case, reviewer, verdict, seen)
    decision = add_row(case, history, reviewer, kind, label=label, note=verdict.note, key=key, bulk=bulk)
    Skip.objects.filter(case=case, reviewer=reviewer).delete()
    return decision


def outcome(
    case: Case, reviewer: User, verdict: DecisionRequest, seen: SeenState | None = None
) -> tuple[Decision.Kind, str]:
    """Returns the kind and the label of the decision that `case_decide` would store. Changes nothing.

    Raises what `case_decide` raises.
    """
    _require_unchanged(case, seen)
    require_free(case, reviewer)
    return _kind_and_label(case, verdict)


def known_label(case: Case, text: str) -> str:
    """Returns the label that a text names. Raises `RequestRejected` `unknown-label`.

    Labels that the model answered or people expect stay known after their model version is uninstalled.
    """
    text = text.strip()
    if len(text) > LABEL_MAX_LENGTH:
        raise RequestRejected("unknown-label", f"“{text[:100]}…” is longer than any label.")
    labels_of_case = {case.predicted_label, case.expected_label, *(label for label, _score in case.prediction.top)}
    label = text if text in labels_of_case else labels.resolve(text)
    if not label:
        raise RequestRejected("unknown-label", f"We have no label “{text[:100]}”.")
    return label


def _is_result_of(decision: Decision, verdict: DecisionRequest) -> bool:
    """Whether this request led to the decision. The key alone does not tell: all buttons of a form share it."""
    if decision.note != verdict.note.strip():
        return False
    if verdict.kind == DecisionRequest.ACCEPT:
        return decision.kind in {Decision.Kind.RIGHT, Decision.Kind.CORRECTED}
    if verdict.kind == Decision.Kind.CORRECTED:
        text = verdict.label.strip()
        return bool(decision.label) and decision.label in {text, labels.resolve(text)}
    return decision.kind == verdict.kind


def _require_unchanged(case: Case, seen: SeenState | None) -> None:
    """Raises `RequestRejected` `decided`, `erased` or `changed`."""
    if case.state == Case.State.DECIDED:
        name = case.decided_by.get_username() if case.decided_by else "somebody else"
        what = f"{case.get_verdict_display()}: {case.label}" if case.label else case.get_verdict_display()
        message = f"Already decided by {name} ({what}). Your verdict wasn't saved; theirs stands."
        raise RequestRejected("decided", message, status=409)
    if case.state == Case.State.ERASED:
        raise picture_erased()
    if seen is not None and seen != SeenState.of(case):
        raise RequestRejected("changed", "This case has changed since you opened it. Please look again.", status=409)


def _kind_and_label(case: Case, verdict: DecisionRequest) -> tuple[Decision.Kind, str]:
    if verdict.kind == Decision.Kind.RIGHT:
        return Decision.Kind.RIGHT, case.predicted_label
    if verdict.kind == Decision.Kind.CORRECTED:
        if not verdict.label.strip():
            raise RequestRejected("label-needed", "Which label is it?")
        label = known_label(case, verdict.label)
        return (Decision.Kind.RIGHT if label == case.predicted_label else Decision.Kind.CORRECTED), label
    if verdict.kind == DecisionRequest.ACCEPT:
        if not case.expected_label:
            raise RequestRejected("no-expected-label", "Nobody has said what it is.")
        return _kind_and_label(case, DecisionRequest(Decision.Kind.CORRECTED, case.expected_label))
    if verdict.kind == Decision.Kind.UNUSABLE:
        return Decision.Kind.UNUSABLE, ""
    if verdict.kind == Decision.Kind.FLAGGED:
        if not verdict.note.strip():
            raise RequestRejected("note-needed", "A flag needs a note: what should somebody look at?")
        return Decision.Kind.FLAGGED, ""
    raise RequestRejected("unknown-verdict", f"“{verdict.kind[:40]}” is not a verdict.")
