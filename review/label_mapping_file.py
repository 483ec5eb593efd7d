"""The CSV file of a mapping between two label sets: a draft of it, and what is wrong with an edited one."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO

from django.utils.text import capfirst

from predictions.labels import LabelIndex
from review.label_changes import proposals_with_a_label
from review.label_mapping import MappingRow
from review.label_sets import known_labels
from review.label_wording import quoted
from review.models import LabelMapping
from review.proposals import proposal_key
from worker.inference.csv_files import BYTE_ORDER_MARK, InvalidFile, neutral, read_rows
from worker.inference.repository import Label, ModelVersion, compare_label_sets

COLUMNS = ("change", "old", "new")
MAX_PROBLEMS = 20  # that a message lists
LABEL_MAX_LENGTH = 200
Change = LabelMapping.Change
CHANGES = ", ".join(Change.values)


class InvalidMapping(Exception):
    """A file is not a mapping between two label sets. `problems`: one sentence each, most with a line number."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = problems
        shown = list(problems[:MAX_PROBLEMS])
        if left_out := len(problems) - len(shown):
            shown.append(f"and {left_out:,} more problems")
        super().__init__("\n".join(shown))


# --- The draft ------------------------------------------------------------------------------------


def draft_rows(old: ModelVersion, new: ModelVersion) -> list[tuple[str, str, str]]:
    """Returns a draft of the mapping, as (change, old label, new label).

    It has a line for each label that is gone, and one for each proposed label that is a label of the new version. The
    change is empty where nobody but a person can say what becomes of a label. A label with the same id in both label
    sets needs no line.
    """
    difference = compare_label_sets(old.labels, new.labels)
    gone = {label.id for label in difference.gone}
    kept = {label.id for label in old.labels} - gone
    claims = Counter(other.id for one in gone for other in difference.likely.get(one, ()))
    rows: list[tuple[str, str, str]] = []
    for label in difference.gone:
        likely = difference.likely.get(label.id, ())
        if len(likely) == 1:
            is_shared = likely[0].id in kept or claims[likely[0].id] > 1
            rows.append((Change.MERGE if is_shared else Change.RENAME, label.display_name, likely[0].display_name))
        elif likely:
            rows += [(Change.SPLIT, label.display_name, other.display_name) for other in likely]
        else:
            rows.append(("", label.display_name, ""))
    in_new = known_labels(new)
    return rows + [(Change.PROPOSED, one.text, one.label) for one in proposals_with_a_label(new) if one.label in in_new]


def draft_text(rows: Iterable[tuple[str, str, str]]) -> str:
    """Returns the text of a CSV file that `read_mapping` reads, and that opens in a spreadsheet."""
    file = StringIO()
    file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows([neutral(cell) for cell in row] for row in rows)
    return file.getvalue()


# --- Reading --------------------------------------------------------------------------------------


def read_mapping(
    content: bytes, old: ModelVersion, new: ModelVersion, *, drop_others: bool = False
) -> list[MappingRow]:
    """Reads a mapping from the bytes of a CSV file, and checks it.

    Args:
        drop_others: drop the labels that are not in the new label set and that no line names.

    Raises:
        InvalidMapping: with every problem of the file.
        worker.inference.repository.Damaged: the labels of a version cannot be read.
    """
    if known_labels(old).fingerprint == known_labels(new).fingerprint:
        raise InvalidMapping([f"{old} and {new} have the same labels, so they need no mapping."])
    reader = _Reader(_Side.of(old), _Side.of(new))
    for line, cells in _lines(content):
        reader.add(line, *cells)
    return reader.finish(drop_others=drop_others)


def _lines(content: bytes) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Yields the number and the three cells of each line that is not empty. Raises `InvalidMapping`."""
    try:
        rows = read_rows(content)
    except InvalidFile as error:
        raise InvalidMapping([f"{capfirst(str(error))}."]) from error
    if not rows:
        raise InvalidMapping(["The file is empty."])
    columns = _columns(rows[0][1], rows[0][0])
    for line, cells in rows[1:]:
        found = [cells[number] if number < len(cells) else "" for number in columns]
        yield line, (found[0], found[1], found[2])


def _columns(cells: Sequence[str], line: int) -> list[int]:
    names = [cell.casefold() for cell in cells]
    if missing := [name for name in COLUMNS if name not in names]:
        message = f"Line {line}: the heading needs the columns {', '.join(COLUMNS)}; {', '.join(missing)} is missing."
        raise InvalidMapping([message])
    return [names.index(name) for name in COLUMNS]


@dataclass(frozen=True)
class _Side:
    """One of the two versions, with its labels."""

    version: ModelVersion
    labels: LabelIndex

    @classmethod
    def of(cls, version: ModelVersion) -> _Side:
        return cls(version, known_labels(version))

    def find(self, text: str) -> str | None:
        """Returns the label that a text names: by its display name, its id, or another name of it."""
        found = self.labels.find(text)
        return found[0].display_name if len(found) == 1 else None

    def unknown(self, text: str, *, suggest: bool) -> str:
        """Says that there is no such label, and which ones are similar."""
        found = self.labels.find(text) if text else ()
        if text and not found and suggest:
            found = [match.label for match in self.labels.search(text, limit=3)]
        similar = [quoted(label.display_name) for label in found]
        hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
        return f"{self.version} has no label “{text[:100]}”.{hint}"


@dataclass
class _Reader:
    """Collects the rows of a mapping, and the problems."""

    old: _Side
    new: _Side
    rows: dict[tuple[bool, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    changes: dict[tuple[bool, str], str] = field(default_factory=dict)
    lines: dict[tuple[bool, str], int] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)  # old labels that have a line, perhaps a wrong one
    problems: list[str] = field(default_factory=list)

    def add(self, line: int, change: str, old: str, new: str) -> None:
        """Adds a line, or a problem."""
        if problem := self._add(line, change.casefold(), old, new):
            self.problems.append(f"Line {line}: {problem}")

    def _add(self, line: int, change: str, old: str, new: str) -> str:
        """Returns the problem of a line, or an empty string."""
        is_proposed = change == Change.PROPOSED
        label = proposal_key(old) if is_proposed else self.old.find(old)
        if label and not is_proposed:
            self.named.add(label)
        if not change:
            return f"say what becomes of “{old}”: {CHANGES}."
        if change not in Change:
            return f"there is no change “{change[:40]}”. Changes: {CHANGES}."
        if is_proposed and not 0 < len(old) <= LABEL_MAX_LENGTH:
            return f"a proposed label has 1 to {LABEL_MAX_LENGTH} characters."
        if not label:
            return self.old.unknown(old, suggest=self._may_suggest)
        key = is_proposed, label
        became = self.new.find(new) if new else None
        if change == Change.DROP and new:
            return f"a label that is dropped has no new label, but this line has “{new[:100]}”."
        if change != Change.DROP and not new:
            return f"“{old}” has no new label."
        if new and became is None:
            return self.new.unknown(new, suggest=self._may_suggest)
        if key in self.changes and not (change == self.changes[key] == Change.SPLIT and became not in self.rows[key]):
            return f"“{old}” is mapped on line {self.lines[key]} already."
        self.changes[key] = change
        self.lines.setdefault(key, line)
        self.rows[key] += [became] if became else []
        return ""

    @property
    def _may_suggest(self) -> bool:
        """Whether the message will show the problem. To find similar labels takes some milliseconds."""
        return len(self.problems) < MAX_PROBLEMS

    def finish(self, *, drop_others: bool) -> list[MappingRow]:
        """Returns the rows. Raises `InvalidMapping`."""
        self.problems += self._splits() + self._renames()
        others = [label.display_name for label in self.old.labels.labels if self._is_left_out(label)]
        if not drop_others:
            self.problems += [
                f"“{word}” is not a label of {self.new.version}, and no line says what becomes of it."
                for word in others
            ]
        if self.problems:
            raise InvalidMapping(self.problems)
        rows = [MappingRow(self.changes[key], key[1], tuple(new)) for key, new in self.rows.items()]
        return rows + [MappingRow(Change.DROP, word, ()) for word in others if drop_others]

    def _is_left_out(self, label: Label) -> bool:
        return label.id not in self.new.labels.ids and label.display_name not in self.named

    def _splits(self) -> list[str]:
        return [
            f"Line {self.lines[key]}: “{key[1]}” is split into one label only. Call it rename or merge."
            for key, change in self.changes.items()
            if change == Change.SPLIT and len(self.rows[key]) == 1
        ]

    def _renames(self) -> list[str]:
        """Returns a problem for each renamed label whose new label stands for another label, too."""
        problems = []
        owners = self._owners()
        for key, change in self.changes.items():
            if change != Change.RENAME:
                continue
            new = self.rows[key][0]
            if others := [word for word in owners[new] if word != key[1]]:
                problems.append(
                    f"Line {self.lines[key]}: {quoted(new)} also stands for {quoted(others[0])}. Call it merge."
                )
        return problems

    def _owners(self) -> Mapping[str, list[str]]:
        """Returns the old labels that each new label stands for, by a line or by the same id."""
        owners: dict[str, list[str]] = defaultdict(list)
        for (is_proposed, word), new in self.rows.items():
            for label in [] if is_proposed else new:
                owners[label].append(word)
        for one in self.old.labels.labels:
            kept = self.new.labels.with_id(one.id)
            if kept is not None and (False, one.display_name) not in self.lines:
                owners[kept.display_name].append(one.display_name)
        return owners
