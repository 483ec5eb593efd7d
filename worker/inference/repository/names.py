"""Names of models and of their versions. A path is made only of a name that follows these rules."""

from __future__ import annotations

import re

LONGEST_NAME = 100  # characters of the name of a model
HIGHEST_NUMBER = 999_999_999  # of a version

_NAME = rf"[a-z0-9][a-z0-9.-]{{0,{LONGEST_NAME - 1}}}"
_NUMBER = r"[1-9][0-9]{0,8}"

NAME = re.compile(_NAME)  # `pets`
NUMBER = re.compile(_NUMBER)  # `2`
REFERENCE = re.compile(rf"(?P<name>{_NAME})(@(?P<number>{_NUMBER}))?")  # `pets@2`, or `pets` for its newest version
VERSION_NAME = re.compile(f"{_NAME}@{_NUMBER}")  # `pets@2`


def shortened(text: str) -> str:
    """Returns a text from outside for a message: in quotes, without invisible characters, and no longer than a name."""
    longest = LONGEST_NAME + len(f"@{HIGHEST_NUMBER}")
    return repr(text if len(text) <= longest else f"{text[:longest]}…")
