"""Finds the labels of a version by what people call them."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from worker.inference.repository.labels import Label


class UnknownLabel(LookupError):
    """No label has this name, or several have it; the message says which ones are similar."""


class LabelNames:
    """The ids, names and synonyms of a label set.

    Case, hyphens and underscores make no difference, unless they tell two labels apart.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = labels
        self._exact = {label.display_name: position for position, label in enumerate(labels)}
        self._exact |= {label.id: position for position, label in enumerate(labels)}
        # The first index that has a text decides: an id that another label has as its name means the label with the id.
        self._indexes = [
            _index((label.id,) for label in labels),
            _index((label.display_name,) for label in labels),
            _index((label.name,) for label in labels),
            _index(label.synonyms for label in labels),
        ]

    def find(self, text: str, *, suggest: bool = True) -> int:
        """Returns the position of the label that a text names.

        Args:
            suggest: whether the error of an unknown name has similar ones, which takes some milliseconds.

        Raises:
            UnknownLabel: there is none, or there are several.
        """
        if text in self._exact:
            return self._exact[text]
        wanted = normalized(text)
        for index in self._indexes:
            found = index.get(wanted, [])
            if len(found) == 1:
                return found[0]
            if found:
                names = " and ".join(self._labels[position].display_name for position in found[:5])
                raise UnknownLabel(f"{text!r} can mean {names}")
        raise UnknownLabel(f"there is no label {text!r}{self._suggestion(wanted) if suggest else ''}")

    def _suggestion(self, wanted: str) -> str:
        known = {name: positions[0] for index in reversed(self._indexes[1:]) for name, positions in index.items()}
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.7)
        names = list(dict.fromkeys(self._labels[known[name]].display_name for name in near))
        return f"; did you mean {' or '.join(names)}?" if names else ""


def normalized(text: str) -> str:
    """Returns a text in lower case, with single spaces in place of underscores, hyphens and other spaces."""
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _index(names: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """The positions of the labels that have a name, by normalised name."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for position, words in enumerate(names):
        for word in dict.fromkeys(normalized(word) for word in words):
            found[word].append(position)
    return dict(found)
