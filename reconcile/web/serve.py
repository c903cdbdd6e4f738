"""Run the HTTP door on sockets that are bound already, until it is told to stop."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

#: Requests that are under way have this long to end.
GRACE_SECONDS = 20
#: An idle connection is kept for this long.
KEEP_ALIVE_SECONDS = 30
#: Of a request's head: line and headers together.
HEAD_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the door's own certificate and, for clients' certificates, of their CA."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    client_required: bool = False


class HttpServer(uvicorn.Server):
    """Serves one application; signals are its owner's business."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tls: Tls | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(_config(app, tls))
        self._on_open = on_open

    def serve_on(self, sockets: Sequence[socket.socket]) -> None:
        """Serve until `stop`; requests that are under way are finished first."""
        self.run(list(sockets))

    def stop(self) -> None:
        """Take nothing new, finish what began. From any thread, or a signal handler."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door, and say so."""
        await super().startup(sockets)
        if self.started and self._on_open is not None:
            self._on_open()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again when it has ended."""
        yield


def _config(app: ASGIApp, tls: Tls | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        # The access log would hold query strings, and patients stand in them.
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=str(tls.client_ca) if tls and tls.client_ca else None,
        ssl_cert_reqs=_required(tls),
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return config


def _required(tls: Tls | None) -> int:
    if tls is None or tls.client_ca is None:
        return ssl.CERT_NONE
    return ssl.CERT_REQUIRED if tls.client_required else ssl.CERT_OPTIONAL
