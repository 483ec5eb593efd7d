"""Claims: a case that a reviewer looks at is kept from the others for a while."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from predictions.exceptions import RequestRejected
from review.models import Case, CaseQuerySet, Skip
from review.orders import DEFAULT_ORDER, ORDERS


def claim_next(
    reviewer: User,
    *,
    order: str = DEFAULT_ORDER,
    state: str = Case.State.OPEN,
    within: CaseQuerySet | None = None,
    besides: Collection[int] = (),
) -> Case | None:
    """Claims the case that `reviewer` should look at next; `None` if there is none.

    `within` narrows the choice (the filters of the queue), `state` says whether it is of the open ones or of those that
    somebody has flagged; `besides` leaves out the case he looks at now. What he has claimed already comes first; what
    he has skipped comes last, when there is nothing else. Two reviewers never get the same case: the row is locked
    where the database can pass over the locked rows of others, and where it cannot (SQLite) transactions that write
    come one after the other.
    """
    cases = Case.objects.all() if within is None else within
    choice = cases.filter(state=state).exclude(pk__in=besides).order_by(*ORDERS[order].columns)
    with transaction.atomic():
        now = timezone.now()
        mine = set(Case.objects.filter(claimed_by=reviewer, claimed_until__gt=now).values_list("pk", flat=True))
        # Asked for by their keys: SQLite would rather read the whole queue in its order than sort these few.
        found = (
            (_first(choice.filter(pk__in=mine)) if mine.difference(besides) else None)
            or _first(choice.free(now).not_skipped_by(reviewer))
            or _first(choice.free(now).order_by("skips__created_at").filter(skips__reviewer=reviewer))
        )
        if found is None:
            return None
        Case.objects.filter(pk=found).update(claimed_by=reviewer, claimed_until=_until(now))
    return Case.objects.select_related("image", "prediction").get(pk=found)


def _first(cases: CaseQuerySet) -> int | None:
    if connection.features.has_select_for_update_skip_locked:
        cases = cases.select_for_update(skip_locked=True, of=("self",))
    return cases.values_list("pk", flat=True).first()


def claim(case: Case, reviewer: User) -> bool:
    """Keeps the case for `reviewer`, from now on for a while. Whether it is his: another's claim stands.

    A case that is decided already needs no claim.
    """
    now = timezone.now()
    mine = Case.objects.filter(Q(claimed_by=reviewer) | Q(claimed_until__isnull=True) | Q(claimed_until__lte=now))
    is_mine = (
        mine.filter(pk=case.pk).exclude(state=Case.State.DECIDED).update(claimed_by=reviewer, claimed_until=_until(now))
    )
    if is_mine:
        case.claimed_by, case.claimed_until = reviewer, _until(now)
    return bool(is_mine)


def require_free(case: Case, reviewer: User) -> None:
    """Raises `RequestRejected` `claimed` if somebody else looks at the case just now."""
    if case.is_claimed_at(timezone.now()) and case.claimed_by_id != reviewer.pk:
        who = case.claimed_by.get_username() if case.claimed_by else "Somebody else"
        raise RequestRejected("claimed", f"{who} is looking at this case now.", status=409)


def case_skip(*, case_id: int, reviewer: User, decision_count: int | None = None, key: UUID | None = None) -> None:
    """Gives the case back to the queue, and to this reviewer last of all.

    A retry with the same `key` changes nothing. Neither does a skip of a case whose history no longer has the
    `decision_count` rows that the reviewer saw.

    Raises `RequestRejected` `no-such-case`.
    """
    with transaction.atomic():
        case = Case.objects.select_for_update(of=("self",)).filter(pk=case_id).first()
        if case is None:
            raise RequestRejected("no-such-case", "There is no such case any more.", status=404)
        has_changed = decision_count is not None and decision_count != case.decision_count
        if has_changed or (key is not None and case.skips.filter(reviewer=reviewer, key=key).exists()):
            return
        # One round trip, whether the reviewer has skipped it before or not.
        Skip.objects.bulk_create(
            [Skip(case=case, reviewer=reviewer, key=key)],
            update_conflicts=True,
            unique_fields=["reviewer", "case"],
            update_fields=["created_at", "key"],
        )
        release(case.pk, reviewer)


def release(case_id: int, reviewer: User) -> None:
    """Gives the case back to the queue, if it is his."""
    Case.objects.filter(pk=case_id, claimed_by=reviewer).update(claimed_by=None, claimed_until=None)


def _until(now: datetime) -> datetime:
    return now + timedelta(minutes=settings.REVIEW_CLAIM_MINUTES)
