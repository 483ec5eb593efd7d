"""The environment that the tests run in, set before Django reads its settings (pytest loads this with `-p`).

Whatever a developer has in `.env` or in `var/` neither changes what the tests see nor is changed by them.
"""

import atexit
import os
import shutil
import tempfile

DATA_DIR = tempfile.mkdtemp(prefix="mlsite-tests-")
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)

# Tests empty the queue and fill the database: they use servers that are named for them, never those of a real site.
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
    "REVIEW_SAMPLE_RATE": "0",  # chance has no place here; tests of the sample set it
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's greeting would fill the log of every failing test
}
