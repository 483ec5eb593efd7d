"""The CSV file that says which labels of a version form a group.

Each row has a label and a label of the base version: its id, its name, or a synonym that no other label has. The row
`label,*` takes all labels that no other row names. The header `label,base label` may be missing.

    label,base label
    cat,tabby
    cat,n02123394
    dog,Siberian husky
    other,*
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.inference.csv_files import InvalidFile, read_rows
from worker.inference.label_search import LabelSearch
from worker.inference.repository.labels import InvalidLabels, Label, check_labels, problem_of_text
from worker.inference.spelling import folded, normalize

HEADER = ["label", "base label"]
REST = "*"
_SHOWN_ERRORS = 5


class InvalidGroups(ValueError):
    """The file does not describe groups. The message names the lines and what is wrong with them."""


@dataclass(frozen=True)
class LabelGroup:
    """A label that stands for several labels of the base. `members` are their positions."""

    label: Label
    members: tuple[int, ...]


def read_groups(path: Path, base: Sequence[Label]) -> list[LabelGroup]:
    """Reads the groups of a file, in the order in which it names them.

    Each label of the base is in exactly one group. A group is found by the names of its members, too: they are its
    synonyms, except for the group that takes the rest.

    Raises:
        InvalidGroups: a row is wrong, or a label of the base is in no group.
        OSError: the file cannot be read.
    """
    try:
        rows = read_rows(path.read_bytes())
    except InvalidFile as error:
        raise InvalidGroups(str(error)) from error
    if rows and [normalize(cell) for cell in rows[0][1]] == HEADER:
        rows = rows[1:]
    if not rows:
        raise InvalidGroups("there are no groups in the file: write a row for each label of the base, as in cat,tabby")
    reading = _Reading(base)
    for line, cells in rows:
        reading.add(line, cells)
    return reading.groups()


@dataclass
class _Reading:
    """The groups read so far, and what was wrong with them."""

    base: Sequence[Label]
    members: dict[str, list[int]] = field(default_factory=dict)  # by group
    taken: dict[int, tuple[str, int]] = field(default_factory=dict)  # member -> its group, and the line that says so
    rest: tuple[str, int] | None = None
    spellings: dict[str, str] = field(default_factory=dict)  # of the groups, by folded name
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._search = LabelSearch(self.base)
        self._positions = {label.id: position for position, label in enumerate(self.base)}

    def add(self, line: int, cells: list[str]) -> None:
        try:
            self._add(line, cells)
        except InvalidGroups as error:
            self.errors.append(f"line {line}: {error}")

    def _add(self, line: int, cells: list[str]) -> None:
        label, member = _pair(cells)
        first_spelling = self.spellings.setdefault(folded(label), label)
        if label != first_spelling:
            raise InvalidGroups(f"{label!r} is {first_spelling!r} in an earlier line: write a label always the same")
        if member == REST:
            self._take_rest(line, label)
            return
        position = self._positions[self._find(member).id]
        if position in self.taken:
            other, first = self.taken[position]
            name = self.base[position].display_name
            raise InvalidGroups(f"{name} is already in the group {other!r} (line {first})")
        self.taken[position] = (label, line)
        self.members.setdefault(label, []).append(position)

    def _find(self, text: str) -> Label:
        found = self._search.find(text)
        if len(found) == 1:
            return found[0]
        if found:
            names = " and ".join(label.display_name for label in found[:5])
            raise InvalidGroups(f"{text!r} can mean {names}")
        # To find similar labels takes some milliseconds, and the message shows only the first errors.
        similar = self._search.search(text, limit=3) if len(self.errors) < _SHOWN_ERRORS else []
        names = " or ".join(match.label.display_name for match in similar)
        hint = f"; did you mean {names}?" if similar else ""
        raise InvalidGroups(f"there is no label {text!r}{hint}")

    def _take_rest(self, line: int, label: str) -> None:
        if self.rest is not None:
            raise InvalidGroups(f"line {self.rest[1]} already says which group takes the rest")
        self.rest = (label, line)
        self.members.setdefault(label, [])  # now, so that the group has its place in the order

    def groups(self) -> list[LabelGroup]:
        if self.errors:
            more = len(self.errors) - _SHOWN_ERRORS
            raise InvalidGroups("; ".join(self.errors[:_SHOWN_ERRORS]) + (f"; and {more} more" if more > 0 else ""))
        left = [position for position in range(len(self.base)) if position not in self.taken]
        if self.rest is None and left:
            raise InvalidGroups(self._in_no_group(left))
        if self.rest is not None and not left:
            raise InvalidGroups(f"line {self.rest[1]}: no label is left for *")
        found = []
        for name, members in self.members.items():
            takes_rest = self.rest is not None and self.rest[0] == name
            synonyms = _synonyms(name, [self.base[position] for position in members])
            everything = (*members, *left) if takes_rest else tuple(members)
            found.append(LabelGroup(Label(name, name, name, synonyms), everything))
        try:
            check_labels([group.label for group in found])
        except InvalidLabels as error:
            raise InvalidGroups(str(error)) from error
        return found

    def _in_no_group(self, left: list[int]) -> str:
        examples = ", ".join(self.base[position].display_name for position in left[:3])
        labels = "label is" if len(left) == 1 else "labels are"
        return f"{len(left):,} {labels} in no group, such as {examples}: a row other,* makes a group of all of them"


def _pair(cells: list[str]) -> tuple[str, str]:
    if len(cells) != 2:
        columns = "is 1 column" if len(cells) == 1 else f"are {len(cells)} columns"
        raise InvalidGroups(f"there {columns} instead of 2; put a text with a comma into double quotes")
    label, member = cells
    if not label or not member:
        raise InvalidGroups("the label is missing" if not label else "the label of the base is missing")
    for text in cells:
        problem = problem_of_text(text)
        if problem:
            raise InvalidGroups(f"the row {problem}")
    return label, member


def _synonyms(name: str, members: Sequence[Label]) -> tuple[str, ...]:
    """The names of a group's members, each once. Those with a comma are left out: the file of labels cannot hold it."""
    once = {folded(name): name}
    for member in members:
        for word in (member.display_name, member.name, *member.synonyms):
            if "," not in word:
                once.setdefault(folded(word), word)
    return tuple(once.values())[1:]
