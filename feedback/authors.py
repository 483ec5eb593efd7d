"""Identifies the author of feedback: enough to tell an author's second statement from another person's first."""

from __future__ import annotations

from django.http import HttpRequest

from predictions.visitors import identity, known_visitor, remember, visitor

__all__ = ["api_client", "known_visitor", "remember", "visitor"]


def api_client(request: HttpRequest, name: str = "") -> str:
    """Returns the author id of an API client: from the name it gives, else its visitor cookie, else its address."""
    if name:
        return identity("key", name)
    return known_visitor(request) or identity("address", request.META.get("REMOTE_ADDR", ""))
