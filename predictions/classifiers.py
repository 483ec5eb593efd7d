"""The classifier of this process: the active model version, loaded once.

A version that is activated later is loaded in the background, while the earlier one answers.
"""

import logging
import threading
import time

from django.conf import settings
from django.db import connections

from predictions import precision
from worker.inference.classifier import Classifier
from worker.inference.repository import ModelVersion, NotInstalled, Repository, RepositoryError
from worker.rq_batch.heartbeat import end_process_after

logger = logging.getLogger(__name__)

# How long a version that could not be loaded is left alone. Its files may be restored meanwhile.
RETRY_SECONDS = 60

_lock = threading.Lock()  # guards the four below
_loaded: Classifier | None = None
_loading: threading.Thread | None = None
_failed = ""  # the newly activated version that could not be loaded last
_failed_at = 0.0  # `time.monotonic`


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


def installed_version(name: str) -> ModelVersion | None:
    """Returns the installed version `name@version`, or None. Its files are not verified, so this is cheap."""
    return next((version for version in repository().versions() if str(version) == name), None)


def active_name() -> str:
    """Returns the name of the version to answer with, or "". Every request calls this, so it opens no version.

    Only if `MODEL` is a name without a number, it reads the manifests of the installed versions.
    """
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
    """Returns the loaded classifier, warmed up. The first call loads the active version.

    If another version has been activated since, starts to load that in the background. Raises
    `worker.inference.repository.RepositoryError` or `worker.inference.engines.EngineError` if the first version cannot
    be loaded.
    """
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = _load(active_version())
        loaded = _loaded
    load_activated()
    return loaded


def load_activated() -> None:
    """Starts to load a newly activated version in the background, unless that is being done or has just failed.

    If `MODEL` is a name, this is the newest version of that name.

    The loaded version answers until then, and stays if the new one is damaged. A load that hangs ends the process. Does
    nothing before the first `current`.
    """
    global _loading
    name = active_name()
    with _lock:
        if _loaded is None or name in {"", str(_loaded.version)}:
            return
        if _loading is not None and _loading.is_alive():
            return
        if name == _failed and time.monotonic() - _failed_at < RETRY_SECONDS:
            return
        # Not a daemon: a process that ends in the middle of loading may crash in the engine.
        _loading = threading.Thread(target=_replace, args=(name,), name="model loading")
        _loading.start()


def _replace(name: str) -> None:
    global _loaded, _failed, _failed_at
    try:
        with end_process_after(settings.MODEL_LOAD_SECONDS):
            classifier = _load(active_version())
    except Exception:
        logger.exception("The active model version %s cannot be used; keeping %s.", name, loaded_version())
        with _lock:
            _failed, _failed_at = name, time.monotonic()
    else:
        with _lock:
            _loaded = classifier
        logger.info("Answering with %s.", classifier.version)
    finally:
        connections.close_all()  # those of this thread, which ends here


def _load(version: ModelVersion) -> Classifier:
    chosen = precision.chosen(version)
    logger.info("Loading %s (%s, %s).", version, settings.ENGINE, chosen)
    classifier = Classifier.load(
        version,
        engine=settings.ENGINE,
        precision=chosen,
        threads=settings.ENGINE_THREADS,
        features=settings.EMBEDDINGS,
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
            "input_size": version.manifest.preprocessing.width,
            "input_width": version.manifest.preprocessing.width,
            "input_height": version.manifest.preprocessing.height,
        }
        for version in repository().versions()
    ]
