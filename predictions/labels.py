"""The labels of model versions: what they are, what a word of a row means, and search."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence, Set
from functools import cached_property, lru_cache
from pathlib import Path

from django.conf import settings
from django.urls import reverse

from predictions import classifiers
from predictions.models import Prediction
from worker.inference.label_search import LabelMatch, LabelSearch, other_names
from worker.inference.repository import ModelVersion, NotInstalled, Repository, RepositoryError, fingerprint
from worker.inference.repository.labels import Label
from worker.inference.repository.reference_images import ReferenceImages

logger = logging.getLogger(__name__)

LIMIT = 20


def readable(word: str) -> str:
    """Returns a label as pages show it: `Eskimo dog` for `Eskimo_dog`."""
    return word.replace("_", " ")


class LabelIndex:
    """The labels of one label set. It is immutable, so many threads may use it.

    Rows name a label by its display name. Rows of earlier releases name it by its name, which two labels may share.
    """

    def __init__(self, labels: Sequence[Label] = (), images: ReferenceImages | None = None) -> None:
        self.labels = tuple(labels)
        self.images = images
        self._by_word = {label.display_name: label for label in self.labels}
        self._by_id = {label.id: label for label in self.labels}
        self._by_shown = {readable(word): word for word in self._by_word}
        # Names that are no display name.
        self._by_name: dict[str, list[Label]] = defaultdict(list)
        for label in self.labels:
            if label.name not in self._by_word:
                self._by_name[label.name].append(label)

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, word: str) -> bool:
        return word in self._by_word

    @cached_property
    def fingerprint(self) -> str:
        """See `worker.inference.repository.fingerprint`."""
        return fingerprint(self.labels)

    @property
    def ids(self) -> Set[str]:
        return self._by_id.keys()

    def get(self, word: str) -> Label | None:
        """Returns the label with this display name."""
        return self._by_word.get(word)

    def id_of(self, word: str) -> str | None:
        """Returns the id of the label with this display name."""
        label = self._by_word.get(word)
        return label.id if label else None

    def with_id(self, label_id: str) -> Label | None:
        return self._by_id.get(label_id)

    def meant_by(self, word: str) -> tuple[Label, ...]:
        """Returns the labels that a word of a row may mean: one, or all that share the word as their name, or none."""
        label = self._by_word.get(word)
        return (label,) if label else tuple(self._by_name.get(word, ()))

    def word_of(self, text: str) -> str:
        """Returns the label that pages show as this text, or else the text itself."""
        return self._by_shown.get(readable(text), text)

    def words_for(self, word: str) -> tuple[str, ...]:
        """Returns the words of rows that may mean the label with this display name: `crane (bird)` and `crane`."""
        label = self._by_word.get(word)
        return (word, label.name) if label and label.name in self._by_name else (word,)

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Returns the other names of the label with this display name."""
        label = self._by_word.get(word)
        return other_names(label) if label else ()

    def reference_images(self, word: str) -> list[str]:
        """Returns the addresses of the images that show what the label with this display name means; most have none."""
        position = self._positions.get(word)
        if self.images is None or position is None:
            return []
        numbers = range(1, self.images.count(position) + 1)
        return [reverse("api:reference-image", args=[self.images.version, position, number]) for number in numbers]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {label.display_name: position for position, label in enumerate(self.labels)} if self.images else {}

    def search(
        self, text: str, *, first: Sequence[str] = (), exclude: Collection[str] = (), limit: int = LIMIT
    ) -> list[LabelMatch]:
        """Returns up to `limit` labels that match a text, best match first; see `LabelSearch.search`.

        `first` are the labels that a model predicted, best first. `exclude` are labels to leave out.
        """
        # One search at a time: it computes in Python, and hundreds at once would keep all other threads from running.
        with _searching:
            found = self._search.search(text, first=first, limit=limit + len(exclude))
        return [match for match in found if match.label.display_name not in exclude][:limit]

    def resolve(self, text: str) -> str | None:
        """Returns the label that a text names, by its own name or by a synonym of no other label; otherwise `None`."""
        if text in self._by_word:
            return text
        label = self._search.resolve(text)
        return label.display_name if label else None

    def find(self, text: str) -> Sequence[Label]:
        """Returns the labels that a text in a file names; see `LabelSearch.find`."""
        return self._search.find(text)

    def prepare(self) -> None:
        """Makes the tables that the first search needs."""
        self._search.prepare()

    @property
    def _search(self) -> LabelSearch:
        return _search_tables(self)


EMPTY = LabelIndex()
_searching = threading.Lock()

_KEPT_VERSIONS = 16
_SEARCHED_VERSIONS = 4  # search tables take more memory than the labels
_lock = threading.Lock()  # so that threads read the labels of a version once


@lru_cache(maxsize=_SEARCHED_VERSIONS)
def _search_tables(index: LabelIndex) -> LabelSearch:
    return LabelSearch(index.labels)


@lru_cache(maxsize=_SEARCHED_VERSIONS)
def _prepare(index: LabelIndex) -> None:
    """Makes the search tables in a thread: those of 12,000 labels take half a second."""
    threading.Thread(target=index.prepare, name="labels", daemon=True).start()


def index(model_version: str = "") -> LabelIndex:
    """Returns the labels of a model version, to search in them; by default those of the active version.

    If the version is no longer installed, these are the labels of the active one. If there is no usable version, the
    index is empty. `of_version` and `meant_by` are cheaper if nothing is searched.
    """
    found = _installed_or_active(model_version)
    if found:
        _prepare(found)
    return found


def meant_by(word: str, model_version: str = "") -> tuple[Label, ...]:
    """Returns the labels of `index(model_version)` that a word of a row may mean."""
    return _installed_or_active(model_version).meant_by(word)


def of_version(model_version: str) -> LabelIndex:
    """Returns the labels of a model version, for ids and descriptions: none if it is no longer installed."""
    try:
        return _installed(model_version) if model_version else EMPTY
    except NotInstalled:
        return EMPTY


def read(folder: Path, name: str) -> LabelIndex:
    """Returns the labels of a version that is installed in a models folder.

    They never change, so that they are read once. An error is not kept. Raises
    `worker.inference.repository.RepositoryError`.
    """
    with _lock:
        return _read(folder, name)


@lru_cache(maxsize=_KEPT_VERSIONS)
def _read(folder: Path, name: str) -> LabelIndex:
    version = Repository(folder).find(name)
    return LabelIndex(version.labels, _reference_images(version))


def _reference_images(version: ModelVersion) -> ReferenceImages | None:
    try:
        return version.reference_images
    except RepositoryError:  # the labels are of use without them
        logger.exception("The reference images of %s cannot be read.", version)
        return None


def _installed_or_active(model_version: str) -> LabelIndex:
    if model_version:
        try:
            return _installed(model_version)
        except NotInstalled:
            pass
    name = classifiers.active_name()
    try:
        return _installed(name) if name else EMPTY
    except NotInstalled:
        logger.exception("The labels of %s cannot be read.", name)
        return EMPTY


def _installed(name: str) -> LabelIndex:
    """Returns the labels of an installed version; none if they are damaged. Raises `NotInstalled`."""
    # `read` remembers versions that have been removed since, and takes longer to find that out: many rows may name one.
    if not (settings.MODELS_DIR / name.replace("@", "/")).is_dir():
        raise NotInstalled(f"{name} is not installed")
    try:
        return read(settings.MODELS_DIR, name)
    except NotInstalled:
        raise
    except RepositoryError:
        logger.exception("The labels of %s cannot be read.", name)
        return EMPTY


def match(text: str, prediction: Prediction) -> str | None:
    """Returns the label that a text names among those of the version that answered; otherwise `None`.

    The labels of the answer stay known after the version is uninstalled.
    """
    answered = list(dict.fromkeys(str(label) for label, _score in prediction.top))
    if text in answered:
        return text
    known = index(prediction.model_version)
    if label := known.resolve(text):
        return label
    # Not a `LabelIndex`: its tables would displace those of a model version.
    other = LabelSearch(Label(word, word, word) for word in answered if word not in known).resolve(text)
    return other.display_name if other else None
