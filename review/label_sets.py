"""The label sets that this site knows: those of the installed versions, and those that mappings have stored."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from predictions import classifiers, labels
from predictions.labels import LabelIndex
from review.models import LabelSet
from worker.inference.repository import Label, ModelVersion, RepositoryError


def known_labels(version: ModelVersion) -> LabelIndex:
    """Returns the labels of an installed version. Raises `worker.inference.repository.Damaged`."""
    return labels.read(version.path.parents[1], str(version))


def installed_labels(version: str) -> LabelIndex | None:
    """Returns the labels of a version, or `None` if it is not installed or is damaged."""
    try:
        return labels.read(settings.MODELS_DIR, version)
    except RepositoryError:
        return None


def active_version() -> ModelVersion | None:
    """Returns the version that answers, or `None` if there is no usable one."""
    try:
        return classifiers.active_version()
    except RepositoryError:
        return None


def stored_labels(label_set: LabelSet) -> LabelIndex:
    """Returns the labels of a stored label set, without their synonyms."""
    return LabelIndex([Label(id_, name[0] if name else word, word) for id_, word, *name in label_set.labels])


def remember(version: ModelVersion) -> LabelSet:
    """Stores the labels of a version, so that they stay known after it is removed.

    Raises `worker.inference.repository.Damaged`.
    """
    known = known_labels(version)
    with transaction.atomic():
        label_set, _created = (
            LabelSet.objects.select_for_update()
            .defer("labels")
            .get_or_create(
                fingerprint=known.fingerprint, defaults={"labels": [_stored(label) for label in known.labels]}
            )
        )
        if str(version) not in label_set.versions:
            label_set.versions = [*label_set.versions, str(version)]
            label_set.save(update_fields=["versions"])
    return label_set


def _stored(label: Label) -> list[str]:
    stored = [label.id, label.display_name]
    return stored if label.name == label.display_name else [*stored, label.name]
