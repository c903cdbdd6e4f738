"""The MLLP listener: sockets in, one thread at a time per connection.

`async` stays in here. Every connection is read only as fast as its messages are
answered, so many messages may be in flight on it and stay in order, and a fast sender
fills its own buffers, not ours.

Source: HL7 v2 MLLP Release 1; IHE ITI-19 (TLS).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import ssl as tls
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from reconcile.errors import ReconcileError
from reconcile.hl7.errors import BlockTooLarge
from reconcile.hl7.feed import Peer
from reconcile.hl7.mllp import MESSAGE_BYTES_MAX, Framer, frame

log = logging.getLogger(__name__)

Handle = Callable[[bytes, Peer], bytes]
Refuse = Callable[[bytes, ReconcileError], bytes]

READ_BYTES = 64 * 1024
HANDSHAKE_SECONDS = 10.0

#: How long a peer may take to accept an answer.
WRITE_SECONDS = 30.0

#: How long a refused sender is still listened to, so that the refusal reaches it: a
#: socket closed over unread bytes takes back what was written last.
LINGER_SECONDS = 2.0

#: RFC 4514 names of what subjects are made of.
_ATTRIBUTES = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
}


@dataclass(frozen=True, slots=True)
class _Limits:
    message_bytes_max: int
    idle_seconds: float
    frame_seconds: float
    connections_max: int


async def serve(
    sockets: Sequence[socket.socket],
    handle: Handle,
    *,
    stop: asyncio.Event,
    refuse: Refuse | None = None,
    ssl: tls.SSLContext | None = None,
    message_bytes_max: int = MESSAGE_BYTES_MAX,
    idle_seconds: float = 3600.0,
    frame_seconds: float = 60.0,
    connections_max: int = 64,
    threads: int = 8,
) -> None:
    """Answer messages on bound sockets until `stop` is set.

    Then nothing new is taken: messages that are being handled are answered, all else is
    left to its sender, who has had no acknowledgement.

    Args:
        sockets: bound, not yet listening or already so.
        handle: makes the acknowledgement of a message; empty: none is sent. Runs in a
            thread, one at a time per connection.
        refuse: makes the acknowledgement of a message that is too large, by its first
            bytes. Without it the connection is just closed.
        stop: set from the loop's own thread to end.
        ssl: for MLLP over TLS.
        message_bytes_max: what a message may have at most.
        idle_seconds: how long a connection may be silent between messages.
        frame_seconds: how long one message may take to arrive.
        connections_max: how many may be open; one more is closed at once.
        threads: how many messages are handled at a time, over all connections.
    """
    limits = _Limits(message_bytes_max, idle_seconds, frame_seconds, connections_max)
    with ThreadPoolExecutor(threads, thread_name_prefix="hl7") as pool:
        listener = _Listener(handle, refuse, pool, limits)
        servers = [await _listen(listener, bound, ssl) for bound in sockets]
        await stop.wait()
        for server in servers:
            server.close()
        await listener.finish()


async def _listen(
    listener: _Listener, bound: socket.socket, ssl: tls.SSLContext | None
) -> asyncio.Server:
    handshake = HANDSHAKE_SECONDS if ssl else None
    return await asyncio.start_server(
        listener.accept,
        sock=bound,
        ssl=ssl,
        ssl_handshake_timeout=handshake,
        limit=READ_BYTES,
    )


class _Listener:
    """The connections that are open, and what they have in common."""

    def __init__(
        self,
        handle: Handle,
        refuse: Refuse | None,
        pool: ThreadPoolExecutor,
        limits: _Limits,
    ) -> None:
        self.handle = handle
        self.refuse = refuse
        self.pool = pool
        self.limits = limits
        self.stopping = False
        self._open: dict[asyncio.Task[None], _Connection] = {}

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.stopping or len(self._open) >= self.limits.connections_max:
            log.warning("connection refused: stopping, or too many are open")
            writer.close()
            return
        connection = self._open[task] = _Connection(self, reader, writer)
        try:
            await connection.converse()
        finally:
            del self._open[task]

    async def finish(self) -> None:
        """Let messages that are being handled be answered, and close all else."""
        self.stopping = True
        tasks = list(self._open)
        for task, connection in self._open.items():
            if not connection.busy:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    """One sender, from its first byte to its last.

    Attributes:
        busy: a message is being handled or answered.
    """

    def __init__(
        self,
        listener: _Listener,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.busy = False
        self._listener = listener
        self._limits = listener.limits
        self._reader = reader
        self._writer = writer
        self._framer = Framer(listener.limits.message_bytes_max)
        # When the block that has begun must be whole.
        self._whole_by = 0.0

    async def converse(self) -> None:
        """Answer messages until either side is done. Raises nothing."""
        try:
            peer = self._prepare()
            while not self._listener.stopping:
                data = await self._read()
                if not data:
                    break
                await self._answer_all(data, peer)
        except BlockTooLarge as error:
            await self._refuse(error)
        except ReconcileError as error:
            log.warning("connection closed: %s", error)
        except OSError as error:  # time-outs and TLS faults are among them
            log.info("connection lost: %s", type(error).__name__)
        except asyncio.CancelledError:
            pass  # stopping, and nothing was being handled
        except Exception as error:  # noqa: BLE001  `handle` promised not to
            # Not what it says: that may hold a patient's values.
            log.error("connection closed: a message failed: %s", type(error).__name__)
        finally:
            await self._close()

    def _prepare(self) -> Peer:
        bound = self._writer.get_extra_info("socket")
        if bound is not None and bound.family != getattr(socket, "AF_UNIX", None):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return peer_of(self._writer)

    async def _read(self) -> bytes:
        seconds = self._limits.idle_seconds
        if self._framer.inside:
            seconds = self._whole_by - asyncio.get_running_loop().time()
        async with asyncio.timeout(seconds):
            return await self._reader.read(READ_BYTES)

    async def _answer_all(self, data: bytes, peer: Peer) -> None:
        """Handle every message that `data` completes, one after the other."""
        new = not self._framer.inside
        for message in self._framer.feed(data):
            new = True
            await self._answer(message, peer)
            if self._listener.stopping:
                return
        if new:
            now = asyncio.get_running_loop().time()
            self._whole_by = now + self._limits.frame_seconds

    async def _answer(self, message: bytes, peer: Peer) -> None:
        self.busy = True
        try:
            loop, listener = asyncio.get_running_loop(), self._listener
            handling = loop.run_in_executor(listener.pool, listener.handle, message, peer)
            answer = await handling
            if answer:
                await self._write(answer)
        finally:
            self.busy = False

    async def _write(self, answer: bytes) -> None:
        self._writer.write(frame(answer))
        async with asyncio.timeout(WRITE_SECONDS):
            await self._writer.drain()

    async def _refuse(self, error: BlockTooLarge) -> None:
        log.warning("connection closed: %s", error)
        with suppress(OSError, asyncio.CancelledError):
            if self._listener.refuse is not None:
                await self._write(self._listener.refuse(error.head, error))
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(READ_BYTES):
                    pass

    async def _close(self) -> None:
        self._writer.close()
        with suppress(OSError, asyncio.CancelledError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._writer.wait_closed()
            return
        self._writer.transport.abort()


def peer_of(writer: asyncio.StreamWriter) -> Peer:
    """Address and, over TLS, verified certificate of the other end."""
    name = writer.get_extra_info("peername")
    certificate = writer.get_extra_info("peercert") or {}
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    subject = ",".join(f"{_ATTRIBUTES.get(key, key)}={value}" for key, value in parts)
    names = [value for key, value in parts if key == "commonName"]
    names += [v for key, v in certificate.get("subjectAltName", ()) if key == "DNS"]
    secured = writer.get_extra_info("ssl_object")
    encoded = secured.getpeercert(binary_form=True) if certificate and secured else b""
    fingerprint = hashlib.sha256(encoded).hexdigest() if encoded else ""
    address = str(name[0]) if isinstance(name, tuple) else ""
    return Peer(address, subject, fingerprint, frozenset(names))
