"""Receivers of the signals of `predictions`: they erase what people have said about an erased picture."""

from __future__ import annotations

import secrets
from typing import Any

from django.utils import timezone

from feedback import mirror
from feedback.models import Feedback
from feedback.signals import feedback_withdrawn
from predictions.models import Image
from predictions.signals import Erasure


def erase_words(image: Image, erasure: Erasure, **_: Any) -> None:
    """Receives `predictions.signals.erasing`: erases words and authors. Verdicts and labels stay.

    An author is replaced by a random one, and so is a sender: statements of one person or of one network still count as
    such. If the picture stays, these statements do not count any more. Otherwise those who delete a picture and send it
    again would count as one more person each time.
    """
    statements = Feedback.objects.filter(image=image)
    if erasure.successor is None:
        if erasure.author:
            statements = statements.filter(author=erasure.author)
        else:
            statements = statements.filter(prediction__in=erasure.predictions)
    for sender in set(statements.exclude(sender="").values_list("sender", flat=True)):
        statements.filter(sender=sender).update(sender=secrets.token_hex(32))
    changes = {"image": erasure.successor} if erasure.successor else {"is_current": False}
    for author in set(statements.values_list("author", flat=True)):
        statements.filter(author=author).update(
            comment="",
            expected_words="",
            author=author and secrets.token_hex(32),
            erased_at=timezone.now(),
            **changes,
        )
    if erasure.successor is None:
        feedback_withdrawn.send(Feedback, image=image)


def remove_erased_lines(**_: Any) -> None:
    """Receives `predictions.signals.erasures_finishing`."""
    mirror.remove_erased()
