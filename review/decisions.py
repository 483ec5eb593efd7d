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
from review.case_labels import AnsweredLabels, CurrentLabels, labels_of
from review.claims import require_free
from review.history import (
    add_row,
    adding_to_history,
    lock_case,
    picture_erased,
    require_short_note,
    row_with_key,
)
from review.label_wording import quoted
from review.models import Case, Decision, Skip
from worker.inference.repository.labels import problem_of_text

LABEL_MAX_LENGTH = 200


@dataclass(frozen=True)
class DecisionRequest:
    """The decision that a reviewer asks for. `kind` is one of `Decision.CAN_BE_UNDONE`, or `ACCEPT`.

    `label` is what the picture shows; only `corrected` and `no-label` use it. `corrected` needs one of the
    labels that the case is decided with; see `review.case_labels`. If the model said it, the decision becomes `right`.
    If it names no label and `may_propose` is set, the decision becomes `no-label`, which proposes the text as a label.
    `accept` corrects to the label that most people expect. `flagged` needs a note.
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
    """The state of a case as the reviewer's page showed it: the length of its history, and the answer under review.

    `labels`: the active version, if the page offered its labels; empty if it offered those of the version that
    answered; `None` if it does not say.
    """

    decision_count: int
    prediction: UUID
    labels: str | None = None

    def is_still(self, case: Case, case_labels: AnsweredLabels) -> bool:
        if self.labels is not None and self.labels != case_labels.version_name:
            return False
        return (self.decision_count, self.prediction) == (case.decision_count, case.prediction_id)


def case_decide(
    *, case_id: int, reviewer: User, verdict: DecisionRequest, seen: SeenState | None = None, key: UUID | None = None
) -> Decision:
    """Decides a case and releases it. The reviewer needs no claim, as long as nobody else has one.

    Raises `RequestRejected`: `no-such-case`; `decided` or `changed` if the case differs from what the reviewer has
    `seen`; `claimed` if somebody else has claimed it; `unknown-verdict`, `unknown-label`, `label-needed`,
    `label-changed`, `no-expected-label`, `note-needed`, `note-too-long`.
    """
    with adding_to_history():
        return decide_within(case_id, reviewer, verdict, seen, key, CurrentLabels())


def decide_within(
    case_id: int,
    reviewer: User,
    verdict: DecisionRequest,
    seen: SeenState | None,
    key: UUID | None,
    current: CurrentLabels,
    bulk: UUID | None = None,
) -> Decision:
    """Decides a case as `case_decide` does, within the caller's `adding_to_history` block.

    `current`: the same for many cases, so that the labels are looked up once.
    """
    require_short_note(verdict.note)
    case, history = lock_case(case_id)
    earlier = row_with_key(history, reviewer, key)
    if earlier and _is_result_of(earlier, case, verdict):
        return earlier
    case_labels = current.of(case)
    result = outcome(case, case_labels, reviewer, verdict, seen)
    if result.named:
        case.label_set = case_labels.label_set()
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


def outcome(
    case: Case, case_labels: AnsweredLabels, reviewer: User, verdict: DecisionRequest, seen: SeenState | None = None
) -> DecisionOutcome:
    """Returns the decision that `case_decide` would store. Changes nothing.

    `case_labels`: the labels that the case is decided with. Raises what `case_decide` raises.
    """
    _require_unchanged(case, case_labels, seen)
    require_free(case, reviewer)
    return _outcome(case, case_labels, verdict)


def _is_result_of(decision: Decision, case: Case, verdict: DecisionRequest) -> bool:
    """Whether this request led to the decision. The key alone does not tell: all buttons of a form share it."""
    if decision.note != verdict.note.strip():
        return False
    if verdict.kind == DecisionRequest.ACCEPT:
        return decision.kind in {Decision.Kind.RIGHT, Decision.Kind.CORRECTED}
    if verdict.kind == Decision.Kind.CORRECTED:
        return bool(decision.named) and _is_named(decision, case, verdict.label.strip())
    return decision.kind == verdict.kind


def _is_named(decision: Decision, case: Case, text: str) -> bool:
    """Whether a text names the label or the proposal of a decision, in the labels that it was decided with."""
    if decision.named == text:
        return True
    if decision.label_set_id is None:
        return decision.named == labels.match(text, decision.prediction)
    return decision.named == labels_of(case).match(text)


def _require_unchanged(case: Case, case_labels: AnsweredLabels, seen: SeenState | None) -> None:
    """Raises `RequestRejected` `decided`, `erased` or `changed`."""
    if case.state == Case.State.DECIDED:
        name = case.decided_by.get_username() if case.decided_by else "somebody else"
        what = f"{case.get_verdict_display()}: {visible(case.named)}" if case.named else case.get_verdict_display()
        message = f"Already decided by {name} ({what}). Your verdict wasn't saved; theirs stands."
        raise RequestRejected("decided", message, status=409)
    if case.state == Case.State.ERASED:
        raise picture_erased()
    if seen is not None and not seen.is_still(case, case_labels):
        raise RequestRejected("changed", "This case has changed since you opened it. Please look again.", status=409)


def _outcome(case: Case, case_labels: AnsweredLabels, verdict: DecisionRequest) -> DecisionOutcome:
    if verdict.kind == Decision.Kind.RIGHT:
        return DecisionOutcome(Decision.Kind.RIGHT, case_labels.label_of(case.predicted_label))
    if verdict.kind == Decision.Kind.CORRECTED:
        return _corrected(case_labels, verdict.label.strip(), verdict.may_propose)
    if verdict.kind == Decision.Kind.NO_LABEL:
        return _proposed(verdict.label.strip())
    if verdict.kind == DecisionRequest.ACCEPT:
        if not case.expected_label:
            raise RequestRejected("no-expected-label", "Nobody has said what it is.")
        return _corrected(case_labels, case_labels.label_of(case.expected_label), may_propose=False)
    if verdict.kind == Decision.Kind.UNUSABLE:
        return DecisionOutcome(Decision.Kind.UNUSABLE)
    if verdict.kind == Decision.Kind.FLAGGED:
        if not verdict.note.strip():
            raise RequestRejected("note-needed", "A flag needs a note: what should somebody look at?")
        return DecisionOutcome(Decision.Kind.FLAGGED)
    raise RequestRejected("unknown-verdict", f"“{verdict.kind[:40]}” is not a verdict.")


def _corrected(case_labels: AnsweredLabels, text: str, may_propose: bool) -> DecisionOutcome:
    _require_label_text(text)
    if label := case_labels.match(text):
        kind = Decision.Kind.RIGHT if case_labels.is_answer(label) else Decision.Kind.CORRECTED
        return DecisionOutcome(kind, label)
    if several := case_labels.several(text):
        names = " or ".join(quoted(label) for label in several[:5])
        raise RequestRejected("unknown-label", f"“{text[:100]}” may be {names}. Please choose one of them.")
    if may_propose:
        return _proposed(text)
    raise RequestRejected("unknown-label", f"We have no label “{text[:100]}”.")


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
