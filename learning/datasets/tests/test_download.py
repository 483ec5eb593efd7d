"""Range requests for a file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from learning.datasets import download
from learning.datasets.download import ByteRange, RangeNotSatisfiable, requested_range, resumable

CONTENT = bytes(range(100))
MODIFIED = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
DATE = "Sat, 14 Mar 2026 15:09:26 GMT"
ETAG = '"abc"'


def _ask(method: str = "GET", **headers: str) -> tuple[HttpResponseBase, BytesIO]:
    file = BytesIO(CONTENT)
    request = RequestFactory().generic(method, "/", headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = resumable(
        request,
        file,
        size=len(CONTENT),
        etag="abc",
        modified=MODIFIED,
        file_name="cases.zip",
        content_type="application/zip",
    )
    return response, file


def _close(response: HttpResponseBase) -> None:
    """Closes the response like the server, but does not send Django's `request_finished` signal."""
    for close in response._resource_closers:  # type: ignore[attr-defined]
        close()


def _body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else response.content


def test_serves_the_whole_file() -> None:
    response, file = _ask()
    assert response.status_code == 200
    assert _body(response) == CONTENT
    assert dict(response.headers) == {
        "ETag": ETAG,
        "Last-Modified": DATE,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/zip",
        "Content-Disposition": 'attachment; filename="cases.zip"',
        "Content-Length": "100",
    }
    _close(response)
    assert file.closed


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=90-1000000", 90, 99),
        ("bytes=99-99", 99, 99),
        ("bytes=-1", 99, 99),
        ("bytes=-1000", 0, 99),
        ("BYTES= 1-2 ", 1, 2),
    ],
)
def test_serves_a_range(asked: str, start: int, end: int) -> None:
    response, file = _ask(Range=asked)
    assert response.status_code == 206
    assert _body(response) == CONTENT[start : end + 1]
    assert response["Content-Range"] == f"bytes {start}-{end}/100"
    assert response["Content-Length"] == str(end + 1 - start)
    assert (response["ETag"], response["Accept-Ranges"]) == (ETAG, "bytes")
    assert "attachment" in response["Content-Disposition"]
    _close(response)
    assert file.closed


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={'9' * 30}-"])
def test_range_beyond_the_end_is_416(asked: str) -> None:
    response, file = _ask(Range=asked)
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */100")
    assert file.closed and "ETag" not in response


@pytest.mark.parametrize(
    "asked",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=2-1", "bytes=0-1,3-4", "items=0-1", "bytes=0-1x", "0-1"]
    + ["bytes=\u0661-\u0662", "bytes=1_0-", "bytes=+1-2", f"bytes={'9' * 5000}-"],
)
def test_ignores_invalid_range(asked: str) -> None:
    response, _file = _ask(Range=asked)
    assert (response.status_code, _body(response)) == (200, CONTENT)


@pytest.mark.parametrize("condition", [ETAG, DATE])
def test_if_range_of_the_same_file_serves_the_range(condition: str) -> None:
    response, _file = _ask(Range="bytes=50-", If_Range=condition)
    assert (response.status_code, _body(response)) == (206, CONTENT[50:])


@pytest.mark.parametrize(
    "condition", ['"abd"', f"W/{ETAG}", "abc", "Sat, 14 Mar 2026 15:09:25 GMT", "Sat, 14 Mar 2026 15:09:27 GMT", "x"]
)
def test_if_range_of_another_file_serves_all(condition: str) -> None:
    for asked in ("bytes=50-", "bytes=100-"):
        response, _file = _ask(Range=asked, If_Range=condition)
        assert (response.status_code, _body(response)) == (200, CONTENT)


def test_head_ignores_ranges() -> None:
    for headers in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=100-"}):
        response, file = _ask("HEAD", **headers)
        assert (response.status_code, _body(response), response["Content-Length"]) == (200, b"", "100")
        assert response["Accept-Ranges"] == "bytes" and file.closed


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": ETAG}, 304),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_Modified_Since": DATE}, 304),
        ({"If_Match": ETAG, "Range": "bytes=1-"}, 206),
        ({"If_Match": '"other"', "Range": "bytes=1-"}, 412),
        ({"If_Unmodified_Since": "Sat, 14 Mar 2026 15:09:25 GMT"}, 412),
    ],
)
def test_conditional_requests(headers: dict[str, str], status: int) -> None:
    response, file = _ask(**headers)
    assert response.status_code == status
    assert file.closed == (status in {304, 412})
    assert status != 304 or (response["ETag"], _body(response)) == (ETAG, b"")


def test_range_may_be_larger_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download._Stream, "block_size", 7)
    response, _file = _ask(Range="bytes=3-80")
    blocks = list(response)
    assert b"".join(blocks) == CONTENT[3:81] and {len(block) for block in blocks[:-1]} == {7}


@given(
    header=st.text(max_size=30)
    | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True)
    | st.from_regex(re.compile(r"(bytes|[a-z]*)= *[0-9]*-[0-9]*(, *[0-9]*-[0-9]*)*", re.ASCII), fullmatch=True),
    size=st.integers(0, 2000),
)
def test_any_header_gives_a_range_inside_the_file(header: str, size: int) -> None:
    try:
        part = requested_range(header, size)
    except RangeNotSatisfiable:
        return
    if part is not None:
        assert 0 <= part.start < part.start + part.length <= size


@given(first=st.integers(0, 1500), last=st.integers(0, 1500), size=st.integers(1, 1000))
def test_range_equals_a_slice(first: int, last: int, size: int) -> None:
    whole = range(size)
    expected = whole[first : last + 1]
    try:
        part = requested_range(f"bytes={first}-{last}", size)
    except RangeNotSatisfiable:
        assert first >= size
    else:
        assert part == (None if last < first else ByteRange(expected.start, len(expected)))


@given(cuts=st.lists(st.integers(1, 99), max_size=5))
def test_resumed_downloads_join_to_the_whole_file(cuts: list[int]) -> None:
    received = b""
    for end in [*sorted(cuts), 100]:
        response, _file = _ask(Range=f"bytes={len(received)}-", If_Range=ETAG)
        if len(received) < 100:
            received += _body(response)[: end - len(received)]
    assert received == CONTENT
