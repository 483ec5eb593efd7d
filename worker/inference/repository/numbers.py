"""Version numbers. A number is never given to another version, even after its version was removed."""

from __future__ import annotations

from pathlib import Path

from worker.inference.repository.errors import Damaged, RepositoryError
from worker.inference.repository.files import replace_text
from worker.inference.repository.names import HIGHEST_NUMBER, NUMBER

_LAST_REMOVED = ".last-removed"  # in the folder of a model: its highest removed number


def existing_numbers(folder: Path) -> list[int]:
    """Returns the version numbers in the folder of a model in ascending order, including those of damaged versions."""
    return sorted(int(path.name) for path in folder.glob("[1-9]*") if NUMBER.fullmatch(path.name))


def next_number(folder: Path) -> int:
    """Returns the number of a model's next version. The caller holds the lock of installations.

    Raises:
        Damaged: the record of removed numbers cannot be read.
        RepositoryError: no number is left.
    """
    number = max(*existing_numbers(folder), _last_removed(folder), 0) + 1
    if number > HIGHEST_NUMBER:
        raise RepositoryError(
            f"{folder.name}@{HIGHEST_NUMBER} is or was the last possible version: choose another name"
        )
    return number


def record_removed(folder: Path, number: int) -> None:
    """Makes sure that the number is never given again. The caller holds the lock of installations."""
    if number > _last_removed(folder):
        replace_text(folder / _LAST_REMOVED, f"{number}\n")


def _last_removed(folder: Path) -> int:
    try:
        return int((folder / _LAST_REMOVED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise Damaged(f"{folder / _LAST_REMOVED} does not hold the highest removed number") from error
