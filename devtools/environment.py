"""The environment of the tests, set before Django reads its settings (pytest loads this with `-p`).

A developer's `.env` and `var/` do not affect the tests, and the tests do not change them. Each process of pytest-xdist
has a separate data folder and Redis database; pytest-django gives it a separate database.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from devtools.own_servers import redis_databases

XDIST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1, ...; empty in the process that was started

if XDIST_WORKER:  # DATA_DIR comes from the parent process, which removes the folder at the end
    DATA_DIR = str(Path(os.environ["DATA_DIR"]) / XDIST_WORKER)
    Path(DATA_DIR).mkdir()
else:
    DATA_DIR = tempfile.mkdtemp(prefix="mlsite-tests-")
    atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)

# Processes of pytest-xdist use separate servers if there are several: all databases of a Redis server share its
# channels and its list of clients.
if XDIST_WORKER and (urls := os.environ.get("TEST_REDIS_URLS", "").split()):
    os.environ["TEST_REDIS_URL"] = urls[int(XDIST_WORKER.removeprefix("gw")) % len(urls)]

# Tests empty the queue and fill the database, so they use only the servers that the variables with TEST_ name.
for name in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(name, None)
    os.environ.pop(f"{name}_FILE", None)
    if value := os.environ.get(f"TEST_{name}"):
        os.environ[name] = value
if XDIST_WORKER and "REDIS_URL" in os.environ:
    url = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{redis_databases()[0]}").geturl()
    os.environ["REDIS_URL"] = os.environ["TEST_REDIS_URL"] = url

# Settings that a developer may have set in the environment: the tests run with the defaults.
SITE = (
    "DEBUG",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "SECRET_KEY_FILE",
    "SECRET_KEY_FALLBACKS",
    "IDENTITY_KEY",
    "IDENTITY_KEY_FILE",
    "STATIC_DIR",
    "LOG_FORMAT",
    "HOST",
    "PORT",
    "WORKERS",
    "WEB_THREADS",
    "TRUSTED_PROXIES",
    "CLIENT_STALL_SECONDS",
)
MODELS = (
    "MODEL",
    "ENGINE",
    "PRECISION",
    "ENGINE_THREADS",
    "MODEL_LOAD_SECONDS",
    "BATCH_MAX_SIZE",
    "BATCH_MAX_WAIT_MS",
    "REUSE_ANSWERS",
    "EMBEDDINGS",
    "EXAMPLES",
)
LIMITS = (
    "QUEUE_MAX_LENGTH",
    "QUEUE_MAX_WAITING_PER_CLIENT",
    "RATE_LIMIT_PREDICTIONS",
    "RATE_LIMIT_FEEDBACK",
    "RATE_LIMIT_LABELS",
    "UPLOAD_MAX_BYTES",
    "UPLOAD_MAX_PIXELS",
    "DECODE_MEMORY_BYTES",
)
REVIEW = ("REVIEW_BELOW_SCORE", "REVIEW_CLAIM_MINUTES")
for name in (*SITE, *MODELS, *LIMITS, *REVIEW, "FEEDBACK_FILE"):
    os.environ.pop(name, None)

os.environ |= {
    "DJANGO_SETTINGS_MODULE": "mlsite.settings",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "for tests only",
    "DATA_DIR": DATA_DIR,
    "HTTPS": "false",
    "PRECISION": "f32",  # `auto` would measure in each new site, and the answers would depend on the machine
    "PREDICT_WAIT_SECONDS": "20",
    "REVIEW_SAMPLE_RATE": "0",  # no randomness, except in the tests of the sample
    "TF_CPP_MIN_LOG_LEVEL": "3",  # without TensorFlow's start messages in the log of every failing test
}
