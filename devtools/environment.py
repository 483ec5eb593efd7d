"""The environment of the tests, set before Django reads its settings (pytest loads this with `-p`).

Tests neither see nor change a developer's `.env` and `var/`.
"""

import atexit
import os
import shutil
import tempfile

DATA_DIR = tempfile.mkdtemp(prefix="mlsite-tests-")
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)

# Tests empty the queue and fill the database, so they use only servers that are named for tests.
for name in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(name, None)
    os.environ.pop(f"{name}_FILE", None)
    if value := os.environ.get(f"TEST_{name}"):
        os.environ[name] = value

SITE = (
    "DEBUG",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "SECRET_KEY_FILE",
    "STATIC_DIR",
    "LOG_FORMAT",
    "HOST",
    "PORT",
    "WORKERS",
    "WEB_THREADS",
)
MODELS = ("MODEL", "ENGINE", "PRECISION", "ENGINE_THREADS", "BATCH_MAX_SIZE", "BATCH_MAX_WAIT_MS", "REUSE_ANSWERS")
LIMITS = ("QUEUE_MAX_LENGTH", "UPLOAD_MAX_BYTES", "UPLOAD_MAX_PIXELS")
REVIEW = ("REVIEW_BELOW_SCORE", "REVIEW_CLAIM_MINUTES")
for name in (*SITE, *MODELS, *LIMITS, *REVIEW, "FEEDBACK_FILE"):
    os.environ.pop(name, None)

os.environ |= {
    "DJANGO_SETTINGS_MODULE": "mlsite.settings",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "for tests only",
    "DATA_DIR": DATA_DIR,
    "HTTPS": "false",
    "PREDICT_WAIT_SECONDS": "20",
    "REVIEW_SAMPLE_RATE": "0",  # no randomness, except in the tests of the sample
    "TF_CPP_MIN_LOG_LEVEL": "3",  # without TensorFlow's start messages in the log of every failing test
}
