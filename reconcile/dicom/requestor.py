"""An association that we ask for, as SCU: one thread's, which waits for the peer.

Whatever goes wrong on the way makes it `Lost`: it is closed then, and good for nothing
more. Nothing that the peer sends is believed before it is bounded.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from reconcile.dicom import pdus
from reconcile.dicom.commands import CommandSet
from reconcile.dicom.destinations import Remote
from reconcile.dicom.limits import ASSOCIATE_AC, ASSOCIATE_RJ, RELEASE_RP, Limits
from reconcile.dicom.pdus import COMMAND, DataBegins, Fragment, Pdu, PduReader
from reconcile.dicom.proposing import Accepted, Pair, read_acceptance, request_pdu
from reconcile.errors import ReconcileError

LOG = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""For the connection, and over TLS for the handshake."""

ANSWER_SECONDS = 60.0
"""For the association, and for each answer; a peer that writes to a tape takes long."""

_RECEIVE_BYTES = 64 * 1024
_SERVICE_USER, _NOT_SPECIFIED = 0, 0


class Lost(ReconcileError):
    """The association is over, or never was."""

    title = "No association with the destination"


class Requestor:
    """An association from its request to its end. Used by one thread.

    Attributes:
        accepted: what the peer takes.
    """

    def __init__(
        self, remote: Remote, calling: str, proposed: Sequence[Pair], limits: Limits
    ) -> None:
        """Connect and associate.

        Raises:
            Lost: it cannot be reached, or refuses.
        """
        self._limits = limits
        self._reader = PduReader(limits)
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._socket = _connected(remote)
        try:
            self.accepted = self._associate(remote, calling, proposed)
        except BaseException:
            self._close()
            raise

    def _associate(
        self, remote: Remote, calling: str, proposed: Sequence[Pair]
    ) -> Accepted:
        maximum = self._limits.maximum_pdu
        self._send(request_pdu(remote.ae_title, calling, proposed, maximum))
        token = self._next()
        if isinstance(token, Pdu) and token.kind == ASSOCIATE_RJ:
            raise Lost("the destination refuses the association")
        if not isinstance(token, Pdu) or token.kind != ASSOCIATE_AC:
            raise Lost("the destination does not answer as the protocol says")
        try:
            return read_acceptance(token.body, proposed)
        except ReconcileError as error:
            raise Lost(str(error)) from error

    def ask(self, pair: Pair, command: bytes, blocks: Iterable[tuple[bytes, bool]]) -> None:
        """Send a request with its data set.

        Args:
            pair: of an accepted presentation context.
            command: the command set.
            blocks: of the data set, each with whether it is the last one.

        Raises:
            Lost: there is no association any more.
            ReconcileError: whatever `blocks` raises; there is none either then.
        """
        context_id = self.accepted.contexts[pair]
        maximum = self.accepted.maximum_length
        try:
            self._send(pdus.data_pdus(context_id, COMMAND, command, maximum))
            for block, last in blocks:
                self._send(pdus.data_pdus(context_id, 0, block, maximum, last=last))
        except BaseException:
            self.abort()
            raise

    def answer(self) -> CommandSet:
        """Wait for the answer to what was asked last.

        Raises:
            Lost: there is no association any more.
        """
        try:
            return self._answer()
        except BaseException:
            self.abort()
            raise

    def release(self) -> None:
        """End it; the peer may have ended it already."""
        try:
            self._send(pdus.release_rq())
            token = self._next()
            if not isinstance(token, Pdu) or token.kind != RELEASE_RP:
                LOG.info("release answered otherwise")
        except Lost as error:
            LOG.info("release not answered why=%r", str(error))
        self._close()

    def abort(self) -> None:
        """End it at once."""
        with suppress(OSError):
            self._socket.sendall(pdus.abort(_SERVICE_USER, _NOT_SPECIFIED))
        self._close()

    def break_off(self) -> None:
        """From another thread: whoever waits for the peer waits no longer."""
        with suppress(OSError):
            # not TLS's own: that one would let what is sent next go out in the clear
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    # -- Bytes -------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Lost("the destination has closed the connection") from error

    def _answer(self) -> CommandSet:
        held = bytearray()
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            token = self._next()
            if isinstance(token, Pdu):
                raise Lost("the destination has ended the association")
            if time.monotonic() > until:
                raise Lost("the destination does not end its answer")
            if isinstance(token, DataBegins):
                continue
            if not token.command:
                raise Lost("the destination answers with a data set")
            held += token.data
            if len(held) > self._limits.command_bytes:
                raise Lost("the destination answers more than the limit")
            if token.last:
                return CommandSet.parse(held)

    def _next(self) -> DataBegins | Pdu | Fragment:
        while True:
            try:
                token = self._reader.next()
                if token is not None:
                    return token
                received = self._socket.recv_into(self._buffer)
            except TimeoutError as error:
                raise Lost("the destination does not answer") from error
            except OSError as error:
                raise Lost("the destination has closed the connection") from error
            except ReconcileError as error:
                raise Lost("the destination does not keep to the protocol") from error
            if not received:
                raise Lost("the destination has closed the connection")
            self._reader.receive(self._buffer[:received])


def _connected(remote: Remote) -> socket.socket:
    try:
        plain = socket.create_connection((remote.host, remote.port), CONNECT_SECONDS)
    except OSError as error:
        raise Lost("the destination cannot be reached") from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected: socket.socket = plain
        if remote.tls is not None:
            connected = remote.tls.wrap_socket(plain, server_hostname=remote.host)
        connected.settimeout(ANSWER_SECONDS)
    except OSError as error:
        plain.close()
        raise Lost("TLS with the destination failed") from error
    return connected
