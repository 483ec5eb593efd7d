from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.csv_cells import neutral


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_could_be_a_formula_is_text(start: str) -> None:
    assert neutral(f"{start}1+1") == f"'{start}1+1"


@given(st.text())
def test_everything_else_stays(cell: str) -> None:
    assert neutral(cell) in {cell, f"'{cell}"}
    assert neutral(cell)[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
    assert neutral(neutral(cell)) == neutral(cell)


def test_empty() -> None:
    assert neutral("") == ""
