"""What the admin's start page shows of the reviewing desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time

from django import template
from django.contrib.auth.models import User
from django.db.models import Count
from django.utils import timezone

from review.counting import state_counts
from review.models import Decision

register = template.Library()

RECENT = 10  # decisions shown


@dataclass(frozen=True)
class DeskSummary:
    """The work that waits, and the number of cases that one reviewer has decided today, in UTC."""

    open: int
    flagged: int
    decided_today: int


@register.simple_tag
def desk_summary(reviewer: User) -> DeskSummary:
    counts = state_counts()
    today = datetime.combine(timezone.now().date(), time(), UTC)
    verdicts = Decision.objects.filter(reviewer=reviewer, kind__in=Decision.VERDICTS, undone_by__isnull=True)
    decided = verdicts.filter(created_at__gte=today).aggregate(cases=Count("case", distinct=True))["cases"]
    return DeskSummary(counts["open"], counts["flagged"], decided)


@register.simple_tag
def recent_decisions(reviewer: User) -> list[Decision]:
    return list(Decision.objects.filter(reviewer=reviewer).order_by("-id")[:RECENT])
