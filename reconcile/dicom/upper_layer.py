"""The upper layer of an acceptor: pynetdicom 3.0.4's, bounded and event driven.

What is overridden, and why, so that another version of pynetdicom can be judged:

- `_read_pdu_data` allocates what a 32-bit length asks for and waits for it for ever:
  here the length is bounded before anything is allocated, and every PDU has a deadline.
- `run_reactor` looks at queues and socket every millisecond: here it sleeps in poll()
  until the peer sends, our side answers, or a timer ends.
- `select()` fails from file descriptor 1024 on: poll() does not.
- A socket closed at once after its last PDU may take that PDU with it: here the peer is
  first given a moment to read and close.

The state machine of PS3.8 section 9.2 remains pynetdicom's. Nothing about DIMSE or about
what is stored may be put here.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.transport import AssociationSocket

from reconcile.dicom.limits import ASSOCIATE_RQ, P_DATA_TF, Limits
from reconcile.errors import LimitExceeded, ReconcileError

if TYPE_CHECKING:
    from reconcile.dicom.association import DoorAssociation

LOG = logging.getLogger(__name__)

AWAITING_REQUEST = "Sta2"
AWAITING_CLOSE = "Sta13"
ESTABLISHED = "Sta6"

# events of PS3.8 Table 9-10 that our own side makes
_LOCAL = frozenset({"Evt1", "Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15"})
_SAFETY_NET = 30.0
_CLOSING_SECONDS = 1.0

_Item = TypeVar("_Item")


class NotifyingQueue(queue.Queue[_Item], Generic[_Item]):
    """A queue that calls a function after each item that is put into it."""

    def __init__(self, notify: Callable[[], None]) -> None:
        super().__init__()
        self._notify = notify

    def put(self, item: _Item, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._notify()


class Waker:
    """A way for other threads to end a poll(): a socket pair, safe after closing."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake; closed: nobody sleeps
            self._writer.send(b"\0")

    def settle(self) -> None:
        """Forget the calls that have been seen."""
        with contextlib.suppress(OSError):
            while self.reader.recv(4096):
                pass

    def close(self) -> None:
        self._writer.close()
        self.reader.close()


class DoorSocket(AssociationSocket):
    """A connection whose every wait has an end."""

    def __init__(self, association: DoorAssociation, connection: socket.socket) -> None:
        super().__init__(association, client_socket=connection)
        self._limits = association.door.limits

    def wait(self, waker: Waker, seconds: float | None) -> bool:
        """Sleep until there is something to read (True), a call, or the end of time."""
        connection = cast(socket.socket, self.socket)
        if _buffered(connection):
            return True
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        poll.register(waker.reader, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(None if seconds is None else seconds * 1000)}
        if waker.reader.fileno() in ready:
            waker.settle()
        return connection.fileno() in ready

    def receive(self, count: int, deadline: float) -> bytearray:
        """Exactly `count` bytes.

        Raises:
            EOFError: the peer closed before.
            TimeoutError: the deadline, of `time.monotonic()`, came before.
        """
        connection = cast(socket.socket, self.socket)
        content = bytearray(count)
        with memoryview(content) as view:
            got = 0
            while got < count:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                taken = connection.recv_into(view[got:])
                if not taken:
                    raise EOFError
                got += taken
                if got < count and time.monotonic() > deadline:
                    raise TimeoutError
        return content

    def send(self, bytestream: bytes) -> None:
        """Send all of it in one call, or report the connection as closed (Evt17)."""
        try:
            connection = cast(socket.socket, self.socket)
            connection.settimeout(self._limits.pdu_seconds)
            connection.sendall(bytestream)
        except (OSError, AttributeError):
            self.event_queue.put("Evt17")

    def let_peer_close(self, seconds: float = _CLOSING_SECONDS) -> None:
        """Say that nothing more comes, and wait a moment for the peer to close.

        Closing with unread bytes resets the connection, and the reset would overtake
        the A-ABORT, A-ASSOCIATE-RJ or A-RELEASE-RP that was just sent.
        """
        connection = self.socket
        if connection is None:
            return
        deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                if not connection.recv(65_536):
                    return

    def cut(self) -> None:
        """Close for both sides, from any thread; a blocked read ends."""
        connection = self.socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _buffered(connection: socket.socket) -> bool:
    """Whether TLS has decrypted bytes that poll() cannot see."""
    pending = getattr(connection, "pending", None)
    return bool(pending is not None and pending())


class DataTransfer:
    """A P-DATA-TF: its own primitive, for the bytes need no other form (PS3.8 9.3.5)."""

    __slots__ = ("presentation_data_value_list",)

    def __init__(self, body: bytearray) -> None:
        self.presentation_data_value_list = _presentation_data_values(memoryview(body))

    def to_primitive(self) -> DataTransfer:
        """What the state machine hands to DIMSE."""
        return self


def _presentation_data_values(view: memoryview) -> list[tuple[int, memoryview]]:
    values = []
    at = 0
    while at < len(view):
        end = at + 4 + int.from_bytes(view[at : at + 4], "big")
        if end < at + 6 or end > len(view):
            raise LimitExceeded("a presentation data value does not fit its PDU")
        values.append((view[at + 4], view[at + 5 : end]))
        at = end
    return values


class UpperLayer(DULServiceProvider):
    """The upper layer thread of one association."""

    socket: DoorSocket

    def __init__(self, association: DoorAssociation) -> None:
        super().__init__(association)
        self.daemon = True
        self.ended = threading.Event()
        self._association = association
        self._limits: Limits = association.door.limits
        self._waker = Waker()
        self.to_provider_queue = NotifyingQueue(self.wake)
        self.to_user_queue = NotifyingQueue(association.notify)

    def wake(self) -> None:
        """Make the thread look at its queues; from any thread, at any time."""
        self._waker.wake()

    def run_reactor(self) -> None:
        """Run the state machine until the association has no connection any more."""
        self._idle_timer.start()
        self._association._dul_ready.set()
        try:
            while not self._kill_thread:
                self._turn()
        except Exception as error:  # noqa: BLE001 - a peer made it happen: it ends here
            self._give_up(error)
        finally:
            self._end()

    def _turn(self) -> None:
        """Find one event and act on it."""
        if self.event_queue.empty():
            self._look()
        try:
            event = self.event_queue.get_nowait()
        except queue.Empty:
            return
        state = self.state_machine.current_state
        if event in _LOCAL and (event, state) not in TRANSITION_TABLE:
            self.to_provider_queue.get_nowait()  # an answer to a peer that has gone
            return
        self.state_machine.do_action(event)

    def _look(self) -> None:
        state = self.state_machine.current_state
        if state in (AWAITING_REQUEST, AWAITING_CLOSE) and self.artim_timer.expired:
            self.event_queue.put("Evt18")
        elif self._process_recv_primitive():
            pass
        elif state == AWAITING_CLOSE:
            self.socket.let_peer_close()
            self.socket.close()
            self.event_queue.put("Evt17")
        elif self.socket.socket is None:
            self.event_queue.put("Evt17")
        elif self._backlogged(state):
            self._sleep()
        elif self.socket.wait(self._waker, self._patience(state)):
            self._read_pdu_data()
            self._idle_timer.restart()

    def _backlogged(self, state: str) -> bool:
        """Whether so much waits to be carried out that nothing more is read for now."""
        waiting = self._association.dimse.msg_queue.qsize()
        return state == ESTABLISHED and waiting >= self._limits.pipelined

    def _sleep(self) -> None:
        poll = select.poll()
        poll.register(self._waker.reader, select.POLLIN)
        poll.poll(_SAFETY_NET * 1000)
        self._waker.settle()

    def _patience(self, state: str) -> float:
        if state == AWAITING_REQUEST:
            return max(0.0, self.artim_timer.remaining) + 0.01
        return _SAFETY_NET

    def _read_pdu_data(self) -> None:
        """Read one PDU and queue its event (PS3.8 Table 9-10)."""
        try:
            pdu, event = self._receive()
        except TimeoutError:
            self._report("timeout", "Evt19")
        except (OSError, EOFError):
            self.event_queue.put("Evt17")
        except Exception as error:  # noqa: BLE001 - not a PDU, whatever it is
            self._report(_said(error), "Evt19")
        else:
            self._recv_pdu.put(pdu)
            self.event_queue.put(event)

    def _receive(self) -> tuple[Any, str]:
        deadline = time.monotonic() + self._pdu_seconds()
        header = self.socket.receive(6, deadline)
        kind = header[0]
        length = int.from_bytes(header[2:6], "big")
        limit = self._limits.pdu_bytes(kind)
        if length > limit:
            raise LimitExceeded(f"PDU type {kind:02X}H longer than {limit} bytes")
        body = self.socket.receive(length, deadline)
        if kind == P_DATA_TF:
            return DataTransfer(body), "Evt10"
        if kind == ASSOCIATE_RQ:
            self._limits.check_request(body)
        return self._decode_pdu(header + body)

    def _pdu_seconds(self) -> float:
        if self.state_machine.current_state == AWAITING_REQUEST:
            return min(self._limits.pdu_seconds, max(0.0, self.artim_timer.remaining))
        return self._limits.pdu_seconds

    def _report(self, reason: str, event: str) -> None:
        LOG.warning("pdu refused association=%s reason=%r", self._association.id, reason)
        self.event_queue.put(event)

    def _give_up(self, error: Exception) -> None:
        """Abort past the state machine, which is in no state to do it."""
        LOG.warning(
            "association failed association=%s reason=%r",
            self._association.id,
            _said(error),
        )
        pdu = A_ABORT_RQ()
        pdu.source = 0x02
        pdu.reason_diagnostic = 0x00
        self.socket.send(pdu.encode())
        self.socket.let_peer_close()
        self._association.is_aborted = True

    def _end(self) -> None:
        self._association.is_established = False
        self.socket.close()
        self._association.messages.drop_incoming()
        self.ended.set()
        self.to_user_queue.put(cast(Any, None))  # nobody waits for a request any longer
        self._waker.close()

    def close(self, seconds: float) -> None:
        """Wait for the thread to end by itself, then make it end. From other threads."""
        if not self.is_alive():
            return
        self.join(seconds)
        if self.is_alive():
            self._kill_thread = True
            self.wake()
            self.socket.cut()
            self.join(seconds)

    def dispose(self) -> None:
        """Close what the thread would have closed, had it ever been started."""
        if not self.is_alive() and not self.ended.is_set():
            self._end()


def _said(error: Exception) -> str:
    """An error for a log line: our own messages hold no data, others' might."""
    return str(error) if isinstance(error, ReconcileError) else type(error).__name__
