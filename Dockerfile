# syntax=docker/dockerfile:1
# Build:  docker build -t gradient-service .
# Run:    docker run --rm -p 8000:8000 gradient-service
# The base is pinned by its tag. What is installed on it is pinned by hash.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements-build.txt requirements.txt requirements-jit.txt ./
RUN python -m venv /opt/gradient \
    && /opt/gradient/bin/python -m pip install --require-hashes -r requirements-build.txt \
    && /opt/gradient/bin/python -m pip install --require-hashes -r requirements.txt \
    && /opt/gradient/bin/python -m pip install --require-hashes -r requirements-jit.txt
COPY pyproject.toml README.md LICENSE ./
COPY docs ./docs
COPY service ./service
RUN /opt/gradient/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/gradient/bin/python -m pip uninstall -y pip setuptools

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="gradient-service" \
    org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/gradient/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRADIENT_HOST=0.0.0.0 \
    GRADIENT_PORT=8000 \
    GRADIENT_JIT_CACHE=/tmp/gradient-jit \
    DATABASE_URL=sqlite:////var/lib/gradient/store.sqlite3
COPY --from=build /opt/gradient /opt/gradient
COPY deploy/serve /usr/local/bin/serve
RUN mkdir -p /var/lib/gradient && chown 10001:10001 /var/lib/gradient
USER 10001:10001
WORKDIR /var/lib/gradient
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['GRADIENT_PORT'] + '/healthz', timeout=2)"]
CMD ["serve"]
