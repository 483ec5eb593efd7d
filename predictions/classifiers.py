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
    """The model version to answer with: `MODEL` if it is set, else the one that was made active.

    Raises `worker.inference.repository.RepositoryError` if there is none, with what to do about it.
    """
    if settings.MODEL:
        # Only what is loaded is compared with its hashes, and loading does that.
        named = [v for v in repository().versions() if settings.MODEL in {str(v), v.name}]
        return named[-1] if named else repository().get(settings.MODEL)
    version = repository().active()
    if version is None:
        raise NotInstalled(f"No model is active. Install one: manage.py model install {settings.DEFAULT_MODEL}")
    return version


def active_name() -> str:
    """The name of the version to answer with, or an empty string: for every request, so it opens no version."""
    if "@" in settings.MODEL:
        return str(settings.MODEL)
    try:
        return str(active_version()) if settings.MODEL else repository().active_name()
    except RepositoryError:
        return ""


def loaded_version() -> str:
    """The version this process has loaded, or an empty string."""
    return str(_loaded.version) if _loaded else ""


def current() -> Classifier:
    """The classifier for the active version, warmed up. Loads when first called and when another version is active.

    A version that turns out to be damaged when it is made active does not replace the one that works. Raises
    `worker.inference.repository.RepositoryError` or `worker.inference.engines.EngineError` if there is none that works.
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
            logger.exception("The active model version cannot be used; going on with %s.", _loaded.version)
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
    """The installed versions, for `GET /api/models`."""
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
