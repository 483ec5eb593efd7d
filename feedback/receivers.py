"""Receivers of the signals of `predictions`: they erase what people have said about an erased picture."""

from __future__ import annotations

import secrets
from typing import Any

from django.utils import timezone

from feedback import mirror
from feedback.models import Feedback
from predictions.models import Image
from predictions.signals import Erasure


def erase_words(image: Image, erasure: Erasure, **_: Any) -> None:
    """Receives `predictions.signals.erasing`: erases words and authors. Verdicts and labels stay.

    An author is replaced by a random one: their statements about the picture still count as those of one person.
    """
    statements = Feedback.objects.filter(image=image)
    if erasure.successor is None:
        if erasure.author:
            statements = statements.filter(author=erasure.author)
        else:
            statements = statements.filter(prediction__in=erasure.predictions)
    for author in set(statements.values_list("author", flat=True)):
        statements.filter(author=author).update(
            comment="",
            expected_words="",
            author=author and secrets.token_hex(32),
            sender="",
            erased_at=timezone.now(),
            image=erasure.successor or image,
        )


def remove_erased_lines(**_: Any) -> None:
    """Receives `predictions.signals.erasures_finishing`."""
    mirror.remove_erased()
