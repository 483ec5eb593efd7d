"""Claims: a case is reserved for the reviewer who looks at it, for `REVIEW_CLAIM_MINUTES`.

The focus view also claims the cases that come next, so that a slow network delays nobody. Such a claim is *in advance*.
It keeps a case from others only as long as they find another one: they may take it over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from predictions.exceptions import RequestRejected
from review.filters import RETURNED, Filters
from review.models import Case, CaseQuerySet, Skip

LEFT_MAX = 1000


@dataclass(frozen=True)
class ClaimState:
    """Who has claimed a case, for one reviewer.

    `holder`: `me`, `other` or `nobody`; `decided` if the case needs no claim any more. `said`: the same in words.
    `seconds`: how long the claim lasts.
    """

    holder: Literal["me", "other", "nobody", "decided"]
    said: str
    seconds: int = 0


def undecided_cases(filters: Filters) -> CaseQuerySet:
    """Returns the cases within the filters that can be decided, in their order.

    These are the flagged ones or those that came back if the filters ask for that state, otherwise the open ones.
    """
    filters = filters.of_undecided()
    if filters.state == RETURNED:
        cases = Case.objects.returned()
    else:
        cases = Case.objects.filter(state="flagged" if filters.state == "flagged" else "open")
    return filters.apply_values(cases).order_by(*filters.columns)


def left_count(filters: Filters) -> int:
    """Returns how many cases can be decided within the filters, claimed or not. Counts up to `LEFT_MAX + 1`."""
    return undecided_cases(filters).order_by()[: LEFT_MAX + 1].count()


def claim_next(
    reviewer: User, *, filters: Filters | None = None, besides: Collection[int] = (), in_advance: bool = False
) -> Case | None:
    """Claims the case that `reviewer` should look at next. Returns `None` if there is none.

    `filters` narrow and order the cases, see `undecided_cases`. `besides` are cases to leave out. A case that the
    reviewer looks at already comes first; cases that they have skipped come last. If nothing else is left, they get a
    case that was claimed in advance, from the end of the queue.

    `in_advance`: the reviewer will look at the case later. Only cases that nobody has claimed can be claimed like this.

    Two reviewers never get the same case: PostgreSQL locks the row and skips locked ones, and SQLite runs writing
    transactions one after the other.
    """
    cases = undecided_cases(filters or Filters()).exclude(pk__in=besides)
    with transaction.atomic():
        now = timezone.now()
        mine = cases.filter(claimed_by=reviewer, claimed_until__gt=now)
        found = None if in_advance else _first(mine.exclude(claimed_in_advance=True))
        found = (
            found
            or _first(cases.free(now).not_skipped_by(reviewer))
            or _first(cases.free(now).order_by("skips__created_at").filter(skips__reviewer=reviewer))
        )
        if found is None and not in_advance:
            ahead = cases.filter(claimed_until__gt=now, claimed_in_advance=True).not_skipped_by(reviewer)
            found = _first(ahead.filter(claimed_by=reviewer)) or _first(ahead.reverse())
        if found is None:
            return None
        Case.objects.filter(pk=found).update(
            claimed_by=reviewer, claimed_until=now + _duration(), claimed_in_advance=in_advance
        )
    return Case.objects.select_related("image", "prediction").get(pk=found)


def _first(cases: CaseQuerySet) -> int | None:
    if connection.features.has_select_for_update_skip_locked:
        cases = cases.select_for_update(skip_locked=True, of=("self",))
    return cases.values_list("pk", flat=True).first()


def claim(case: Case, reviewer: User) -> bool:
    """Claims a case for `reviewer`, or renews their claim. Returns whether they have claimed it now.

    Nobody can claim a decided or an erased case, or a case that somebody else looks at. A claim that has more than half
    of its time left is not renewed.
    """
    now = timezone.now()
    if case.state in Case.SETTLED:
        return False
    is_mine = case.claimed_by_id == reviewer.pk and not case.claimed_in_advance
    if is_mine and case.is_claimed_at(now + _duration() / 2):
        return True
    is_free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    available = Case.objects.filter(is_free | Q(claimed_by=reviewer) | Q(claimed_in_advance=True), pk=case.pk)
    columns = {"claimed_by": reviewer, "claimed_until": now + _duration(), "claimed_in_advance": False}
    is_claimed = bool(available.exclude(state__in=Case.SETTLED).update(**columns))
    if is_claimed:
        for name, value in columns.items():
            setattr(case, name, value)
    return is_claimed


def claim_state(case: Case, reviewer: User) -> ClaimState:
    """Returns who has claimed the case now. `case` has its `claimed_by` and `decided_by` loaded."""
    now = timezone.now()
    if case.state in Case.SETTLED:
        who = f" by {case.decided_by}" if case.decided_by else ""
        return ClaimState("decided", f"{case.state}{who}")
    if case.claimed_until is None:
        return ClaimState("nobody", "not claimed")
    until = f"{case.claimed_until:%H:%M} UTC"
    seconds = max(0, int((case.claimed_until - now).total_seconds()))
    if case.is_looked_at_by_other(reviewer, now):
        return ClaimState("other", f"claimed by {case.claimed_by or 'somebody else'} until {until}", seconds)
    if case.claimed_by_id != reviewer.pk:
        return ClaimState("nobody", "not claimed")
    if not case.is_claimed_at(now):
        return ClaimState("nobody", f"your claim lapsed at {until}")
    return ClaimState("me", f"claimed by you until {until}", seconds)


def require_free(case: Case, reviewer: User) -> None:
    """Raises `RequestRejected` `claimed` if somebody else looks at the case."""
    if case.is_looked_at_by_other(reviewer, timezone.now()):
        name = case.claimed_by.get_username() if case.claimed_by else "Somebody else"
        raise RequestRejected("claimed", f"{name} is looking at this case now.", status=409)


def case_skip(*, case_id: int, reviewer: User, decision_count: int | None = None, key: UUID | None = None) -> None:
    """Releases the case and shows it to this reviewer after all others.

    Changes nothing if an earlier attempt had the same `key`, or if the case's history does not have the
    `decision_count` rows that the reviewer saw. Raises `RequestRejected` `no-such-case`.
    """
    with transaction.atomic():
        case = Case.objects.select_for_update(of=("self",)).filter(pk=case_id).first()
        if case is None:
            raise RequestRejected("no-such-case", "This case no longer exists.", status=404)
        has_changed = decision_count is not None and decision_count != case.decision_count
        if has_changed or (key is not None and case.skips.filter(reviewer=reviewer, key=key).exists()):
            return
        # One round trip, whether or not the reviewer has skipped the case before.
        Skip.objects.bulk_create(
            [Skip(case=case, reviewer=reviewer, key=key)],
            update_conflicts=True,
            unique_fields=["reviewer", "case"],
            update_fields=["created_at", "key"],
        )
        release(case.pk, reviewer)


def release(case_id: int, reviewer: User, *, only_in_advance: bool = False) -> None:
    """Ends the reviewer's claim of a case, if they have one."""
    claimed = Case.objects.filter(pk=case_id, claimed_by=reviewer)
    if only_in_advance:
        claimed = claimed.filter(claimed_in_advance=True)
    claimed.update(claimed_by=None, claimed_until=None, claimed_in_advance=None)


def _duration() -> timedelta:
    return timedelta(minutes=settings.REVIEW_CLAIM_MINUTES)
