"""System checks of the mirror. `manage.py check --database default` also counts the missing lines."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError
from django.utils import timezone

from feedback import mirror
from feedback.models import Feedback

HINT = "Fix the cause, then run: manage.py feedback_mirror"


@register()
def mirror_can_be_written(**_: Any) -> list[CheckMessage]:
    problem = _problem()
    if problem is None:
        return []
    return [Warning(f"The feedback mirror cannot be written: {problem}", hint=HINT, id="feedback.W001")]


@register(Tags.database)
def mirror_is_complete(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    if not databases:
        return []
    overdue = timezone.now() - mirror.APPEND_TIME
    try:
        missing = Feedback.objects.not_mirrored().filter(created_at__lt=overdue).count()
    except DatabaseError:
        return []  # The tables do not exist yet. Django's own checks report other problems with the database.
    if not missing:
        return []
    return [Warning(f"Lines missing in the feedback mirror: {missing}.", hint=HINT, id="feedback.W002")]


def _problem() -> str | None:
    """Returns why the mirror cannot be written now, or `None`. Changes nothing."""
    path: Path = settings.FEEDBACK_FILE
    try:
        if path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
        folder = next(parent for parent in path.parents if parent.exists())
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"no permission to create files in {folder}"
        return "no space left on its disk" if os.statvfs(folder).f_bavail == 0 else None
    except OSError as error:
        return str(error)
