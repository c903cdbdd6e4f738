"""Run the HTTP door on sockets that are bound already, until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

#: Requests that are under way have this long to end.
GRACE_SECONDS = 20
#: An idle connection is kept for this long.
KEEP_ALIVE_SECONDS = 30
#: Of a request's head: line and headers together.
HEAD_BYTES_MAX = 64 * 1024
#: How often it is looked whether all sockets are open.
_TICK_SECONDS = 0.02


class HttpServer(uvicorn.Server):
    """Serves one application on one socket; signals are its owner's business."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(_config(app, tls))

    def stop(self) -> None:
        """Take nothing new, finish what began. From any thread, or a signal handler."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again when it has ended."""
        yield


def run(
    app: ASGIApp,
    sockets: Mapping[str, socket.socket],
    stop: threading.Event,
    *,
    on_ready: Callable[[], None],
    tls: Callable[[str], ssl.SSLContext | None] = lambda name: None,
) -> None:
    """Serve until `stop` is set; requests that are under way are finished first.

    Args:
        app: what is served, on all sockets alike.
        sockets: by name, listening.
        stop: set by whoever wants it to end, from any thread or signal handler.
        on_ready: called when all sockets are served.
        tls: of a socket, by its name; None: it is served without.
    """
    servers = [(HttpServer(app, tls(name)), opened) for name, opened in sockets.items()]
    asyncio.run(_serve(servers, stop, on_ready))


async def _serve(
    servers: list[tuple[HttpServer, socket.socket]],
    stop: threading.Event,
    on_ready: Callable[[], None],
) -> None:
    running = [asyncio.create_task(server.serve([opened])) for server, opened in servers]
    while not all(server.started for server, _ in servers):
        await asyncio.sleep(_TICK_SECONDS)
        for task in running:
            if task.done():
                task.result()
    on_ready()
    await asyncio.to_thread(stop.wait)
    for server, _ in servers:
        server.stop()
    await asyncio.gather(*running)


def _config(app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # The access log would hold query strings, and patients stand in them.
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda config, default: tls) if tls else None,
    )
