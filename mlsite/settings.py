"""All settings, read from the environment. docs/configuration.md explains each variable.

The defaults are safe for production, and no secret has a default value.
"""

import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
import structlog
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from mlsite import embedded_valkey, logs, probes
from mlsite.environment import Env, boolean, database, networks, number, one_of
from mlsite.secret_files import read_secret
from worker.inference.engines import ENGINES, PRECISIONS

BASE_DIR = Path(__file__).resolve().parent.parent

ENV_FILE = os.environ.get("ENV_FILE", "")
if ENV_FILE and not os.path.exists(ENV_FILE):
    raise ImproperlyConfigured(f"ENV_FILE: there is no file {ENV_FILE}.")
environ.Env.read_env(ENV_FILE or BASE_DIR / ".env")  # the environment of the process wins
env = Env()


def absolute_path(value: str) -> Path:
    """A relative path starts at the project, not at the working directory of the process."""
    try:
        return (BASE_DIR / Path(value).expanduser()).resolve()
    except RuntimeError as error:  # `~name` for an unknown user
        raise ValueError(f"{value}: {error}") from error


# --- Files and folders ----------------------------------------------------------------------------

DATA_DIR = env("DATA_DIR", cast=absolute_path, default=BASE_DIR / "var")
MODELS_DIR = DATA_DIR / "models"
FEEDBACK_FILE = env("FEEDBACK_FILE", cast=absolute_path, default=DATA_DIR / "feedback")

# --- Safety ---------------------------------------------------------------------------------------

DEBUG = env("DEBUG", cast=boolean, default=False)

SECRET_KEY_PATH = DATA_DIR / "secret-key"  # `manage.py up` creates it
SECRET_KEY = env("SECRET_KEY", default="") or read_secret(SECRET_KEY_PATH)
if not SECRET_KEY and sys.argv[1:2] != ["up"]:
    raise ImproperlyConfigured(
        f"SECRET_KEY is not set. Set it (or SECRET_KEY_FILE), or run `make run`, which keeps one in {DATA_DIR}."
    )
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", cast=str.strip, default=[])  # newest first

# Authors of feedback, senders of pictures and the audit sample are hashed with this key. It outlives SECRET_KEY: with
# another key nobody would be recognized again, and the sample would be drawn anew.
IDENTITY_KEY_PATH = DATA_DIR / "identity-key"  # `manage.py up` and `manage.py prepare` create it
IDENTITY_KEY = (
    env("IDENTITY_KEY", default="") or read_secret(IDENTITY_KEY_PATH) or [SECRET_KEY, *SECRET_KEY_FALLBACKS][-1]
)

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", cast=str.strip, default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", cast=str.strip, default=[])

# `manage.py up`, which serves plain HTTP on this machine, turns this off.
HTTPS = env("HTTPS", cast=boolean, default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0  # a year
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
# Probes come over plain HTTP from the same network, and must not be redirected.
SECURE_REDIRECT_EXEMPT = [rf"^{path[1:]}$" for path in probes.PATHS]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"

# No foreign resources, no inline scripts or styles. `blob:` is for the preview of a picture before its upload.
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin/django_rq/"],  # its pages, for superusers only, have inline scripts
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "font-src": [SELF],
        "manifest-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}
# Only the upload page uses the camera. Pages of other sites cannot embed it (`frame-ancestors`).
PERMISSIONS_POLICY = "camera=(self), geolocation=(), microphone=()"

# --- Applications ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    "mlsite",
    "learning",
    "review",
    "feedback",
    "predictions",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_rq",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "mlsite.http_metrics.HttpMetricsMiddleware",
    "mlsite.logs.RequestLogMiddleware",
    "mlsite.web.compression.CompressionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "mlsite.permissions_policy.permissions_policy",
    "mlsite.charsets.ignore_other_codecs",
    "mlsite.charsets.ignore_cookies_with_nul",
    "predictions.admission.middleware.AdmissionMiddleware",
    "mlsite.web.middleware.UnreceivedBodyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "mlsite.probes.HostCheckMiddleware",
    "mlsite.errors.page_for_wrong_method",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "mlsite.errors.RejectionMiddleware",
    "mlsite.admin.addresses.UnusableValueMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "mlsite.urls"
WSGI_APPLICATION = "mlsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "predictions.site_address.for_templates",
            ],
        },
    },
]

# --- Logins ---------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "mlsite.password_hashing.SerialPBKDF2PasswordHasher",
    # The other hashers of Django's default, for accounts that were created elsewhere.
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# A user name is locked for one client, not for everybody: otherwise anyone could lock out any account.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)  # older failures are deleted with the next login of anybody
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "mlsite.logins.locked_address"
AXES_LOCKOUT_CALLABLE = "mlsite.logins.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- Database -------------------------------------------------------------------------------------

DATABASES = {"default": env("DATABASE_URL", cast=database, default=database(f"sqlite:///{DATA_DIR / 'db.sqlite3'}"))}
DATABASES["default"]["CONN_MAX_AGE"] = 60  # seconds; each thread of the web server holds one connection
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# The longest waits. A request that waits holds a thread of the web server.
DATABASE_CONNECT_SECONDS = 5
DATABASE_LOCK_SECONDS = 10
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # WAL lets readers work beside one writer. An immediate transaction waits for the write lock when it begins,
        # so that it cannot fail half-way with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": DATABASE_LOCK_SECONDS,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": DATABASE_CONNECT_SECONDS,
        "options": f"-c lock_timeout={DATABASE_LOCK_SECONDS}s",
        **DATABASES["default"].get("OPTIONS", {}),
    }
DATABASE_ROUTERS = ["mlsite.routers.UnmanagedModelRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue ----------------------------------------------------------------------------------------

# The embedded server of `manage.py up` listens only on this socket.
EMBEDDED_VALKEY_URL = f"unix://{embedded_valkey.socket_path(DATA_DIR)}"
REDIS_URL = env("REDIS_URL", default=EMBEDDED_VALKEY_URL)
if REDIS_URL.partition("://")[0] not in {"redis", "rediss", "unix"}:
    raise ImproperlyConfigured("REDIS_URL must begin with redis://, rediss:// or unix://.")

RQ_QUEUES = {
    "predictions": {
        "URL": REDIS_URL,
        "DEFAULT_TIMEOUT": 120,  # seconds for one job
        "SERIALIZER": "rq.serializers.JSONSerializer",
    },
    "exports": {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer"},
}
RQ = {"WORKER_CLASS": "predictions.prediction_worker.PredictionWorker"}

# --- Predictions ----------------------------------------------------------------------------------

DEFAULT_MODEL = "efficientnet-lite0"  # `manage.py up` installs it if no model is active
MODEL = env("MODEL", default="")  # empty: the version that `manage.py model activate` chose
ENGINE = env("ENGINE", cast=one_of(*ENGINES), default="openvino")
PRECISION = env("PRECISION", cast=one_of("auto", *PRECISIONS), default="auto")
if PRECISION == "bf16" and ENGINE != "openvino":
    raise ImproperlyConfigured(f"PRECISION={PRECISION!r} is for ENGINE='openvino' only.")
ENGINE_THREADS = env("ENGINE_THREADS", cast=number(int, 0, 1024), default=0)  # 0: one for each usable core
MODEL_LOAD_SECONDS = env("MODEL_LOAD_SECONDS", cast=number(int, 1, 86_400), default=300)
BATCH_MAX_SIZE = env("BATCH_MAX_SIZE", cast=number(int, 1, 1024), default=32)
BATCH_MAX_WAIT_MS = env("BATCH_MAX_WAIT_MS", cast=number(int, 0, 10_000), default=0)
QUEUE_MAX_LENGTH = env("QUEUE_MAX_LENGTH", cast=number(int, 1, 10_000_000), default=10_000)
QUEUE_MAX_WAITING_PER_CLIENT = env("QUEUE_MAX_WAITING_PER_CLIENT", cast=number(int, 0, 10_000_000), default=1000)
REUSE_ANSWERS = env("REUSE_ANSWERS", cast=boolean, default=True)
EMBEDDINGS = env("EMBEDDINGS", cast=boolean, default=True)
EXAMPLES = env("EXAMPLES", cast=boolean, default=True)
PREDICT_WAIT_SECONDS = env("PREDICT_WAIT_SECONDS", cast=number(int, 1, 600), default=30)
UPLOAD_MAX_BYTES = env("UPLOAD_MAX_BYTES", cast=number(int, 1024, 2**31), default=20 * 2**20)
UPLOAD_SHRINK_SIDE = env("UPLOAD_SHRINK_SIDE", cast=number(int, 0, 100_000), default=1600)
DECODE_MEMORY_BYTES = env("DECODE_MEMORY_BYTES", cast=number(int, 1, 2**50), default=256 * 2**20)
UPLOAD_MAX_PIXELS = env("UPLOAD_MAX_PIXELS", cast=number(int, 1, 500_000_000), default=50_000_000)

# Requests per minute and client, in each web process; 0: no limit.
RATE_LIMIT_PREDICTIONS = env("RATE_LIMIT_PREDICTIONS", cast=number(int, 0, 10_000_000), default=6000)
RATE_LIMIT_FEEDBACK = env("RATE_LIMIT_FEEDBACK", cast=number(int, 0, 10_000_000), default=600)
RATE_LIMIT_LABELS = env("RATE_LIMIT_LABELS", cast=number(int, 0, 10_000_000), default=1200)

# --- Review ---------------------------------------------------------------------------------------

REVIEW_BELOW_SCORE = env("REVIEW_BELOW_SCORE", cast=number(float, 0, 1), default=0.1)  # a lower score opens a case
REVIEW_SAMPLE_RATE = env("REVIEW_SAMPLE_RATE", cast=number(float, 0, 1), default=0.01)  # of all pictures
REVIEW_CLAIM_MINUTES = env("REVIEW_CLAIM_MINUTES", cast=number(int, 1, 1440), default=15)

# --- Web server -----------------------------------------------------------------------------------

WEB_THREADS = env("WEB_THREADS", cast=number(int, 33, 4096), default=320)  # each request that is handled holds one
# The proxies whose `X-Forwarded-For` is believed (see predictions/client_address.py).
TRUSTED_PROXIES = env("TRUSTED_PROXIES", cast=networks, default=[])
CLIENT_STALL_SECONDS = env("CLIENT_STALL_SECONDS", cast=number(int, 1, 600), default=30)

# --- Static files, uploads and exports ------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = env("STATIC_DIR", cast=absolute_path, default=DATA_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = DATA_DIR / "uploads"
EXPORTS_DIR = DATA_DIR / "exports"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "predictions.uploads.storage.ContentAddressedStorage"},
    # Not WhiteNoise's storage, which compresses all files: that adds ten seconds to the first start.
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "mlsite.static_files.HashedStaticFilesStorage",
        "OPTIONS": {"directory_permissions_mode": 0o755, "file_permissions_mode": 0o644},  # no secrets, unlike the rest
    },
}
FILE_UPLOAD_HANDLERS = ["predictions.uploads.parser.DiscardingUploadHandler"]

# --- API ------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "predictions.api.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mlsite",
    "DESCRIPTION": "Send a picture, get a label and a score. Report wrong answers.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "PredictionState": "predictions.models.Prediction.State",
        "Verdict": "feedback.models.Feedback.Verdict",
    },
}

# --- Language, time, logs -------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "mlsite.formats"
USE_TZ = True
LOGIN_URL = "admin:login"
CSRF_FAILURE_VIEW = "mlsite.errors.csrf_failure"

LOG_FORMAT = env("LOG_FORMAT", cast=one_of("text", "json"), default="text")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"()": "mlsite.logs.text_lines"}, "json": {"()": "mlsite.logs.json_lines"}},
    "filters": {"failures": {"()": "mlsite.log_limits.FailureFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["failures"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # The request middleware logs each request, and a failure with its traceback.
    # mlsite/logins.py logs what django-axes logs in several lines.
    "loggers": {"django.request": {"level": "CRITICAL"}, "axes": {"level": "ERROR"}},
}
logging.captureWarnings(True)  # Pillow warns of odd pictures: these lines have the format of all others
structlog.configure(
    processors=[logs.drop_streaming_events, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_USER_ID_FIELD = ""  # to log the user would cost a query
