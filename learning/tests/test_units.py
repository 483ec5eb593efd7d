from __future__ import annotations

import pytest

from learning.templatetags.units import file_size, milliseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.56, "1,234.6 ms"),
        (4, "4.0 ms"),
        (0.84, "0.84 ms"),
        (0.094, "0.094 ms"),
        (0.0004, "0.000 ms"),
        (0, "0.0 ms"),
        (None, "–"),
    ],
)
def test_milliseconds_have_two_significant_digits(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (49_150, "49.1 kB"),
        (100_000, "0.1 MB"),
        (21_630_000, "21.6 MB"),
        (4_300_000_000, "4.3 GB"),
    ],
)
def test_sizes_say_something_however_small(size: int, text: str) -> None:
    assert file_size(size) == text
