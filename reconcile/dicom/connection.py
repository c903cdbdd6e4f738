"""The connection of one association: the socket's side of it, with its clocks.

Bytes go into the association and come out of it; reading stops while the association has
enough to do. What the bytes mean may not be put here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from typing import Protocol, cast

from reconcile.dicom import association
from reconcile.dicom.association import Association
from reconcile.dicom.clocks import Clocks, Due
from reconcile.dicom.journal import ABORTED
from reconcile.dicom.loop import Loop
from reconcile.dicom.policy import Certificate
from reconcile.dicom.states import State
from reconcile.flows.associations import Ended

LOG = logging.getLogger(__name__)


class Door(association.Door, Protocol):
    """What a connection needs of the door that it came through."""

    loop: Loop

    def left(self, connection: Connection) -> None:
        """It is closed, and nothing of its association is being carried out."""


class Connection(asyncio.BufferedProtocol):
    """One connection, from its acceptance to the end of its association."""

    def __init__(self, door: Door, address: str, name: str, *, admitted: bool) -> None:
        self.address = address
        self.admitted = admitted
        self.certificate: Certificate | None = None
        self.association = Association(door, self, name)
        self._upper = self.association.upper
        self._door = door
        self._loop = door.loop.asyncio
        self._began = self._loop.time()
        self._secured = False
        self._buffer = door.loop.buffer
        self._clocks = Clocks(door.limits, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self.stalled = False
        self._closing = False

    @property
    def quiet_seconds(self) -> float:
        """How long nothing has happened."""
        return self._loop.time() - self._clocks.heard

    def told(self) -> Ended | None:
        """What there is to tell of its association; None: it was none."""
        seconds = self._loop.time() - self._began
        return self.association.journal.told(seconds, self.certificate, tls=self._secured)

    # -- What the transport tells ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open, and over TLS the handshake is done."""
        self._transport = cast(asyncio.Transport, transport)
        secured = transport.get_extra_info("ssl_object")
        self._secured = secured is not None
        self.certificate = _certificate(secured)
        self._clocks.update(self._upper, self._loop.time(), reading=True)
        self._arm()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what is received: `buffer_updated` uses it up."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """The peer has sent something."""
        self.association.receive(self._buffer[:nbytes])

    def eof_received(self) -> None:
        """The peer has closed, if only its half: no association is half open."""
        self.association.connection_closed()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self.association.connection_closed()

    def pause_writing(self) -> None:
        """The peer does not read what we send."""
        self.stalled = True
        self._clocks.stalled(self._loop.time())

    def resume_writing(self) -> None:
        """It reads again."""
        self.stalled = False
        self._clocks.unstalled()
        self.association.look()

    # -- What the association asks for -------------------------------------------------

    def cut(self) -> None:
        """Close at once; what is not sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    def settle(self) -> None:
        """Send what there is to send, and do what the state asks for."""
        transport, upper = self._transport, self._upper
        if transport is None:
            if self.association.serving is None:
                self._door.left(self)
            return
        output = upper.take_output()
        if output and not self._closing:
            transport.write(output)
        self._listen(transport)
        self._clocks.update(upper, self._loop.time(), reading=self._reading)
        if upper.state is State.AWAITING_CLOSE and not self._closing:
            self._begin_closing(transport)
        elif upper.state is State.IDLE:
            _close(transport)

    def _listen(self, transport: asyncio.Transport) -> None:
        enough = self.stalled or self.association.full
        if enough == self._reading:
            self._reading = not enough
            if enough:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def _begin_closing(self, transport: asyncio.Transport) -> None:
        """Say that nothing more comes, and give the peer a moment to close.

        Closing over unread bytes resets the connection, and the reset would overtake the
        A-ABORT, A-ASSOCIATE-RJ or A-RELEASE-RP that was just sent.
        """
        self._closing = True
        if transport.can_write_eof():
            transport.write_eof()
        self._arm()

    # -- Clocks ------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._clocks.next_look(self._loop.time())
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        if self._upper.state is State.IDLE:
            return  # it is being closed
        quiet = self._reading and not self.association.working
        due = self._clocks.due(self._loop.time(), quiet=quiet)
        if due is not None:
            self._overdue(due)
        if self._transport is not None:
            self._arm()

    def _overdue(self, due: Due) -> None:
        match due:
            case Due.ARTIM:
                self._upper.artim_expired()
            case Due.PDU:
                self._upper.pdu_overdue()
            case Due.WRITE:
                self.association.journal.ends(ABORTED, "the peer does not read")
                self.cut()
            case Due.IDLE:
                LOG.warning("association idle association=%s", self.association.id)
                self.association.abort("nothing happened for too long")
        self.association.look()


def _close(transport: asyncio.Transport) -> None:
    if transport.get_write_buffer_size():
        transport.abort()  # it would wait for a peer that may never read
    else:
        transport.close()


def _certificate(secured: ssl.SSLObject | None) -> Certificate | None:
    encoded = secured.getpeercert(binary_form=True) if secured is not None else None
    if secured is None or not encoded:
        return None
    fingerprint = hashlib.sha256(encoded).hexdigest()
    return Certificate.of(fingerprint, secured.getpeercert() or {})
