"""What the admin's start page shows of the reviewing desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from django import template
from django.contrib.auth.models import User
from django.utils import timezone

from review.counting import state_counts
from review.models import Decision

register = template.Library()

RECENT = 10  # decisions shown


@dataclass(frozen=True)
class DeskSummary:
    """The work that waits, and what one reviewer has done. `today` is the day in UTC."""

    open: int
    flagged: int
    decided_today: int
    recent: list[Decision]


@register.simple_tag
def desk_summary(reviewer: User) -> DeskSummary:
    counts = state_counts()
    today = datetime.combine(timezone.now().date(), time(), timezone.now().tzinfo)
    own = Decision.objects.filter(reviewer=reviewer).order_by("-id")
    decided = own.filter(kind__in=Decision.CAN_BE_UNDONE, undone_by__isnull=True, created_at__gte=today).count()
    return DeskSummary(counts["open"], counts["flagged"], decided, list(own[:RECENT]))
