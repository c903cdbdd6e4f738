# The archive for production use; see docker-compose.yml. Built from a clone, by hashes.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY docker/requirements.lock docker/requirements.lock
RUN python -m venv /opt/reconcile \
    && /opt/reconcile/bin/pip install --no-cache-dir --require-hashes -r docker/requirements.lock
COPY . .
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --no-index -w dist . \
    && /opt/reconcile/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin reconcile \
    && install -d -o reconcile -g reconcile -m 700 /var/lib/reconcile
COPY --from=build /opt/reconcile /opt/reconcile
ENV PATH=/opt/reconcile/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUTF8=1 \
    RECONCILE_DATA_DIR=/var/lib/reconcile
USER reconcile
VOLUME /var/lib/reconcile
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=15s --timeout=5s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["reconcile"]
CMD ["serve"]
