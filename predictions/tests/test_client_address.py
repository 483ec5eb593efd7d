"""The address of the client, with and without proxies in between."""

from ipaddress import ip_network

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from predictions.client_address import client_address, client_network

PROXY = "10.0.0.1"


@pytest.fixture(autouse=True)
def proxies(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/24"), ip_network("fd00::/8")]


def _request(remote: str, forwarded: str | None = None) -> HttpRequest:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return RequestFactory(REMOTE_ADDR=remote).get("/", headers=headers)


@pytest.mark.parametrize("forwarded", [None, "", "192.0.2.1", "10.0.0.1", "192.0.2.1, 10.0.0.1"])
def test_ignores_the_header_of_a_client_that_is_no_proxy(forwarded: str | None) -> None:
    assert client_address(_request("203.0.113.7", forwarded)) == "203.0.113.7"


def test_ignores_the_header_by_default(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []
    assert client_address(_request("127.0.0.1", "192.0.2.1")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.1, 192.0.2.1", "192.0.2.1"),  # the client made up the first one
        ("10.0.0.9, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2,fd00::1", "192.0.2.1"),  # a chain of proxies
        ("10.0.0.7, 10.0.0.2", "10.0.0.7"),  # a client beside the proxies
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", PROXY),
        ("unknown", PROXY),
        ("192.0.2.1, unknown", PROXY),
        ("192.0.2.1,", PROXY),
        ("192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("192.0.2.256", PROXY),
        ("[", PROXY),
    ],
)
def test_takes_the_rightmost_address_that_is_no_trusted_proxy(forwarded: str, address: str) -> None:
    assert client_address(_request(PROXY, forwarded)) == address


def test_recognizes_a_proxy_by_its_mapped_address() -> None:
    assert client_address(_request("::ffff:10.0.0.1", "192.0.2.1")) == "192.0.2.1"


@pytest.mark.parametrize("remote", ["", "unix:", "not an address"])
def test_is_empty_if_the_server_does_not_know_it(remote: str) -> None:
    assert client_address(_request(remote, "192.0.2.1")) == ""
    assert client_network(_request(remote, "192.0.2.1")) == ""


def test_follows_a_limited_number_of_proxies() -> None:
    assert client_address(_request(PROXY, "192.0.2.1" + ", 10.0.0.3" * 10_000)) == "10.0.0.3"


@given(st.text())
def test_accepts_any_header(forwarded: str) -> None:
    assert client_address(_request(PROXY, forwarded))


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1:aaaa::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:bbbb::2", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
    ],
)
def test_a_network_is_one_ipv4_address_or_64_bits_of_ipv6(remote: str, network: str) -> None:
    assert client_network(_request(remote)) == network
