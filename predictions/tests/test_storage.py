from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from predictions.uploads.storage import ContentAddressedStorage

NAME = "images/ab/abcd.png"
CONTENT = hashlib.sha256(b"").digest() * 4096  # 128 KB

# A child process begins with this: the storage, without the project's settings.
CHILD = """
import os, resource, signal, sys
from django.conf import settings
settings.configure()
from django.core.files.base import ContentFile
from predictions.uploads.storage import ContentAddressedStorage
storage = ContentAddressedStorage(location=sys.argv[1])
"""


@pytest.fixture
def storage(tmp_path: Path) -> ContentAddressedStorage:
    return ContentAddressedStorage(location=tmp_path)


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _child(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD + code, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60)


def test_saves_and_opens_a_file(storage: ContentAddressedStorage, tmp_path: Path) -> None:
    assert storage.save(NAME, ContentFile(CONTENT)) == NAME
    assert _files(tmp_path) == [NAME]
    with storage.open(NAME) as file:
        assert file.read() == CONTENT


def test_does_not_write_an_existing_file_again(storage: ContentAddressedStorage, tmp_path: Path) -> None:
    storage.save(NAME, ContentFile(CONTENT))
    before = (tmp_path / NAME).stat()
    assert storage.save(NAME, ContentFile(CONTENT)) == NAME
    assert (tmp_path / NAME).stat() == before
    assert _files(tmp_path) == [NAME]


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:]])
def test_mends_a_damaged_file(storage: ContentAddressedStorage, tmp_path: Path, damaged: bytes) -> None:
    storage.save(NAME, ContentFile(CONTENT))
    (tmp_path / NAME).write_bytes(damaged)
    assert storage.save(NAME, ContentFile(CONTENT)) == NAME
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert _files(tmp_path) == [NAME]


def test_syncs_a_file_and_then_its_folder(
    storage: ContentAddressedStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is on the disk before a row refers to it, and so are the names of new folders."""
    synced: list[tuple[Path, list[str]]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        synced.append((path, sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []))

    monkeypatch.setattr(os, "fsync", record)
    storage.save(NAME, ContentFile(CONTENT))
    folders = [(tmp_path, ["images"]), (tmp_path / "images", ["ab"])]
    assert [entry for entry in synced if entry in folders] == folders
    assert synced[-2][0].suffix == ".part"
    assert synced[-1] == (tmp_path / "images/ab", ["abcd.png"])


def test_rejects_names_outside_its_folder(storage: ContentAddressedStorage, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="traversal|outside"):
        storage.save("../evil.png", ContentFile(CONTENT))


def _save(folder: str) -> str:
    return ContentAddressedStorage(location=folder).save(NAME, ContentFile(CONTENT))


def test_many_threads_save_the_same_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(_save, [str(tmp_path)] * 64)) == {NAME}
    assert _files(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_many_processes_save_the_same_files(tmp_path: Path) -> None:
    names = [f"images/ab/{number}.png" for number in range(16)]
    code = f"for name in {names}: assert storage.save(name, ContentFile(bytes({len(CONTENT)}))) == name"
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _number: _child(tmp_path, code), range(4)))
    assert [(child.returncode, child.stderr) for child in ended] == [(0, "")] * 4
    assert _files(tmp_path) == sorted(names)
    assert {(tmp_path / name).stat().st_size for name in names} == {len(CONTENT)}


def test_a_process_killed_while_saving_leaves_no_partial_file(storage: ContentAddressedStorage, tmp_path: Path) -> None:
    """The process is killed after some of the bytes are written. The next save succeeds."""
    ended = _child(
        tmp_path,
        f"""
class Killer(ContentFile):
    def read(self, size=None):
        if self.tell():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)
storage.save({NAME!r}, Killer(bytes(3 * 2**20)))
""",
    )
    assert ended.returncode == -9, ended.stderr
    assert NAME not in _files(tmp_path)
    storage.save(NAME, ContentFile(CONTENT))
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    ended = _child(
        tmp_path,
        f"""
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    storage.save({NAME!r}, ContentFile(bytes(200_000)))
except OSError as error:
    print(error.strerror)
""",
    )
    assert (ended.returncode, ended.stdout) == (0, "File too large\n"), ended.stderr
    assert _files(tmp_path) == []


def test_a_failing_read_leaves_no_file(storage: ContentAddressedStorage, tmp_path: Path) -> None:
    class Broken(ContentFile):  # type: ignore[type-arg] # not generic at run time
        def read(self, num_bytes: int | None = None) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        storage.save(NAME, Broken(CONTENT))
    assert _files(tmp_path) == []
