"""Cells of CSV files are never formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.csv_files import neutral, read_rows


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_formula_becomes_text(start: str) -> None:
    assert neutral(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\u200b", "\ufeff", "\x00", " \u2060"])
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_formula_after_something_invisible_becomes_text(before: str, start: str) -> None:
    assert neutral(f"{before}{start}1+1") == f"'{before}{start}1+1"


@given(st.text())
def test_other_text_is_unchanged_and_escaping_is_idempotent(cell: str) -> None:
    assert neutral(cell) in {cell, f"'{cell}"}
    assert neutral(cell)[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
    assert neutral(neutral(cell)) == neutral(cell)


def test_empty_cell_is_unchanged() -> None:
    assert neutral("") == ""


@pytest.mark.parametrize("cell", ["=1+1", "-5", "'quoted'", "cup"])
def test_reading_undoes_it(cell: str) -> None:
    assert read_rows(f"{neutral(cell)},next".encode()) == [(1, [cell, "next"])]
