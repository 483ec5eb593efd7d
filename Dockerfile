# Two images for all processes, web and workers:
#   slim  classifies with OpenVINO; has no TensorFlow
#   full  slim and TensorFlow, which builds models, writes TFRecords and is the reference engine   (the default)
# Both hold the default model in /opt/mlsite/models, from where `manage.py prepare` imports it.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# --- Dependencies and the model ---

FROM base AS builder
COPY requirements/uv.txt requirements/
RUN python -m venv /opt/uv \
 && /opt/uv/bin/python -m pip install --quiet --no-cache-dir --require-hashes -r requirements/uv.txt
ENV UV_PYTHON=/opt/venv/bin/python UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_HTTP_TIMEOUT=180
COPY requirements/serve.txt requirements/
RUN python -m venv --without-pip /opt/venv \
 && /opt/uv/bin/uv pip install --require-hashes -r requirements/serve.txt

FROM builder AS model-builder
COPY requirements/run.txt requirements/
# TensorFlow's C headers and C parser are a fifth of its size, and nothing here uses them.
RUN /opt/uv/bin/uv pip install --require-hashes -r requirements/run.txt \
 && rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include /opt/venv/lib/python3.11/site-packages/clang/native
# Only the package that builds the model: other changes do not rebuild it.
COPY worker worker
ARG MODEL=efficientnet-lite0
RUN TF_CPP_MIN_LOG_LEVEL=3 python -c "from pathlib import Path; from worker.inference.repository import Repository; \
models = Repository(Path('/opt/mlsite/models')); models.activate(str(models.install('$MODEL', report=print)))"

# --- Runtime images ---

FROM base AS runtime
# All images use the same user id, so that they can share volumes. A new volume gets the owner of the folder on which it
# is mounted.
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --no-create-home --home-dir /tmp app \
 && install -d -o app -g app -m 0700 /data /data/models /src/feedback /secrets
# MALLOC_ARENA_MAX: glibc gives every few threads a separate heap and keeps freed memory there.
ENV DATA_DIR=/data \
    FEEDBACK_FILE=/src/feedback/feedback \
    STATIC_DIR=/opt/mlsite/static \
    HOST=0.0.0.0 \
    HOME=/tmp \
    MALLOC_ARENA_MAX=2
EXPOSE 8000
# For the web server. Workers are checked with `manage.py worker_health`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "manage.py", "web"]

FROM runtime AS slim
COPY --from=builder /opt/venv /opt/venv
COPY --from=model-builder /opt/mlsite/models /opt/mlsite/models
COPY . .
RUN chmod -R a+rX . && python -m compileall -q . \
 && SECRET_KEY=build python manage.py prepare --only-static-files
USER 10001:10001

FROM runtime AS full
COPY --from=model-builder /opt/venv /opt/venv
COPY --from=model-builder /opt/mlsite/models /opt/mlsite/models
COPY --from=slim /app /app
COPY --from=slim /opt/mlsite/static /opt/mlsite/static
USER 10001:10001
