"""Reads small text and JSON files that other programs or people wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.inference.importing.errors import ImportRefused

MAX_BYTES = 16 * 2**20


def read_bytes(path: Path) -> bytes:
    """The contents of a file.

    Raises:
        ImportRefused: it cannot be read or is too large.
    """
    try:
        if not path.is_file():
            raise ImportRefused(f"cannot read {path}: there is no such file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImportRefused(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ImportRefused(f"{path.name} is larger than {MAX_BYTES:,} bytes")
    return data


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        ImportRefused: it cannot be read, is too large, or is not UTF-8.
    """
    return decoded(path.name, read_bytes(path))


def decoded(name: str, data: bytes) -> str:
    """Decodes the contents of the file `name`; see `read_text`."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ImportRefused(f"{name} is not UTF-8 (line {line}); save it in that encoding") from error


def read_json(path: Path) -> Any:
    """The contents of a JSON file.

    Raises:
        ImportRefused: see `read_text`; or it is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ImportRefused(f"{path.name} is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ImportRefused(
            f"{path.name} has a number with too many digits, or too many brackets in brackets"
        ) from error
