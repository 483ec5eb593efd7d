from types import SimpleNamespace
from typing import Any

import pytest

from mlsite.web.environ import wsgi_environ


def _scope(*headers: tuple[str, str], **changes: str) -> Any:
    request = {
        "server": "127.0.0.1:8000",
        "client": "192.0.2.1:4711",
        "method": "POST",
        "path": "/",
        "query_string": "a=%20b",
        "http_version": "1.1",
        "authority": None,
        "scheme": "http",
    }
    return SimpleNamespace(**(request | changes), headers=_Headers(headers))


class _Headers(dict[str, str]):
    """Granian's headers: `items` has repeated ones, and leaves out values that are not ASCII."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        super().__init__(headers)
        self._all = headers

    def items(self) -> Any:
        return [(name, value) for name, value in self._all if value.isascii()]


def test_describes_the_request() -> None:
    environ = wsgi_environ(_scope(("host", "example.org"), ("content-type", "a/b"), ("content-length", "3")))
    assert environ["REQUEST_METHOD"] == "POST"
    assert environ["QUERY_STRING"] == "a=%20b"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("127.0.0.1", "8000")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert (environ["HTTP_HOST"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("example.org", "a/b", "3")


def test_path_and_query_are_bytes_in_latin_1() -> None:
    environ = wsgi_environ(_scope(path="/ü", query_string="q=ü"))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/Ã¼", "q=Ã¼")


@pytest.mark.parametrize(("client", "address"), [("192.0.2.1:80", "192.0.2.1"), ("[2001:db8::1]:80", "2001:db8::1")])
def test_address_of_the_client_has_no_port(client: str, address: str) -> None:
    assert wsgi_environ(_scope(client=client))["REMOTE_ADDR"] == address


def test_joins_repeated_headers() -> None:
    headers = [("x-a", "1"), ("cookie", "a=1"), ("x-a", "2"), ("cookie", "b=2")]
    environ = wsgi_environ(_scope(*headers))
    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2", "a=1; b=2")


@pytest.mark.parametrize("name", ["X_Forwarded_For", "x_forwarded-for", "Content_Length"])
def test_ignores_headers_with_underscores(name: str) -> None:
    environ = wsgi_environ(_scope(("x-forwarded-for", "192.0.2.1"), (name.lower(), "198.51.100.9")))
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"
    assert "198.51.100.9" not in environ.values()


def test_keeps_an_idempotency_key_that_is_not_ascii() -> None:
    environ = wsgi_environ(_scope(("idempotency-key", "ü"), ("x-a", "ü")))
    assert environ["HTTP_IDEMPOTENCY_KEY"] == "?"
    assert "HTTP_X_A" not in environ
    assert wsgi_environ(_scope(("idempotency-key", "key")))["HTTP_IDEMPOTENCY_KEY"] == "key"
    assert "HTTP_IDEMPOTENCY_KEY" not in wsgi_environ(_scope())
