"""The labels of a model version, and the file that holds them.

`labels.tsv` has one line for each class of the network, in the order of its output. Its columns, separated by tabs:

    id, name, synonyms (separated by commas), display name, description

The last three may be missing or empty.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from worker.inference.spelling import as_seen

MAX_LENGTH = 200  # characters of an id, a name or a synonym: a row of a prediction holds no longer label
MAX_DESCRIPTION = 2000

# Controls of the writing direction, each with the one that ends it.
_ENDS = dict.fromkeys("\u202a\u202b\u202d\u202e", "\u202c") | dict.fromkeys("\u2066\u2067\u2068", "\u2069")

# Two classes of ImageNet share the name "crane", and two the name "maillot". What they are is from WordNet 3.0.
_DISPLAY_NAMES_BY_ID = {
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n03710637": "maillot (tights)",
    "n03710721": "maillot (swimsuit)",
}


class InvalidLabels(ValueError):
    """The labels cannot be those of a model version; the message says which one, and why."""


@dataclass(frozen=True)
class Label:
    """One class of a network.

    Attributes:
        id: never changes, also when the label is renamed in a later version. For ImageNet, the WordNet id.
        name: what the network's authors call it, such as `Eskimo_dog`. Two labels of a set may share it.
        display_name: unique within its set. Rows, pages and the API name the label by it. It is the name, unless
            another label has the same one.
        synonyms: other names; the most usual one first.
        description: one or more sentences for people, or empty.
    """

    id: str
    name: str
    display_name: str
    synonyms: tuple[str, ...] = ()
    description: str = ""


def with_display_names(labels: Iterable[Label]) -> tuple[Label, ...]:
    """Returns the labels with a display name for each that has none: its name, with its id if others share the name."""
    labels = tuple(labels)
    shared = {name for name, number in Counter(label.name for label in labels).items() if number > 1}
    return tuple(
        label
        if label.display_name
        else replace(label, display_name=_display_name(label, is_shared=label.name in shared))
        for label in labels
    )


def _display_name(label: Label, *, is_shared: bool) -> str:
    if not is_shared:
        return label.name
    return _DISPLAY_NAMES_BY_ID.get(label.id, f"{label.name} ({label.id})")


def check_labels(labels: Sequence[Label]) -> None:
    """Checks that labels can be the label set of a model version.

    Raises:
        InvalidLabels: there are fewer than two; an id, a name or a display name is missing; an id or a display name is
            not unique, for display names as people see them; a text is too long, cannot be seen, or has a character
            that cannot be printed; or a synonym has a comma.
    """
    if len(labels) < 2:
        raise InvalidLabels(f"a model needs at least two labels, and there are {len(labels)}")
    for number, label in enumerate(labels, 1):
        for what, text in (("id", label.id), ("name", label.name), ("display name", label.display_name)):
            if not text:
                raise InvalidLabels(f"label {number} has no {what}")
        for text in (label.id, label.name, label.display_name, *label.synonyms):
            _check_text(number, text, MAX_LENGTH)
        _check_text(number, label.description, MAX_DESCRIPTION)
        for synonym in label.synonyms:
            if "," in synonym or not synonym:
                raise InvalidLabels(f"label {number} has the synonym {synonym!r}: synonyms are separated by commas")
    _check_unique("id", [label.id for label in labels])
    _check_unique("display name", [label.display_name for label in labels])
    _check_look([label.display_name for label in labels])


def _check_text(number: int, text: str, longest: int) -> None:
    problem = problem_of_text(text, longest)
    if problem:
        raise InvalidLabels(f"label {number} {problem}")


def problem_of_text(text: str, longest: int = MAX_LENGTH) -> str:
    """Returns why a text cannot be part of a label, as the rest of a sentence; empty if it can."""
    if len(text) > longest:
        return f"has a text of {len(text):,} characters; at most {longest:,} are allowed"
    if text != text.strip():
        return f"begins or ends with a space: {text!r}"
    for character in text:
        # Controls, surrogates, private and unassigned characters, the separators of lines, and byte order marks.
        if unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} or character == "\ufeff":
            return f"has the character U+{ord(character):04X}, which cannot be printed"
    if text and not as_seen(text.replace("_", "-")):  # a label may be an underscore, which pages show as a space
        return f"has only characters that nobody can see: {text!a}"
    if not _ends_directions(text):
        return f"changes the writing direction, and does not end that: {text!a}"
    return ""


def _ends_directions(text: str) -> bool:
    """Whether each change of the writing direction ends within the text, so that what follows it looks as usual."""
    ends: list[str] = []
    for character in text:
        if character in _ENDS:
            ends.append(_ENDS[character])
        elif character in _ENDS.values() and (not ends or ends.pop() != character):
            return False
    return not ends


def _check_unique(what: str, texts: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for number, text in enumerate(texts, 1):
        if text in seen:
            raise InvalidLabels(f"labels {seen[text]} and {number} have the same {what}, {text!r}")
        seen[text] = number


def _check_look(names: Sequence[str]) -> None:
    """Checks that people can tell display names apart."""
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        first = seen.setdefault(as_seen(name), number)
        if first != number:
            raise InvalidLabels(
                f"labels {first} and {number} have the same display name to the eye: {names[first - 1]!a} and {name!a}"
            )


def labels_from_text(text: str) -> tuple[Label, ...]:
    """Reads the text of `labels.tsv`.

    Raises:
        InvalidLabels: a line has no id or no name.
    """
    labels = []
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        id_, name, synonyms, display_name, description = [*line.split("\t"), *[""] * 5][:5]
        if not id_ or not name:
            raise InvalidLabels(f"line {number} has no id or no name")
        words = tuple(word.strip() for word in synonyms.split(",") if word.strip())
        labels.append(Label(id_, name, display_name, words, description))
    return with_display_names(labels)


def labels_to_text(labels: Iterable[Label]) -> str:
    """Returns the text of `labels.tsv`. The labels must have passed `check_labels`."""
    lines = []
    for label in labels:
        columns = label.id, label.name, ", ".join(label.synonyms), label.display_name, label.description
        lines.append("\t".join(columns).rstrip("\t"))
    return "\n".join(lines) + "\n"
