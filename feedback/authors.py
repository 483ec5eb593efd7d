"""Identifies the author of feedback: enough to tell an author's second statement from another person's first."""

from __future__ import annotations

from django.http import HttpRequest

from predictions.client_address import client_address, client_network
from predictions.visitors import identity, known_visitor, remember, visitor

__all__ = ["api_client", "known_visitor", "remember", "visitor"]


def api_client(request: HttpRequest, name: str = "") -> str:
    """Returns the author id of an API client: from the name it gives, else its visitor cookie, else its address."""
    if name:
        return identity("key", name)
    return known_visitor(request) or identity("address", client_address(request))


def api_sender(request: HttpRequest, name: str = "") -> str:
    """Returns whose statements count as one sender's: those of an API client's network, whatever names it gives.

    Visitors are recognized by their cookie, so for them it is empty.
    """
    return "" if not name and known_visitor(request) else identity("network", client_network(request))
