"""Archives with fixed dates: their bytes depend on their content only."""

from __future__ import annotations

import shutil
import subprocess
import time
import zipfile
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.datasets.archive import Archive

# A name in a zip file has no NUL and no surrogate, and Python's reader takes a backslash for a slash on Windows.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\"), min_size=1, max_size=40)
FILES = {"a.txt": b"first", "folder/ü.bin": bytes(range(256)), "empty": b""}


def _archive(files: dict[str, bytes], *, streamed: frozenset[str] = frozenset()) -> bytes:
    result = BytesIO()
    with Archive(result) as archive:
        archive.add_folder("folder")
        for name, content in files.items():
            if name in streamed:
                with archive.open_entry(name) as entry:
                    for start in range(0, len(content), 3):
                        entry.write(content[start : start + 3])
            else:
                archive.add(name, content)
    return result.getvalue()


def _read(content: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def test_entries_have_fixed_dates_and_permissions() -> None:
    with ZipFile(BytesIO(_archive(FILES, streamed=frozenset({"a.txt"})))) as archive:
        assert archive.namelist() == ["folder/", *FILES]
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.compress_type == ZIP_STORED
            assert info.external_attr >> 16 == (0o40755 if info.is_dir() else 0o100644)


def test_same_content_makes_same_bytes_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    years = count(1990)
    monkeypatch.setattr(time, "localtime", lambda *_: (next(years), 1, 1, 0, 0, 0, 0, 1, 0))
    assert _archive(FILES, streamed=frozenset({"a.txt"})) == _archive(FILES, streamed=frozenset({"a.txt"}))


@given(files=st.dictionaries(NAMES, st.binary(max_size=100)), data=st.data())
def test_reads_back_any_files(files: dict[str, bytes], data: Any) -> None:
    streamed = data.draw(st.frozensets(st.sampled_from(sorted(files)))) if files else frozenset()
    assert _read(_archive(files, streamed=streamed)) == files


def test_entry_may_exceed_the_limit_of_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    for streamed in (frozenset[str](), frozenset(FILES)):
        assert _read(_archive(FILES, streamed=streamed)) == FILES


def test_adds_a_file_from_its_beginning() -> None:
    result, source = BytesIO(), BytesIO(b"x" * 3_000_000)
    source.seek(17)
    with Archive(result) as archive:
        archive.add_file("big", source)
    assert _read(result.getvalue()) == {"big": source.getvalue()}


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_info_zip_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(_archive(FILES, streamed=frozenset({"a.txt"})))
    result = subprocess.run(["unzip", "-t", path], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No errors detected" in result.stdout
