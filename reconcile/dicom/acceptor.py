"""The DICOM door: takes associations, hands each C-STORE to the flow, answers it.

It decides nothing about patients and studies, and knows neither settings nor database:
`cli` builds it from plain values. Every way out of a C-STORE is an answer; nothing that
the flow raises ends an association, and no log line says more than ids and classes.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import logging
import secrets
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity

from reconcile.core.facts import Source
from reconcile.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from reconcile.dicom.association import DoorAssociation
from reconcile.dicom.library import configure_pynetdicom
from reconcile.dicom.limits import Gate, Limits
from reconcile.dicom.messages import StoreRequest
from reconcile.dicom.policy import CLOSING, LIMIT_EXCEEDED, Policy, Refusal
from reconcile.dicom.spool import Spooled
from reconcile.dicom.status import Answer, answer_for, answer_to
from reconcile.dicom.upper_layer import Waker
from reconcile.errors import ConfigurationError, ReconcileError
from reconcile.flows.arrival import Arrival, Stored
from reconcile.storage.content import InFile

LOG = logging.getLogger(__name__)

BACKLOG = 128
"""Connections that the kernel keeps while we are busy; socketserver's 5 are too few."""

_QUIET_SECONDS = 0.5
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


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


class DicomDoor:
    """Verification and Storage SCP of one process (PS3.4 Annexes A, B and GG).

    Args:
        policy: our AE title and who may associate.
        store: carries out one arrival: makes it durable, records it, and says what it
            did; raises a `ReconcileError` to refuse it. Called in the association's
            thread, one call at a time for each association. The file it is given is
            removed afterwards, if it is still there.
        spool_dir: where data sets lie while they come; on the storage's file system.
        limits: of this process.
    """

    def __init__(
        self,
        policy: Policy,
        store: Callable[[Arrival], Stored],
        spool_dir: Path,
        limits: Limits | None = None,
    ) -> None:
        configure_pynetdicom()
        self.policy = policy
        self.spool_dir = spool_dir
        self.limits = limits or Limits()
        self.ae = _application_entity(policy.ae_title, self.limits)
        self._store_arrival = store
        self._gate = Gate(self.limits)
        self._listeners: list[_Listener] = []
        self._lock = threading.Lock()
        self._present: set[DoorAssociation] = set()
        self._closing = False
        self._prefix = secrets.token_hex(3)
        self._numbers = itertools.count(1)

    @property
    def associations(self) -> int:
        """How many connections hold a place now."""
        return self._gate.inside

    def serve(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take associations from a listening socket, in threads; returns at once.

        May be called more than once, with plain and with TLS sockets, and several
        processes may serve the same socket. The socket is the door's from now on.
        """
        listener = _Listener(self, listening, tls)
        self._listeners.append(listener)
        gc.collect()
        gc.freeze()  # what is here now stays: do not look at it at every collection
        listener.start()

    def stop(self, grace: float = 30.0, finish: float = 60.0) -> None:
        """Take nothing new, let what runs finish, then abort what is left.

        Associations on which nothing happens are aborted at once; those that are at
        work may go on for `grace` seconds. A C-STORE that is being carried out then has
        `finish` seconds more, and is answered if the peer is still there.
        """
        self._closing = True
        for listener in self._listeners:
            listener.stop()
        deadline = time.monotonic() + grace
        while (present := self._associations()) and time.monotonic() < deadline:
            for association in present:
                if not association.busy and association.quiet_seconds > _QUIET_SECONDS:
                    association.abort(block=False)
            time.sleep(0.05)
        self._end_all(time.monotonic() + finish)

    def _end_all(self, deadline: float) -> None:
        for association in self._associations():
            if not association.serving:
                association.abort(block=False)
        for association in self._associations():
            association.kill()  # ends after what it is carrying out
            association.join(max(0.1, deadline - time.monotonic()))

    def _associations(self) -> list[DoorAssociation]:
        with self._lock:
            return list(self._present)

    def connected(
        self,
        connection: socket.socket,
        address: tuple[Any, ...],
        tls: ssl.SSLContext | None,
    ) -> None:
        """Begin an association on a new connection, or close it."""
        admitted = self._gate.enter(str(address[0]))
        if admitted is None:
            LOG.warning("connection closed address=%s why='too many'", address[0])
            connection.close()
            return
        try:
            self._begin(connection, address, admitted, tls)
        except Exception as error:  # noqa: BLE001 - the listener lives
            LOG.error(
                "connection closed address=%s why=%s", address[0], type(error).__name__
            )
            self._gate.leave(str(address[0]), admitted)
            connection.close()

    def _begin(
        self,
        connection: socket.socket,
        address: tuple[Any, ...],
        admitted: bool,
        tls: ssl.SSLContext | None,
    ) -> None:
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        name = f"{self._prefix}-{next(self._numbers)}"
        association = DoorAssociation(
            self, connection, address, name=name, admitted=admitted, tls=tls
        )
        with self._lock:
            self._present.add(association)
        try:
            association.start()
        except BaseException:
            with self._lock:
                self._present.discard(association)
            association.upper.dispose()
            raise

    def left(self, association: DoorAssociation) -> None:
        """An association is over."""
        with self._lock:
            self._present.discard(association)
        self._gate.leave(association.address, association.admitted)

    def admit(self, association: DoorAssociation) -> Source | Refusal:
        """Whose association this is, or why it is refused."""
        if self._closing:
            return CLOSING
        if not association.admitted:
            return LIMIT_EXCEEDED
        return self.policy.admit(
            association.calling,
            association.called,
            association.address,
            association.certificate,
        )

    def store(self, association: DoorAssociation, request: StoreRequest) -> Answer:
        """Carry out a C-STORE (PS3.4 section B.2.3); whatever happens is an answer."""
        try:
            if request.error is not None:
                raise request.error
            if request.spooled is None:
                raise ReconcileError
            arrival = _arrival(association, request, request.spooled)
            return answer_to(self._store_arrival(arrival), warn=association.source.warn)
        except ReconcileError as error:
            self._refused(association, request, error, logging.WARNING)
            return answer_for(error)
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            self._refused(association, request, error, logging.ERROR)
            return answer_for(error)

    def _refused(
        self,
        association: DoorAssociation,
        request: StoreRequest,
        error: Exception,
        level: int,
    ) -> None:
        LOG.log(
            level,
            "store refused association=%s message=%d instance=%r status=%04X error=%s",
            association.id,
            request.message_id,
            request.sop_instance_uid[:64],
            answer_for(error).code,
            type(error).__name__,
        )


def _arrival(
    association: DoorAssociation, request: StoreRequest, spooled: Spooled
) -> Arrival:
    return Arrival(
        content=InFile(spooled.path, spooled.data_offset),
        digest=spooled.digest,
        length=spooled.length,
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        transfer_syntax=request.transfer_syntax,
        source=association.source,
        peer_address=association.address,
        association=association.id,
        message_id=request.message_id,
    )


def _application_entity(ae_title: str, limits: Limits) -> ApplicationEntity:
    try:
        ae = ApplicationEntity(ae_title)
    except ValueError as error:
        raise ConfigurationError(
            "an AE title has 1 to 16 characters (PS3.5 6.2)"
        ) from error
    ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = limits.maximum_pdu
    ae.acse_timeout = limits.request_seconds
    ae.network_timeout = limits.idle_seconds
    return ae


class _Listener(threading.Thread):
    """Accepts connections, and does nothing with them that could take time."""

    def __init__(
        self, door: DicomDoor, listening: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(name="dicom listener", daemon=True)
        listening.setblocking(False)  # another process may have been quicker
        self._door = door
        self._listening = listening
        self._tls = tls
        self._waker = Waker()
        self._stopping = False

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._listening, select.POLLIN)
        poll.register(self._waker.reader, select.POLLIN)
        while not self._stopping:
            poll.poll()
            self._accept()
        self._listening.close()

    def _accept(self) -> None:
        try:
            connection, address = self._listening.accept()
        except OSError as error:
            if (error.errno or 0) in _NO_DESCRIPTORS:
                LOG.error("no connection taken why=%s", errno.errorcode[error.errno or 0])
                time.sleep(0.1)
            return
        self._door.connected(connection, address, self._tls)

    def stop(self) -> None:
        """Take no more connections; returns when that is so."""
        self._stopping = True
        self._waker.wake()
        if self.is_alive():
            self.join()
        self._waker.close()
        with contextlib.suppress(OSError):
            self._listening.close()
