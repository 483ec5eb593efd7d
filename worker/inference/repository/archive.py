"""A model version as one file, to carry it to another site.

The file is a zip without compression, because weights hardly compress. It holds the manifest and then the files that
the manifest lists, under their names and with fixed dates: the same version always gives the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import secrets
import shutil
import stat
import zipfile
from pathlib import Path
from typing import IO

from worker.inference.repository.errors import InvalidArchive
from worker.inference.repository.files import sync
from worker.inference.repository.manifest import FILES, MANIFEST, FileRecord, InvalidManifest, ModelManifest
from worker.inference.repository.model_version import ModelVersion

MAX_MANIFEST_BYTES = 1_000_000

_CHUNK = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_ENCRYPTED = 0x1


def write_archive(version: ModelVersion, path: Path) -> None:
    """Writes a version to the file `path`, which appears complete or not at all.

    Raises:
        OSError: the file cannot be written, or a file of the version cannot be read.
    """
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with zipfile.ZipFile(draft, "x", zipfile.ZIP_STORED) as archive:
            for name in (MANIFEST, *_file_names(version.manifest)):
                _add(archive, version.path / name)
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def _add(archive: zipfile.ZipFile, source: Path) -> None:
    entry = zipfile.ZipInfo(source.name, _DATE)
    entry.create_system = 3  # Unix, whichever system writes the file
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = source.stat().st_size  # decides whether the entry needs the format for large files
    with source.open("rb") as file, archive.open(entry, "w") as target:
        shutil.copyfileobj(file, target, _CHUNK)


def extract_archive(path: Path, folder: Path) -> ModelManifest:
    """Writes the files of an archive, except its manifest, into `folder`. Returns the manifest.

    Names in the archive are compared with the expected ones and never used as paths. Nothing is written before all
    sizes are known to be those of the manifest.

    Raises:
        InvalidArchive: `write_archive` did not write this file, or it is damaged.
        OSError: the folder cannot be written, or the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(archive)
            entries = _checked_entries(archive, manifest, path.stat().st_size)
            for kind, record in manifest.files.items():
                with archive.open(entries[FILES[kind]]) as source:
                    _copy(source, folder / FILES[kind], record)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InvalidArchive(f"{path.name} is damaged, or `model export` did not write it: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise InvalidArchive(f"{path.name} is damaged: it names a position outside the file") from error
    except InvalidArchive as error:
        raise InvalidArchive(f"{path.name} cannot be imported: {error}") from error
    return manifest


def _file_names(manifest: ModelManifest) -> list[str]:
    return [name for kind, name in FILES.items() if kind in manifest.files]


def _read_manifest(archive: zipfile.ZipFile) -> ModelManifest:
    entries = archive.infolist()
    if not entries or entries[0].filename != MANIFEST:
        raise InvalidArchive(f"its first entry is not {MANIFEST}: it is damaged, or `model export` did not write it")
    _check_entry(entries[0])
    if entries[0].file_size > MAX_MANIFEST_BYTES:
        raise InvalidArchive(f"its {MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        return ModelManifest.from_json(archive.read(entries[0]).decode())
    except (InvalidManifest, UnicodeDecodeError) as error:
        raise InvalidArchive(f"its {MANIFEST} is invalid: {error}") from error


def _checked_entries(archive: zipfile.ZipFile, manifest: ModelManifest, size: int) -> dict[str, zipfile.ZipInfo]:
    """Returns the entries by name, after comparing all that the directory says about them with the manifest."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    expected = [MANIFEST, *_file_names(manifest)]
    if names != expected:
        raise InvalidArchive(f"its entries are not exactly {', '.join(expected)}")
    for entry, kind in zip(entries[1:], (kind for kind in FILES if kind in manifest.files), strict=True):
        _check_entry(entry)
        if entry.file_size != manifest.files[kind].size:
            raise InvalidArchive(f"its {entry.filename} has another size than its manifest says")
    if sum(entry.file_size for entry in entries) > size:
        raise InvalidArchive("its entries overlap")
    return dict(zip(names, entries, strict=True))


def _check_entry(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or entry.is_dir():
        raise InvalidArchive(f"its {entry.filename} is not a regular file")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise InvalidArchive(f"its {entry.filename} is compressed")
    if entry.flag_bits & _ENCRYPTED:
        raise InvalidArchive(f"its {entry.filename} is encrypted")


def _copy(source: IO[bytes], path: Path, record: FileRecord) -> None:
    """Copies exactly as many bytes as the record says, and compares their SHA-256."""
    digest = hashlib.sha256()
    left = record.size
    with path.open("xb") as target:
        while left and (chunk := source.read(min(left, _CHUNK))):
            target.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
    if left or digest.hexdigest() != record.sha256:
        raise InvalidArchive(f"its {path.name} is damaged: its SHA-256 is not the one in the manifest")
