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
from predictions.visible_text import visible
from review import returned_cases
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
from worker.inference.repository.labels import problem_of_text

LABEL_MAX_LENGTH = 200


@dataclass(frozen=True)
class DecisionRequest:
    """The decision that a reviewer asks for. `kind` is one of `Decision.CAN_BE_UNDONE`, or `ACCEPT`.

    `label` is what the picture shows; only `corrected` and `no-label` use it. `corrected` needs a label of the model
    version that answered. If the model said it, the decision becomes `right`. If it names no label and
    `may_propose` is set, the decision becomes `no-label`, which proposes the text as a label. `accept` corrects to the
    label that most people expect. `flagged` needs a note.
    """

    ACCEPT: ClassVar = "accept"

    kind: str
    label: str = ""
    note: str = ""
    may_propose: bool = False


@dataclass(frozen=True)
class DecisionOutcome:
    """What a request leads to: the kind of the decision, and its label or the proposed one."""

    kind: Decision.Kind
    label: str = ""
    proposed_label: str = ""

    @property
    def named(self) -> str:
        return self.label or self.proposed_label


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
    `label-changed`, `no-expected-label`, `note-needed`, `note-too-long`.
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
    if earlier and _is_result_of(earlier, case, verdict):
        return earlier
    result = outcome(case, reviewer, verdict, seen)
    returned_cases.use_current_labels(case)
    decision = add_row(
        case,
        history,
        reviewer,
        result.kind,
        label=result.label,
        proposed_label=result.proposed_label,
        note=verdict.note,
        key=key,
        bulk=bulk,
    )
    Skip.objects.filter(case=case, reviewer=reviewer).delete()
    return decision


def outcome(case: Case, reviewer: User, verdict: DecisionRequest, seen: SeenState | None = None) -> DecisionOutcome:
    """Returns the decision that `case_decide` would store. Changes nothing.

    Raises what `case_decide` raises.
    """
    _require_unchanged(case, seen)
    require_free(case, reviewer)
    return _outcome(case, verdict)


def known_label(case: Case, text: str) -> str | None:
    """Returns the label that a text names; otherwise `None`.

    Labels are those of the model version that answered, and those that people expect: their statements may be about the
    answers of other versions. A case that came back because labels changed is decided with the labels of the active
    version.
    """
    if returned_cases.has_returned(case):
        return returned_cases.match(case, text)
    if text in {case.predicted_label, case.expected_label}:
        return text
    if label := labels.match(text, case.prediction):
        return label
    return text if text in case.people_expect else None


def _is_result_of(decision: Decision, case: Case, verdict: DecisionRequest) -> bool:
    """Whether this request led to the decision. The key alone does not tell: all buttons of a form share it."""
    if decision.note != verdict.note.strip():
        return False
    if verdict.kind == DecisionRequest.ACCEPT:
        return decision.kind in {Decision.Kind.RIGHT, Decision.Kind.CORRECTED}
    if verdict.kind == Decision.Kind.CORRECTED:
        text = verdict.label.strip()
        if returned_cases.has_returned(case):
            return bool(decision.named) and decision.named in {text, returned_cases.match(case, text)}
        return bool(decision.named) and decision.named in {text, labels.match(text, decision.prediction)}
    return decision.kind == verdict.kind


def _require_unchanged(case: Case, seen: SeenState | None) -> None:
    """Raises `RequestRejected` `decided`, `erased` or `changed`."""
    if case.state == Case.State.DECIDED:
        name = case.decided_by.get_username() if case.decided_by else "somebody else"
        what = f"{case.get_verdict_display()}: {visible(case.named)}" if case.named else case.get_verdict_display()
        message = f"Already decided by {name} ({what}). Your verdict wasn't saved; theirs stands."
        raise RequestRejected("decided", message, status=409)
    if case.state == Case.State.ERASED:
        raise picture_erased()
    if seen is not None and seen != SeenState.of(case):
        raise RequestRejected("changed", "This case has changed since you opened it. Please look again.", status=409)


def _outcome(case: Case, verdict: DecisionRequest) -> DecisionOutcome:
    if verdict.kind == Decision.Kind.RIGHT:
        label = returned_cases.confirmed_label(case) if returned_cases.has_returned(case) else case.predicted_label
        return DecisionOutcome(Decision.Kind.RIGHT, label)
    if verdict.kind == Decision.Kind.CORRECTED:
        return _corrected(case, verdict.label.strip(), verdict.may_propose)
    if verdict.kind == Decision.Kind.NO_LABEL:
        return _proposed(verdict.label.strip())
    if verdict.kind == DecisionRequest.ACCEPT:
        if not case.expected_label:
            raise RequestRejected("no-expected-label", "Nobody has said what it is.")
        return _corrected(case, case.expected_label, may_propose=False)
    if verdict.kind == Decision.Kind.UNUSABLE:
        return DecisionOutcome(Decision.Kind.UNUSABLE)
    if verdict.kind == Decision.Kind.FLAGGED:
        if not verdict.note.strip():
            raise RequestRejected("note-needed", "A flag needs a note: what should somebody look at?")
        return DecisionOutcome(Decision.Kind.FLAGGED)
    raise RequestRejected("unknown-verdict", f"“{verdict.kind[:40]}” is not a verdict.")


def _corrected(case: Case, text: str, may_propose: bool) -> DecisionOutcome:
    _require_label_text(text)
    if label := known_label(case, text):
        return DecisionOutcome(Decision.Kind.RIGHT if _is_answer(case, label) else Decision.Kind.CORRECTED, label)
    if may_propose:
        return _proposed(text)
    raise RequestRejected("unknown-label", f"We have no label “{text[:100]}”.")


def _is_answer(case: Case, label: str) -> bool:
    """Whether the model said this label, or a word that may mean it."""
    if returned_cases.has_returned(case):
        return returned_cases.is_answer(case, label)
    meant = labels.meant_by(case.predicted_label, case.model_version)
    return label in {case.predicted_label, *(one.display_name for one in meant)}


def _proposed(text: str) -> DecisionOutcome:
    _require_label_text(text)
    if problem := problem_of_text(text):
        raise RequestRejected("unknown-label", f"That cannot be a label: it {problem}.")
    return DecisionOutcome(Decision.Kind.NO_LABEL, proposed_label=text)


def _require_label_text(text: str) -> None:
    if not text:
        raise RequestRejected("label-needed", "Which label is it?")
    if len(text) > LABEL_MAX_LENGTH:
        raise RequestRejected("unknown-label", f"“{text[:100]}…” is longer than any label.")
