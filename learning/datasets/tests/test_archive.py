"""What we write is a zip file for everybody else."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.datasets.archive import Archive

# A name in a zip file has no NUL and no surrogate, and Python's reader takes a backslash for a slash on Windows.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\"), min_size=1, max_size=40)


def _archive(files: dict[str, bytes], *, limit: int | None = None, streamed: frozenset[str] = frozenset()) -> bytes:
    result = BytesIO()
    archive = Archive(result, BytesIO())
    if limit is not None:
        archive._limit = limit
    archive.add_folder("folder")
    for name, content in files.items():
        if name in streamed:
            with archive.entry(name) as entry:
                for start in range(0, len(content), 3):
                    entry.write(content[start : start + 3])
        else:
            archive.add(name, content)
    archive.finish()
    return result.getvalue()


def _read(content: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


FILES = {"a.txt": b"first", "folder/ü.bin": bytes(range(256)), "empty": b""}


def test_it_works() -> None:
    content = _archive(FILES, streamed=frozenset({"a.txt"}))
    assert _read(content) == FILES
    with ZipFile(BytesIO(content)) as archive:
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.compress_type == ZIP_STORED
            assert info.external_attr >> 16 == (0o40755 if info.is_dir() else 0o100644)


def test_no_files() -> None:
    assert _read(_archive({})) == {}


@given(files=st.dictionaries(NAMES, st.binary(max_size=100)), limit=st.integers(1, 200), data=st.data())
def test_any_files(files: dict[str, bytes], limit: int, data: Any) -> None:
    """`limit` makes small numbers as large as those that need 64 bits."""
    streamed = data.draw(st.frozensets(st.sampled_from(sorted(files)))) if files else frozenset()
    assert _read(_archive(files, limit=limit, streamed=streamed)) == files
    assert _read(_archive(files, streamed=streamed)) == files


def test_more_entries_than_16_bits_count() -> None:
    files = {f"{number}": b"" for number in range(70_000)}
    with ZipFile(BytesIO(_archive(files))) as archive:
        assert len(archive.namelist()) == 70_001


def test_an_entry_from_a_file() -> None:
    result, source = BytesIO(), BytesIO(b"x" * 3_000_000)
    source.seek(17)
    archive = Archive(result, BytesIO())
    archive.add_file("big", source)
    archive.finish()
    assert _read(result.getvalue()) == {"big": source.getvalue()}


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
@pytest.mark.parametrize("limit", [None, 10])
def test_info_zip_reads_it(tmp_path: Path, limit: int | None) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(_archive(FILES, limit=limit, streamed=frozenset({"a.txt"})))
    result = subprocess.run(["unzip", "-t", path], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No errors detected" in result.stdout
