# GraphiQL's files, verified by the hashes in the lock file.
FROM node:22-slim AS graphiql
WORKDIR /app/app/web/graphiql
COPY app/web/graphiql/package.json app/web/graphiql/package-lock.json app/web/graphiql/.npmrc ./
RUN npm ci --silent

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements-install.lock requirements-image.lock ./
RUN python -m venv /opt/install && python -m venv --without-pip /opt/marquee \
    && /opt/install/bin/pip install --no-cache-dir --require-hashes -r requirements-install.lock \
    && /opt/install/bin/uv pip install --no-cache --compile-bytecode --python /opt/marquee/bin/python \
        --require-hashes -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY schema schema
COPY recommender recommender
COPY seeds seeds
COPY migrations migrations
COPY --from=graphiql /app/app/web/graphiql/node_modules app/web/graphiql/node_modules
RUN python app/web/graphiql/fetch.py \
    && /opt/install/bin/python -m pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /tmp . \
    && /opt/install/bin/uv pip install --no-cache --compile-bytecode --python /opt/marquee/bin/python \
        --no-deps --no-index /tmp/marquee-*.whl

FROM python:3.11-slim-bookworm
# Alembic reads its settings from pyproject.toml; all other files are installed in /opt/marquee.
WORKDIR /app
COPY pyproject.toml ./
COPY migrations migrations
COPY --from=build /opt/marquee /opt/marquee
RUN useradd --system --uid 10001 --no-create-home marquee \
    && install --directory --owner marquee --group marquee /var/lib/marquee /var/lib/marquee/models
ENV PATH=/opt/marquee/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    OPENBLAS_NUM_THREADS=1 \
    DATA_DIR=/var/lib/marquee \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001
VOLUME /var/lib/marquee/models
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=2)"]
CMD ["marquee", "serve"]
