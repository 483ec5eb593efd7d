"""Carrying a version to another site in one file."""

from __future__ import annotations

import errno
import hashlib
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.inference.repository import Damaged, InvalidArchive, Repository, RepositoryError
from worker.inference.repository.manifest import FILES, MANIFEST, ModelManifest
from worker.inference.tests.fakes import NAME

Entries = dict[str, bytes]


@pytest.fixture
def file(repository: Repository, weights: Path, tmp_path: Path) -> Path:
    """An exported version, `fake-net@1`."""
    repository.install(NAME, weights=weights)
    repository.export(NAME, tmp_path / "fake-net.zip")
    return tmp_path / "fake-net.zip"


@pytest.fixture
def elsewhere(repository: Repository, tmp_path: Path) -> Repository:
    """The empty repository of another site."""
    return Repository(tmp_path / "elsewhere")


def _entries(file: Path) -> Entries:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(file: Path, entries: Entries, *, mode: int = stat.S_IFREG, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (mode if name != MANIFEST else stat.S_IFREG) << 16
            entry.compress_type = compression
            archive.writestr(entry, content)


def _is_untouched(repository: Repository) -> bool:
    return [path.name for path in repository.root.iterdir()] == [".lock"]


def test_version_is_the_same_elsewhere(repository: Repository, file: Path, elsewhere: Repository) -> None:
    version = elsewhere.import_file(file)
    assert str(version) == "fake-net@1"
    assert version.manifest == repository.get(NAME).manifest
    assert elsewhere.verify() == []


def test_file_begins_with_the_manifest_and_is_the_same_each_time(repository: Repository, file: Path) -> None:
    assert list(_entries(file)) == [MANIFEST, *FILES.values()]
    again = file.with_name("again.zip")
    for path in repository.get(NAME).path.iterdir():
        path.touch()
    repository.export(NAME, again)
    assert again.read_bytes() == file.read_bytes()


def test_known_version_is_recognized(repository: Repository, file: Path, elsewhere: Repository, weights: Path) -> None:
    assert str(repository.import_file(file)) == "fake-net@1"
    weights.write_bytes(b"other")
    elsewhere.install(NAME, weights=weights)
    lines: list[str] = []
    assert [str(elsewhere.import_file(file, report=lines.append)) for _ in range(2)] == ["fake-net@2"] * 2
    assert lines == ["installed fake-net@2", "fake-net@2 is already installed"]


def test_damaged_version_is_not_exported(repository: Repository, file: Path) -> None:
    repository.get(NAME).file("bin").write_bytes(b"other")
    file.unlink()
    with pytest.raises(Damaged, match="model.bin"):
        repository.export(NAME, file)
    assert not file.exists()


def test_failed_export_leaves_the_earlier_file(
    repository: Repository, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before, names = file.read_bytes(), sorted(path.name for path in file.parent.iterdir())
    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(OSError, match="No space left"):
        repository.export(NAME, file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == names


def test_rejects_a_file_that_cannot_be_read(elsewhere: Repository, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"cannot read .*missing.zip: No such file"):
        elsewhere.import_file(tmp_path / "missing.zip")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_rejects_a_truncated_file(file: Path, elsewhere: Repository, part: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InvalidArchive, match="is damaged"):
        elsewhere.import_file(file)
    assert _is_untouched(elsewhere)


def _renamed(old: str, new: str) -> Callable[[Entries], Entries]:
    return lambda entries: {new if name == old else name: content for name, content in entries.items()}


def _with_manifest(change: Callable[[ModelManifest], ModelManifest]) -> Callable[[Entries], Entries]:
    def changed(entries: Entries) -> Entries:
        manifest = ModelManifest.from_json(entries[MANIFEST].decode())
        return entries | {MANIFEST: change(manifest).to_json().encode()}

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_renamed("model.bin", "../model.bin"), "its entries are not exactly"),
        (_renamed("model.bin", "/etc/model.bin"), "its entries are not exactly"),
        (_renamed("labels.tsv", "labels.tsv/"), "its entries are not exactly"),
        (_renamed(MANIFEST, "other.json"), "its first entry is not manifest.json"),
        (lambda entries: entries | {"more.bin": b"more"}, "its entries are not exactly"),
        (lambda entries: dict(list(entries.items())[:-1]), "its entries are not exactly"),
        (lambda entries: dict(sorted(entries.items(), reverse=True)), "its first entry is not manifest.json"),
        (lambda entries: {}, "its first entry is not manifest.json"),
        (lambda entries: entries | {MANIFEST: b"{}"}, "its manifest.json is invalid"),
        (lambda entries: entries | {MANIFEST: b"\xff"}, "its manifest.json is invalid"),
        (lambda entries: entries | {MANIFEST: b" " * 1_000_001}, "is larger than 1,000,000 bytes"),
        (lambda entries: entries | {"model.bin": entries["model.bin"][::-1]}, "its model.bin is damaged"),
        (lambda entries: entries | {"model.bin": b"longer" * 100}, "its model.bin has another size"),
        (_with_manifest(lambda manifest: replace(manifest, name="../escape")), "is not a name for a model"),
        (_with_manifest(lambda manifest: replace(manifest, classes=3)), "another number of labels than of classes"),
    ],
)
def test_rejects_other_content(
    file: Path, elsewhere: Repository, change: Callable[[Entries], Entries], message: str
) -> None:
    _write(file, change(_entries(file)))
    with pytest.raises(RepositoryError, match=message):
        elsewhere.import_file(file)
    assert _is_untouched(elsewhere)
    assert not (elsewhere.root.parent / "escape").exists()


def test_rejected_files_leave_nothing(file: Path, elsewhere: Repository) -> None:
    def refuse(folder: Path, manifest: ModelManifest) -> None:
        assert (folder / "model.bin").stat().st_size == manifest.files["bin"].size
        raise RepositoryError("no")

    with pytest.raises(RepositoryError, match="^no$"):
        elsewhere.import_file(file, check=refuse)
    assert _is_untouched(elsewhere)


def test_rejects_links(file: Path, elsewhere: Repository) -> None:
    _write(file, _entries(file), mode=stat.S_IFLNK)
    with pytest.raises(InvalidArchive, match="is not a regular file"):
        elsewhere.import_file(file)
    assert _is_untouched(elsewhere)


def test_rejects_compressed_entries(file: Path, elsewhere: Repository) -> None:
    """A small file cannot fill the disk: what it holds is as long as it is."""
    _write(file, _entries(file), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidArchive, match="is compressed"):
        elsewhere.import_file(file)
    assert _is_untouched(elsewhere)


def test_rejects_labels_that_cannot_be_used(file: Path, elsewhere: Repository) -> None:
    entries = _entries(file)
    for content, message in ((b"1\tcat\n1\tdog\n", "have the same id"), (b"\xff\xfe", "are not in UTF-8")):
        manifest = ModelManifest.from_json(entries[MANIFEST].decode())
        record = replace(manifest.files["labels"], size=len(content), sha256=hashlib.sha256(content).hexdigest())
        manifest = replace(manifest, files={**manifest.files, "labels": record})
        _write(file, entries | {"labels.tsv": content, MANIFEST: manifest.to_json().encode()})
        with pytest.raises(RepositoryError, match=message):
            elsewhere.import_file(file)
        assert _is_untouched(elsewhere)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_flipped_bits_never_change_a_version(file: Path, elsewhere: Repository, position: int, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 1 << bit
    flipped = file.with_name("flipped.zip")
    flipped.write_bytes(content)
    try:
        version = elsewhere.import_file(flipped)
    except RepositoryError:
        return
    # The bit was one that does not matter, such as one of a date.
    assert version.manifest.files == elsewhere.import_file(file).manifest.files
    assert elsewhere.verify() == []
