"""Changes of the installed model versions. Commands and pages call the same functions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.template.defaultfilters import pluralize

from learning.versions.usage import Usage, usage_of
from predictions import classifiers
from review import label_sets
from worker.inference.engines import engines_for
from worker.inference.repository import ModelVersion, OtherVersionActive, RepositoryError, VersionInUse
from worker.inference.repository.names import shortened

logger = logging.getLogger(__name__)


class ModelSetInEnvironment(RepositoryError):
    """`MODEL` decides which version answers, so that an activation changes nothing."""


class VersionIsNamed(VersionInUse):
    """Predictions or cases name the version. `usage` has the numbers."""

    def __init__(self, version: str, usage: Usage) -> None:
        self.usage = usage
        predictions = f"{usage.predictions:,} prediction{pluralize(usage.predictions)}"
        cases = f"{usage.cases:,} case{pluralize(usage.cases, ' names,s name')}"
        super().__init__(f"{version} has answered {predictions}, and {cases} it")


class VersionNotLoadable(RepositoryError):
    """The engine of this site cannot load the version, so no worker could start with it."""


def check_activation_counts() -> None:
    """Raises `ModelSetInEnvironment` if an activation would change nothing."""
    if settings.MODEL:
        raise ModelSetInEnvironment(
            f"MODEL={settings.MODEL} is set in the environment, so every process answers with that one. "
            "Unset it and restart the site, and the active version answers."
        )


def check_loadable(version: ModelVersion) -> None:
    """Raises `VersionNotLoadable` if workers with this site's `ENGINE` cannot load a version.

    They would keep the earlier version, and not start again after they have ended.
    """
    able = engines_for(version)
    if settings.ENGINE not in able:
        raise VersionNotLoadable(
            f"{version} cannot become active, because ENGINE={settings.ENGINE} cannot load it; engines that can: "
            f"{', '.join(able)}"
        )


def processor_warning(version: ModelVersion) -> str:
    """Says which workers cannot load a version, or returns an empty string. Their processors are not known here."""
    if version.manifest.precision != "int8":
        return ""
    return f"Workers on processors without VNNI or AMX refuse {version}, because they would compute int8 wrongly."


def version_activate(reference: str, *, by: str, instead_of: str | None = None) -> ModelVersion:
    """Makes a version the active one.

    Args:
        reference: `name@version`, or a name for its newest version.
        by: the person or program that wants it, for the history of activations.
        instead_of: what a person has been shown as the active version. By default, any may be active.

    Raises:
        VersionNotLoadable: see `check_loadable`.
        RepositoryError: see `Repository.activate`.
    """
    repository = classifiers.repository()
    version = repository.find(reference)
    check_loadable(version)
    return repository.activate(str(version), by=by, instead_of=instead_of)


def version_rollback(reference: str | None = None, *, by: str, instead_of: str | None = None) -> ModelVersion:
    """Goes back to the version that was active before.

    Args:
        reference: the version that a person has been shown as that one. By default, it may be any.
        by: see `version_activate`; so is `instead_of`.

    Raises:
        VersionNotLoadable: see `check_loadable`.
        RepositoryError: see `Repository.rollback`.
    """
    repository = classifiers.repository()
    active = repository.known_active_name()
    if reference is not None and active == reference:
        return repository.get(reference)
    previous = repository.previous_name()
    if reference is not None and previous != reference:
        raise OtherVersionActive(
            f"the active version is {active or 'none'} now, from which a rollback activates "
            f"{previous or 'no version'}, not {shortened(reference)}"
        )
    if previous:
        check_loadable(repository.find(previous))
    return repository.rollback(by=by, instead_of=instead_of)


def version_remove(reference: str, *, force: bool = False, report: Callable[[str], None] = lambda line: None) -> None:
    """Deletes a version that does not answer.

    Args:
        force: even if predictions or cases name it.
        report: see `Repository.remove`.

    Raises:
        VersionInUse: it is active, or `MODEL` names it.
        VersionIsNamed: predictions or cases name it, and `force` is false.
        RepositoryError: see `Repository.remove`.
    """
    repository = classifiers.repository()
    name = repository.full_name(reference)
    if settings.MODEL and _answers(name):
        raise VersionInUse(f"{name} answers, because MODEL={settings.MODEL} is set in the environment")
    usage = usage_of(name)
    # The repository refuses the active version. It does so first, because no option changes that.
    if usage.is_used and not force and name != repository.active_name():
        raise VersionIsNamed(name, usage)
    if usage.is_used:
        _remember_labels(name)
    repository.remove(name, report=report)


def _remember_labels(name: str) -> None:
    """Keeps the labels of a version whose words decisions have, so that they can be translated after it is gone."""
    try:
        label_sets.remember(classifiers.repository().find(name))
    except RepositoryError:
        logger.warning("The labels of %s cannot be read, so its words can be translated by their text only.", name)


def _answers(name: str) -> bool:
    try:
        return str(classifiers.active_version()) == name
    except RepositoryError:
        return False
