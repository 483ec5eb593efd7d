# Two images for all processes, web and workers:
#   slim  answers with OpenVINO; has no TensorFlow
#   full  the same and TensorFlow: builds models, is the reference engine, writes TFRecords   (the default)
# Both hold the default model, built here, in /opt/mlsite/models; `manage.py prepare` takes it into the folder of models.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# --- What is installed ---

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
# Headers for those who compile against TensorFlow, and the parser of C that comes with it, are a fifth of it.
RUN /opt/uv/bin/uv pip install --require-hashes -r requirements/run.txt \
 && rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include /opt/venv/lib/python3.11/site-packages/clang/native
# Of the project only what builds a model: a change elsewhere need not build it again.
COPY worker worker
ARG MODEL=efficientnet-lite0
RUN TF_CPP_MIN_LOG_LEVEL=3 python -c "from pathlib import Path; from worker.inference.repository import Repository; \
models = Repository(Path('/opt/mlsite/models')); models.activate(str(models.install('$MODEL', report=print)))"

# --- What runs ---

FROM base AS runtime
# The same number in every image, so that all may use the same volumes. A new volume is filled from the folder that it
# covers, and so belongs to this user too.
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --no-create-home --home-dir /tmp app \
 && install -d -o app -g app -m 0750 /data /data/models /src/feedback \
 && install -d -o app -g app -m 0700 /secrets
# glibc gives every few threads a heap of their own, which keep what was freed in them.
ENV DATA_DIR=/data \
    FEEDBACK_FILE=/src/feedback/feedback \
    STATIC_DIR=/opt/mlsite/static \
    HOST=0.0.0.0 \
    HOME=/tmp \
    MALLOC_ARENA_MAX=2
EXPOSE 8000
# The web server's. Other processes have commands of their own: `manage.py worker_health`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "manage.py", "web"]

FROM runtime AS slim
COPY --from=builder /opt/venv /opt/venv
COPY --from=model-builder /opt/mlsite/models /opt/mlsite/models
COPY . .
RUN chmod -R a+rX . && python -m compileall -q . \
 && SECRET_KEY=build python manage.py collectstatic --no-input --verbosity 0 --ignore redoc
USER 10001:10001

FROM runtime AS full
COPY --from=model-builder /opt/venv /opt/venv
COPY --from=model-builder /opt/mlsite/models /opt/mlsite/models
COPY --from=slim /app /app
COPY --from=slim /opt/mlsite/static /opt/mlsite/static
USER 10001:10001
