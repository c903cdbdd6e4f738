"""A syslog server of the tests' own: TLS, one connection after the other."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support import atna

#: struct linger: on, for no seconds.
_AT_ONCE = struct.pack("ii", 1, 0)


@dataclass
class Repository:
    """What came; `cut_after`: bytes after which a connection is broken, once."""

    port: int
    streams: list[bytes] = field(default_factory=list)
    cut_after: int | None = None

    @property
    def logged(self) -> list[atna.Logged]:
        """Every message that came whole, in its order; each is valid."""
        return [atna.logged(each) for s in self.streams for each in atna.frames(s)]


@contextmanager
def repository(context: ssl.SSLContext) -> Iterator[Repository]:
    """A server that listens while the context lasts."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Repository(listening.getsockname()[1])
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                plain, _ = listening.accept()
                _take(server, plain, context)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def _take(server: Repository, plain: socket.socket, context: ssl.SSLContext) -> None:
    plain.settimeout(10)
    with plain, context.wrap_socket(plain, server_side=True) as secured:
        stream = b""
        while part := secured.recv(65536):
            stream += part
            if server.cut_after is not None and len(stream) > server.cut_after:
                server.cut_after = None
                # As a crash in the midst of reading does: nobody says goodbye.
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                return
        server.streams.append(stream)
        secured.unwrap()
