"""Counts people instead of statements.

A person may make several statements about one image: one about each time it was sent. And they may pretend to be
several people, because API clients name their authors freely. So the clients of one network also count as one sender.
"""

from __future__ import annotations

from typing import Any

from django.db.models import CharField, Count, Value
from django.db.models.functions import Cast, Coalesce, NullIf

# A statement without an author counts as one person.
_PERSON = Coalesce(NullIf("author", Value("")), Cast("pk", CharField()))
_SENDER = Coalesce(NullIf("sender", Value("")), _PERSON)


def number_of_people(**options: Any) -> Count:
    """Returns the number of authors, for a query of `Feedback`."""
    return Count(_PERSON, distinct=True, **options)


def number_of_senders(**options: Any) -> Count:
    """Returns the number of visitors and of networks of API clients, for a query of `Feedback`."""
    return Count(_SENDER, distinct=True, **options)
