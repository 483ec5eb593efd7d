"""The classifier of this process: the active model version, loaded once."""

import logging
import threading

from django.conf import settings

from worker.inference.classifier import Classifier
from worker.inference.engines import EngineError
from worker.inference.repository import ModelVersion, NotInstalled, Repository, RepositoryError

logger = logging.getLogger(__name__)

_lock = threading.Lock()
_loaded: Classifier | None = None


def repository() -> Repository:
    return Repository(settings.MODELS_DIR)


def active_version() -> ModelVersion:
    """Returns the model version to answer with: `MODEL` if it is set, else the activated one.

    Raises `worker.inference.repository.RepositoryError` if there is none. Its message says how to install one.
    """
    if settings.MODEL:
        # No files are verified here: loading verifies those of the version that it loads.
        named = [v for v in repository().versions() if settings.MODEL in {str(v), v.name}]
        return named[-1] if named else repository().get(settings.MODEL)
    version = repository().active()
    if version is None:
        raise NotInstalled(f"No model is active. Install one: manage.py model install {settings.DEFAULT_MODEL}")
    return version


def active_name() -> str:
    """Returns the name of the version to answer with, or "". Every request calls this, so it opens no version."""
    if "@" in settings.MODEL:
        return str(settings.MODEL)
    try:
        return str(active_version()) if settings.MODEL else repository().active_name()
    except RepositoryError:
        return ""


def loaded_version() -> str:
    """Returns the version that this process has loaded, or an empty string."""
    return str(_loaded.version) if _loaded else ""


def current() -> Classifier:
    """Returns the classifier of the active version, warmed up. Loads it on the first call and after an activation.

    A newly activated version that is damaged does not replace the loaded one. Raises
    `worker.inference.repository.RepositoryError` or `worker.inference.engines.EngineError` if no version works.
    """
    global _loaded
    with _lock:
        if _loaded is not None and settings.MODEL:
            return _loaded  # a setting does not change under a running process
        try:
            if _loaded is None or str(_loaded.version) != active_name():
                _loaded = _load(active_version())
        except (RepositoryError, EngineError):
            if _loaded is None:
                raise
            logger.exception("The active model version cannot be used; keeping %s.", _loaded.version)
        return _loaded


def _load(version: ModelVersion) -> Classifier:
    logger.info("Loading %s (%s, %s).", version, settings.ENGINE, settings.PRECISION)
    classifier = Classifier.load(
        version,
        engine=settings.ENGINE,
        precision=settings.PRECISION,
        threads=settings.ENGINE_THREADS,
        max_pixels=settings.UPLOAD_MAX_PIXELS,
    )
    classifier.warm_up(settings.BATCH_MAX_SIZE)
    return classifier


def installed_models() -> list[dict[str, object]]:
    """Returns the installed versions, for `GET /api/models`."""
    try:
        active = str(active_version())
    except RepositoryError:
        active = ""
    return [
        {
            "model": str(version),
            "active": str(version) == active,
            "classes": version.manifest.classes,
            "input_size": version.manifest.preprocessing.size,
        }
        for version in repository().versions()
    ]
