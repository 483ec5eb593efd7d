"""The network address of the client that sent a request.

Logs name the address (`client_address`). Limits count requests by its network (`client_network`).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# One subscriber usually has a whole IPv6 network of this size, and may change the address within it at any time.
_IPV6_PREFIX = 64

# The longest chain of proxies that is followed.
_MAX_HOPS = 10

# An address may come with a port: `192.0.2.1:4711` or `[2001:db8::1]:4711`.
_WITH_PORT = re.compile(r"\[(?P<ipv6>[^\]]*)\](?::\d+)?|(?P<ipv4>[\d.]+):\d+")


def client_address(request: HttpRequest) -> str:
    """Returns the address of the client, or an empty string if the server does not know it.

    It is the address of the connection. If that belongs to a proxy in `TRUSTED_PROXIES`, it is the rightmost address of
    `X-Forwarded-For` that does not: everything to the left of it comes from the client, who may have made it up.
    """
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]
    for sender in map(_parsed, reversed(forwarded)):
        # Without a sender, the proxy hides its client or the header is broken: the proxy counts as the client.
        if address is None or sender is None or not _is_trusted(address):
            break
        address = sender
    return "" if address is None else str(address)


def client_network(request: HttpRequest) -> str:
    """Returns what limits count as one client: an IPv4 address, or an IPv6 network of 64 bits.

    It is an empty string if the address is not known.
    """
    address = client_address(request)
    if ":" not in address:
        return address
    return str(ip_network((address, _IPV6_PREFIX), strict=False))


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Returns the address in one form: without port and zone, and as IPv4 if it is an IPv4 address in IPv6 notation."""
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match["ipv6"] or match["ipv4"] or ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)
