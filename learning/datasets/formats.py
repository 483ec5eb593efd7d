"""The two formats of a data set: folders of pictures, and TFRecords. Both come with the same manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from learning.datasets.archive import BUFFER, Archive
from learning.datasets.folder_names import folder_names
from learning.datasets.pictures import Picture

RECORDS = "cases.tfrecord"

_CHUNK_BYTES = 64 * 2**20  # records on the disk twice while they are copied to the archive


class PictureWriter(Protocol):
    """Adds the pictures of one data set to its archive."""

    def add(self, label: str, sha256: str, picture: Picture) -> str:
        """Writes a picture. Returns the path of its file in the archive."""


def classes(labels: Sequence[str]) -> list[str]:
    """Returns the labels in the order of their class numbers. Keras numbers classes by folder name, and so do we."""
    names = folder_names(labels)
    return sorted(names, key=lambda label: names[label])


@contextmanager
def image_folder(archive: Archive, labels: Sequence[str], _draft: Path) -> Iterator[PictureWriter]:
    """Writes one folder for each label, even if all its pictures are missing, so that class numbers do not shift."""
    names = folder_names(labels)
    archive.add_folder("images")
    for label in classes(labels):
        archive.add_folder(f"images/{names[label]}")
    yield _ImageFolder(archive, names)


class _ImageFolder:
    def __init__(self, archive: Archive, names: dict[str, str]) -> None:
        self._archive = archive
        self._names = names

    def add(self, label: str, sha256: str, picture: Picture) -> str:
        path = f"images/{self._names[label]}/{sha256}.{picture.extension}"
        self._archive.add(path, picture.content)
        return path


@contextmanager
def tf_records(archive: Archive, labels: Sequence[str], draft: Path) -> Iterator[PictureWriter]:
    """Writes one file of `tf.train.Example`s. `draft` is the path of a temporary file."""
    numbers = {label: number for number, label in enumerate(classes(labels))}
    with archive.open_entry(RECORDS) as entry:
        records = _Records(entry, numbers, draft)
        try:
            yield records
            records.flush()
        finally:
            records.close()


class _Records:
    """Writes records to temporary files, because TensorFlow needs a path, and appends each file to the archive's entry.

    Record files have no header, so several of them joined are one.
    """

    def __init__(self, entry: IO[bytes], numbers: dict[str, int], draft: Path) -> None:
        # Imported here because it takes seconds and hundreds of megabytes, and only this format needs it.
        from worker.inference.keras_runtime import tensorflow

        self._tensorflow = tensorflow
        self._entry = entry
        self._numbers = numbers
        self._draft = draft
        self._writer: Any = None
        self._bytes = 0

    def add(self, label: str, sha256: str, picture: Picture) -> str:
        example = self._example(label, sha256, picture)
        with self._as_os_error():
            if self._writer is None:
                self._writer = self._tensorflow.io.TFRecordWriter(str(self._draft))
            self._writer.write(example)
        self._bytes += len(example)
        if self._bytes >= _CHUNK_BYTES:
            self.flush()
        return RECORDS

    def _example(self, label: str, sha256: str, picture: Picture) -> bytes:
        train = self._tensorflow.train

        def text(value: bytes) -> Any:
            return train.Feature(bytes_list=train.BytesList(value=[value]))

        feature = {
            "image/encoded": text(picture.content),
            "image/format": text(picture.format.encode()),
            "image/sha256": text(sha256.encode()),
            "image/class/label": train.Feature(int64_list=train.Int64List(value=[self._numbers[label]])),
            "image/class/text": text(label.encode()),
        }
        example = train.Example(features=train.Features(feature=feature))
        # The order of a protocol buffer's map is otherwise undefined.
        return bytes(example.SerializeToString(deterministic=True))

    def flush(self) -> None:
        """Moves the records written so far into the archive."""
        if self._writer is None:
            return
        with self._as_os_error():
            self._writer.close()
        self._writer, self._bytes = None, 0
        with self._draft.open("rb") as file:
            shutil.copyfileobj(file, self._entry, BUFFER)
        self._draft.unlink()

    def close(self) -> None:
        if self._writer is not None:
            with self._as_os_error():
                self._writer.close()
        self._draft.unlink(missing_ok=True)

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        """Turns TensorFlow's errors, such as a full disk, into `OSError`."""
        try:
            yield
        except self._tensorflow.errors.OpError as error:
            raise OSError(error.message.rpartition("; ")[2]) from error  # without the name of the draft


WRITERS = {"imagefolder": image_folder, "tfrecord": tf_records}
