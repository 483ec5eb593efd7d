"""The label sets that this site knows: those of the installed versions, and those that mappings have stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from django.conf import settings
from django.db import transaction

from predictions import classifiers
from review.models import LabelSet
from worker.inference.repository import ModelVersion, Repository, RepositoryError, fingerprint


@dataclass(frozen=True)
class KnownLabels:
    """A label set in memory. `ids`: the id of each label, by the word that rows store."""

    fingerprint: str
    ids: Mapping[str, str]

    @cached_property
    def words(self) -> dict[str, str]:
        """The word that rows store for each label, by the label's id."""
        return {id_: word for word, id_ in self.ids.items()}


def known_labels(version: ModelVersion) -> KnownLabels:
    """Returns the labels of an installed version. Raises `worker.inference.repository.Damaged`."""
    return _installed(version.path.parents[1], str(version))


def installed_labels(version: str) -> KnownLabels | None:
    """Returns the labels of a version, or `None` if it is not installed or is damaged."""
    try:
        return _installed(settings.MODELS_DIR, version)
    except RepositoryError:
        return None


@lru_cache(maxsize=16)
def _installed(folder: Path, name: str) -> KnownLabels:
    """Reads the labels of an installed version, which never change. An error is not kept."""
    labels = Repository(folder).find(name).labels
    return KnownLabels(fingerprint(labels), {label.display_name: label.id for label in labels})


def active_version() -> ModelVersion | None:
    """Returns the version that answers, or `None` if there is no usable one."""
    try:
        return classifiers.active_version()
    except RepositoryError:
        return None


def stored_labels(label_set: LabelSet) -> KnownLabels:
    return KnownLabels(label_set.fingerprint, {word: id_ for id_, word in label_set.labels})


def remember(version: ModelVersion) -> LabelSet:
    """Stores the labels of a version, so that they stay known after it is removed.

    Raises `worker.inference.repository.Damaged`.
    """
    labels = known_labels(version)
    with transaction.atomic():
        label_set, _created = LabelSet.objects.select_for_update().get_or_create(
            fingerprint=labels.fingerprint,
            defaults={"labels": [[id_, word] for word, id_ in labels.ids.items()]},
        )
        if str(version) not in label_set.versions:
            label_set.versions = [*label_set.versions, str(version)]
            label_set.save(update_fields=["versions"])
    return label_set


def usable_version(label_set: LabelSet) -> str:
    """Returns the name of an installed version with these labels, or an empty string."""
    for name in reversed(label_set.versions):
        found = installed_labels(name)
        if found is not None and found.fingerprint == label_set.fingerprint:
            return str(name)
    return ""
