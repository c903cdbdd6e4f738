"""Listening sockets: made, and accepted from in the door's loop.

Several processes may listen on one socket. Each connection goes to whoever is first, so
one that has more associations than others waits longer before it accepts: otherwise the
process that happened to wake first would take all that come at once, and one processor
would do the work of two. Who may come in is not decided here.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from reconcile.errors import ConfigurationError

LOG = logging.getLogger(__name__)

BACKLOG = 128
"""Connections that the kernel keeps while we are busy."""

WAIT_SECONDS = 0.001
"""For each association that is here, before the next connection is accepted: the loop's
clock knows nothing shorter."""

WAIT_SECONDS_MAX = 0.020
"""From then on whoever is quicker is as good: nobody should wait longer for an answer."""

_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_DESCRIPTORS_SECONDS = 0.1


def listen(host: str, port: int) -> socket.socket:
    """A bound and listening socket, to be shared by file descriptor among processes.

    Args:
        host: name or address; empty: all of this machine.
        port: 0 for any that is free.

    Raises:
        ConfigurationError: it cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror})"
        ) from error
    return listening


class Listener:
    """Accepts one connection at a time, and does nothing with it.

    Args:
        loop: whose thread this lives in.
        listening: this one's to close.
        inside: how many associations this process has.
        accepted: takes a connection and the IP address of its peer.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        inside: Callable[[], int],
        accepted: Callable[[socket.socket, str], None],
    ) -> None:
        self._loop = loop
        self._listening = listening
        self._inside = inside
        self._accepted = accepted
        self._waiting: asyncio.TimerHandle | None = None
        listening.setblocking(False)  # another process may have been quicker

    def start(self) -> None:
        """Wait for connections."""
        self._waiting = None
        self._loop.add_reader(self._listening.fileno(), self._ready)

    def stop(self) -> None:
        """Take no more connections; it may have been stopped already."""
        if self._listening.fileno() < 0:
            return
        if self._waiting is not None:
            self._waiting.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()

    def _ready(self) -> None:
        """A connection waits: leave it to others for a while, or take it."""
        seconds = min(self._inside() * WAIT_SECONDS, WAIT_SECONDS_MAX)
        if seconds:
            self._pause(seconds, self._accept_and_go_on)
        else:
            self._accept()

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._waiting = self._loop.call_later(seconds, then)

    def _accept_and_go_on(self) -> None:
        self.start()
        self._accept()

    def _accept(self) -> None:
        try:
            connection, address = self._listening.accept()
        except OSError as error:
            if (error.errno or 0) in _NO_DESCRIPTORS:
                LOG.error("no connection taken why=%s", errno.errorcode[error.errno or 0])
                self._pause(_NO_DESCRIPTORS_SECONDS, self.start)
            return
        with suppress(OSError):  # the peer has gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._accepted(connection, str(address[0]))
