# Balto in one image: the same program as `make run`, as an unprivileged user, with its state in a volume.
FROM python:3.11-slim-bookworm AS build
WORKDIR /srv/balto
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv .venv
COPY requirements.txt requirements-nodeps.txt ./
RUN .venv/bin/pip install -r requirements.txt \
    && .venv/bin/pip install --no-deps -r requirements-nodeps.txt

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 balto \
    && useradd --system --uid 10001 --gid 10001 --create-home --home-dir /var/lib/balto balto
WORKDIR /srv/balto
COPY --from=build /srv/balto/.venv .venv
COPY audio audio
COPY cestas cestas
COPY deployments deployments
COPY privacy privacy
COPY samples samples
COPY serve_app serve_app
COPY serve_config.yaml pyproject.toml ./
ENV PATH=/srv/balto/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    RAY_SERVE_ENABLE_HA_PROXY=1 \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S=10 \
    BALTO_STATE_DIR=/var/lib/balto/state
USER 10001:10001
VOLUME /var/lib/balto
EXPOSE 8765
# Ray takes half a minute to start on two cores. Its stop takes up to 25 s: give the container 45.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8765)}/saude', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "serve_app.run", "--lean"]
