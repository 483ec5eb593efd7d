"""Claims: a case is reserved for the reviewer who looks at it, for `REVIEW_CLAIM_MINUTES`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from predictions.exceptions import RequestRejected
from review.filters import Filters
from review.models import Case, CaseQuerySet, Skip


def claim_next(reviewer: User, *, filters: Filters | None = None, besides: Collection[int] = ()) -> Case | None:
    """Claims the case that `reviewer` should look at next. Returns `None` if there is none.

    `filters` narrow and order the cases: the flagged ones if the filters ask for that state, otherwise the open ones.
    `besides` are cases to leave out. A case that the reviewer has claimed already comes first;
    cases that they have skipped come last. Two reviewers never get the same case: PostgreSQL locks the row and skips
    locked ones, and SQLite runs writing transactions one after the other.
    """
    filters = (filters or Filters()).of_undecided()
    state = Case.State.FLAGGED if filters.state == Case.State.FLAGGED else Case.State.OPEN
    cases = filters.apply_values(Case.objects.filter(state=state)).exclude(pk__in=besides).order_by(*filters.columns)
    with transaction.atomic():
        now = timezone.now()
        found = (
            _first(cases.filter(claimed_by=reviewer, claimed_until__gt=now))
            or _first(cases.free(now).not_skipped_by(reviewer))
            or _first(cases.free(now).order_by("skips__created_at").filter(skips__reviewer=reviewer))
        )
        if found is None:
            return None
        Case.objects.filter(pk=found).update(claimed_by=reviewer, claimed_until=now + _duration())
    return Case.objects.select_related("image", "prediction").get(pk=found)


def _first(cases: CaseQuerySet) -> int | None:
    if connection.features.has_select_for_update_skip_locked:
        cases = cases.select_for_update(skip_locked=True, of=("self",))
    return cases.values_list("pk", flat=True).first()


def claim(case: Case, reviewer: User) -> bool:
    """Claims a case for `reviewer`, or renews their claim. Returns whether they have claimed it now.

    Nobody can claim a decided or an erased case, or a case that somebody else has claimed. A claim that has more than
    half of its time left is not renewed.
    """
    now = timezone.now()
    if case.state in Case.SETTLED:
        return False
    if case.claimed_by_id == reviewer.pk and case.is_claimed_at(now + _duration() / 2):
        return True
    available = Q(claimed_by=reviewer) | Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    undecided = Case.objects.filter(available, pk=case.pk).exclude(state__in=Case.SETTLED)
    is_claimed = bool(undecided.update(claimed_by=reviewer, claimed_until=now + _duration()))
    if is_claimed:
        case.claimed_by, case.claimed_until = reviewer, now + _duration()
    return is_claimed


def require_free(case: Case, reviewer: User) -> None:
    """Raises `RequestRejected` `claimed` if somebody else has claimed the case."""
    if case.is_claimed_at(timezone.now()) and case.claimed_by_id != reviewer.pk:
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


def release(case_id: int, reviewer: User) -> None:
    """Ends the reviewer's claim of a case, if they have one."""
    Case.objects.filter(pk=case_id, claimed_by=reviewer).update(claimed_by=None, claimed_until=None)


def _duration() -> timedelta:
    return timedelta(minutes=settings.REVIEW_CLAIM_MINUTES)
