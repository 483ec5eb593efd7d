"""The steps before the processes start. Each step does nothing if its work is done already."""

import hashlib
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from whitenoise.compress import Compressor

from mlsite import child_process
from mlsite.secret_files import kept_secret
from mlsite.web.compression import COMPRESSED_SUFFIXES, HASHED_NAME
from predictions import classifiers
from worker.inference.repository import ModelVersion, RepositoryError

Report = Callable[[str], None]


def prepare_data_folder() -> None:
    """Creates `DATA_DIR`. Raises `ImproperlyConfigured` if nothing can be written there."""
    path: Path = settings.DATA_DIR
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"DATA_DIR: cannot create the folder {path}: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"DATA_DIR: the folder {path} is not writable.")


def prepare_permissions(report: Report) -> None:
    """Makes `DATA_DIR` and the files of SQLite private, which earlier releases created readable for everybody."""
    paths = [Path(settings.DATA_DIR)]
    if connection.vendor == "sqlite":
        database = str(connection.settings_dict["NAME"])
        paths += [Path(database + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
    for path in paths:
        if not path.exists() or not (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            continue
        try:
            path.chmod(mode & ~0o077)
        except OSError as error:
            report(f"Permissions: other users of this machine may read {path}: {error.strerror}")
        else:
            report(f"Permissions: {path} is for its owner only now; its mode was {mode:o}")


def prepare_secret_key() -> None:
    """Generates a secret key in `DATA_DIR` if none is set; it outlives restarts, and other commands find it there."""
    if not (os.environ.get("SECRET_KEY") or os.environ.get("SECRET_KEY_FILE")):
        settings.SECRET_KEY = kept_secret(settings.SECRET_KEY_PATH)


def prepare_identity_key() -> None:
    """Keeps the identity key in `DATA_DIR` if none is set, so that it outlives a change of the secret key.

    Its first value is the oldest secret key: an existing site recognizes the authors that it knows.
    """
    if not (os.environ.get("IDENTITY_KEY") or os.environ.get("IDENTITY_KEY_FILE")):
        first = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS][-1]
        settings.IDENTITY_KEY = kept_secret(settings.IDENTITY_KEY_PATH, first)


def prepare_database(report: Report) -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        report("Database: creating or updating the tables")
        call_command("migrate", interactive=False, verbosity=0)


def prepare_static_files(report: Report) -> None:
    """Collects the static files, unless they have not changed since the last time."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    fingerprint = _static_fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint:
        return
    report("Pages: collecting the static files")
    # Redoc comes with Swagger UI. It is half of all bytes, and this site does not use it.
    call_command("collectstatic", interactive=False, verbosity=0, clear=True, ignore_patterns=["redoc"])
    _compress_static_files()
    stamp.write_text(fingerprint)
    stamp.chmod(_static_file_mode())


def _static_fingerprint() -> str:
    """Returns a hash of everything that decides what is collected.

    Times of files decide nothing: a release from an archive may be older than the folder that the last one collected.
    """
    base = Path(settings.BASE_DIR)
    storage: str = settings.STORAGES["staticfiles"]["BACKEND"]  # DEBUG uses another one, which writes no manifest
    digest = hashlib.sha256(storage.encode())
    for source in [base / "requirements" / "run.txt", *sorted((base / "static").rglob("*"))]:
        if source.is_file():
            digest.update(f"{source.relative_to(base)}\0".encode())
            digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def _compress_static_files() -> None:
    """Compresses the files that pages refer to. WhiteNoise finds the compressed files beside the others."""
    compressor = Compressor(use_brotli=False, quiet=True)
    for path in Path(settings.STATIC_ROOT).rglob("*"):
        if re.search(HASHED_NAME, path.name) and path.suffix in COMPRESSED_SUFFIXES:
            for compressed in compressor.compress(str(path)):
                Path(compressed).chmod(_static_file_mode())


def _static_file_mode() -> int:
    """Returns the mode of collected files, which other users may read: the web server of an image is another user."""
    mode: int = settings.STORAGES["staticfiles"]["OPTIONS"]["file_permissions_mode"]
    return mode


def prepare_model(report: Report) -> ModelVersion:
    """Returns the active version. Installs `MODEL` if it is missing, or the default model if no version is active.

    Raises `worker.inference.repository.RepositoryError` if no valid version can be installed.
    """
    repository = classifiers.repository()
    if settings.MODEL:
        name = settings.MODEL.partition("@")[0]
        missing = not any(version.name == name for version in repository.versions())
    else:
        name = settings.DEFAULT_MODEL
        missing = repository.active() is None
    if missing:
        report(f"Model: installing {name}")
        _install(name, report, activate=not settings.MODEL)
    return classifiers.active_version()


def _install(name: str, report: Report, *, activate: bool) -> None:
    """Installs in a separate process: TensorFlow, which builds the model, needs much memory and stays loaded."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "model", "install", name]
    command += ["--activate"] if activate else []
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"} | os.environ | child_process.environment_of_child()
    with subprocess.Popen(  # noqa: S603 - our own command line
        child_process.command(command), env=quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
        reader.start()
        try:
            for line in process.stdout:
                report(f"  {line.rstrip()}")
        except BaseException:
            process.terminate()  # this process is being stopped: the child must not go on
            raise
        finally:
            reader.join()
    if process.returncode:
        raise RepositoryError(errors[-1].strip() if errors else f"the installation of {name} was interrupted")
