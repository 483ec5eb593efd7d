"""Decides or reopens many cases at once, and previews the result. Retries work as in `review.decisions`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import transaction

from feedback.models import Feedback
from predictions.exceptions import RequestRejected
from predictions.visible_text import visible
from review.case_labels import CurrentLabels
from review.decisions import DecisionRequest, SeenState, decide_within, outcome
from review.history import adding_to_history, require_picture, rows_with_key
from review.models import Case, Decision
from review.undoing import reopen_within, require_not_open

MAX_CASES = 500
REOPEN = "reopen"  # a kind that only bulk requests have

# Codes of the rejections that concern the whole request and not one of its cases.
_REQUEST_CODES = frozenset({"label-needed", "unknown-verdict", "note-needed"})


@dataclass
class BulkResult:
    """The rows that a bulk write `stored`, and the reason for each case that it `rejected`."""

    bulk: UUID
    stored: list[Decision] = field(default_factory=list)
    rejected: list[tuple[int, RequestRejected]] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """The effect of a bulk write on one case: `after` is its new state in words, `problem` the reason for no change."""

    case: Case
    after: str = ""
    problem: str = ""

    @property
    def token(self) -> str:
        """The case and the state in which it was seen, for the form that carries the plan out."""
        return f"{self.case.pk}:{self.case.decision_count}:{self.case.prediction_id}"


def cases_plan(*, case_ids: Sequence[int], reviewer: User, verdict: DecisionRequest) -> list[Plan]:
    """Returns what `cases_decide` or, for the kind `REOPEN`, `cases_reopen` would do. Changes nothing.

    Raises `RequestRejected`: `too-many`, or what makes the request invalid for every case.
    """
    require_not_too_many(case_ids)
    cases = Case.objects.select_related("image", "prediction", "claimed_by", "decided_by").in_bulk(list(case_ids))
    if verdict.label.strip():
        _load_expected(cases.values())
    current = CurrentLabels()
    plans: list[Plan] = []
    unknown_label = None
    for case in (cases[pk] for pk in dict.fromkeys(case_ids) if pk in cases):
        try:
            plans.append(Plan(case, after=_after(case, reviewer, verdict, current)))
        except RequestRejected as rejection:
            if rejection.code in _REQUEST_CODES:
                raise
            if rejection.code == "unknown-label":
                unknown_label = rejection
            plans.append(Plan(case, problem=rejection.message))
    # The cases may be decided with different labels.
    if unknown_label and not any(plan.after for plan in plans):
        raise unknown_label
    return plans


def _load_expected(cases: Collection[Case]) -> None:
    """Reads the labels that people expect, for all cases in one query."""
    expected: defaultdict[int | None, set[str]] = defaultdict(set)
    said = Feedback.objects.current().filter(image__in=[case.image_id for case in cases]).exclude(expected_label="")
    for image_id, label in said.order_by().values_list("image", "expected_label").distinct():
        expected[image_id].add(label)
    for case in cases:
        case.people_expect = frozenset(expected[case.image_id])


def _after(case: Case, reviewer: User, verdict: DecisionRequest, current: CurrentLabels) -> str:
    """Returns the new state of a case in words."""
    if verdict.kind == REOPEN:
        require_picture(case)
        require_not_open(case)
        return "open again"
    result = outcome(case, current.of(case), reviewer, verdict)
    title = str(result.kind.label)
    return f"{title}: {visible(result.named).replace('_', ' ')}" if result.named else title


def cases_decide(
    *, seen: Mapping[int, SeenState | None], reviewer: User, verdict: DecisionRequest, key: UUID | None = None
) -> BulkResult:
    """Gives many cases, named by their ids, the same verdict. Cases that cannot be decided stay unchanged.

    Raises `RequestRejected` `too-many`.
    """
    bulk = key or uuid4()
    current = CurrentLabels()
    return _for_each(
        seen, reviewer, bulk, lambda pk: decide_within(pk, reviewer, verdict, seen[pk], bulk, current, bulk)
    )


def cases_reopen(*, case_ids: Collection[int], reviewer: User, key: UUID | None = None) -> BulkResult:
    """Puts many cases back into the queue. Raises `RequestRejected` `too-many`."""
    bulk = key or uuid4()
    return _for_each(case_ids, reviewer, bulk, lambda pk: reopen_within(pk, reviewer, bulk))


def require_not_too_many(case_ids: Collection[int]) -> None:
    """Raises `RequestRejected` `too-many`."""
    if len(case_ids) > MAX_CASES:
        raise RequestRejected("too-many", f"At most {MAX_CASES} cases at once; you selected {len(case_ids)}.")


def _for_each(case_ids: Collection[int], reviewer: User, key: UUID, change: Callable[[int], Decision]) -> BulkResult:
    """Applies `change` to each case. A retry changes no case that the first attempt could not change."""
    require_not_too_many(case_ids)
    result = BulkResult(key)
    with transaction.atomic():
        earlier = set(rows_with_key(reviewer, key).values_list("pk", flat=True))
        for case_id in sorted(case_ids):  # in a fixed order, so that two bulk writes cannot deadlock
            try:
                with adding_to_history():
                    row = change(case_id)
                    if earlier and row.pk not in earlier:
                        raise RequestRejected("left-out", "The first attempt could not change it.", status=409)
                result.stored.append(row)
            except RequestRejected as rejection:
                result.rejected.append((case_id, rejection))
    return result
