"""System checks of the mirror (`manage.py check`; with `--database default` also what is missing in it)."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError
from django.utils import timezone

from feedback import mirror
from feedback.models import Feedback

HINT = "Mend it, then run: manage.py feedback_mirror --rebuild"


@register()
def mirror_can_be_written(**_: Any) -> list[CheckMessage]:
    problem = mirror.problem()
    return (
        [Warning(f"The feedback mirror cannot be written: {problem}", hint=HINT, id="feedback.W001")] if problem else []
    )


@register(Tags.database)
def mirror_is_complete(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    if not databases:
        return []
    try:
        missing = Feedback.objects.not_mirrored().filter(created_at__lt=timezone.now() - mirror.UNDER_WAY).count()
    except DatabaseError:
        return []  # not migrated yet; what is wrong with the database itself is for Django's own checks
    if not missing:
        return []
    return [Warning(f"{missing} statements are missing in the feedback mirror.", hint=HINT, id="feedback.W002")]
