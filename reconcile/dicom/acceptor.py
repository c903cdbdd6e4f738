"""The DICOM door: takes associations, hands each C-STORE to the flow, answers it.

It decides nothing about patients and studies, and knows neither settings nor database:
`cli` builds it from plain values. One thread serves all associations of a process, and
never waits for any of them.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event

from reconcile.core.facts import Source
from reconcile.core.matchkeys import Question
from reconcile.dicom.association import Association, Wire
from reconcile.dicom.connection import Connection
from reconcile.dicom.destinations import Giving
from reconcile.dicom.journal import FAILED, REJECTED
from reconcile.dicom.library import configure_pynetdicom
from reconcile.dicom.limits import Gate, Limits
from reconcile.dicom.listener import Listener, listen
from reconcile.dicom.loop import Loop
from reconcile.dicom.messages import Normalized, Pages
from reconcile.dicom.negotiation import is_title
from reconcile.dicom.policy import CLOSING, LIMIT_EXCEEDED, Policy, Refusal
from reconcile.dicom.spool import Spools
from reconcile.errors import ConfigurationError, SOPClassNotSupported
from reconcile.flows.arrival import Arrival
from reconcile.flows.associations import Ended
from reconcile.flows.auditing import Heard
from reconcile.flows.settling import Answer
from reconcile.flows.spooling import Note, unheard

__all__ = ["DicomDoor", "listen"]

LOG = logging.getLogger(__name__)

FINDERS = 4
"""Threads of one process that make answers to queries; who asks more waits."""

GIVERS = 8
"""Retrieves of one process that are carried out at once; who asks more waits."""

_QUIET_SECONDS = 0.5
_LOOK_SECONDS = 0.05


class DicomDoor:
    """The SCP of one process: PS3.4 Annexes A, B, GG, and C (query and retrieve).

    Args:
        policy: our AE title and who may associate.
        submit: has one arrival made durable and recorded, and `answer` told, once, in
            another thread, what was done, or why it is refused. Called in the door's
            thread, one at a time for each association: it may not wait for anything.
            A spooled file that it is given is removed after the answer, if it is still
            there.
        spool_dir: where data sets lie that are too large for memory while they come; on
            the storage's file system.
        limits: of this process.
        find: answers a question, page by page, for whoever sees patients as a domain
            does; called in other threads. None: nothing is answered here.
        giving: what gives instances out, and to whom. None: nothing is retrieved here.
        normalized: carries out N-services. None: nobody does here.
        ended: told of each association that is over, and of each that came to nothing;
            may not wait. None: nobody is.
        require_room: raises where nothing more is to be written.
        heard: takes note of queries; may not wait for anything.
    """

    def __init__(
        self,
        policy: Policy,
        submit: Callable[[Arrival, Answer], None],
        spool_dir: Path,
        limits: Limits | None = None,
        find: Callable[[Question, str], Pages] | None = None,
        giving: Giving | None = None,
        normalized: Normalized | None = None,
        ended: Callable[[Ended], None] | None = None,
        require_room: Callable[[], None] = lambda: None,
        heard: Note = unheard,
    ) -> None:
        configure_pynetdicom()
        if not is_title(policy.ae_title):
            raise ConfigurationError("an AE title has 1 to 16 characters (PS3.5 6.2)")
        self.policy = policy
        self.submit = submit
        self.limits = limits or Limits()
        self._find = find
        self._heard = heard
        self.giving = giving
        self.normalized = normalized
        self._ended = ended or (lambda _: None)
        self._workers = ThreadPoolExecutor(FINDERS, thread_name_prefix="find")
        self._givers = ThreadPoolExecutor(GIVERS, thread_name_prefix="give")
        self.loop = Loop("dicom door")
        self.post = self.loop.post
        self.spools = Spools(spool_dir, self.limits, require_room)
        self._gate = Gate(self.limits)
        self._listeners: list[Listener] = []
        self._present: set[Connection] = set()
        self._beginning: set[asyncio.Task[None]] = set()
        self._closing = False
        self._prefix = secrets.token_hex(3)
        self._numbers = itertools.count(1)

    @property
    def associations(self) -> int:
        """How many connections hold a place now."""
        return self._gate.inside

    def serve(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take associations from a listening socket, in a thread; returns at once.

        May be called more than once, with plain and with TLS sockets, and several
        processes may serve the same socket. The socket is the door's from now on.
        """
        if not self.loop.started:
            gc.collect()
            gc.freeze()  # what is here now stays: do not look at it at every collection
            self.loop.start()
        listener = Listener(
            self.loop.asyncio,
            listening,
            lambda: self._gate.inside,
            partial(self._accepted, tls),
        )
        self._listeners.append(listener)
        self.post(listener.start)

    def work(self, call: Callable[[], None]) -> None:
        """Have something that takes time called in another thread."""
        with suppress(RuntimeError):  # the door has closed
            self._workers.submit(call)

    def give(self, call: Callable[[], None]) -> None:
        """Have something called in another thread that may wait for peers."""
        with suppress(RuntimeError):  # the door has closed
            self._givers.submit(call)

    def find(self, question: Question, view: str, asked: Heard) -> Pages:
        """Answers to a question, page by page; what was asked is taken note of.

        Raises:
            SOPClassNotSupported: nothing is answered here.
        """
        if self._find is None:
            raise SOPClassNotSupported("queries are not answered here")
        self._heard(asked)
        return self._find(question, view)

    # -- Coming in ---------------------------------------------------------------------

    def _accepted(
        self, tls: ssl.SSLContext | None, connection: socket.socket, address: str
    ) -> None:
        """Begin an association on a new connection, or close it."""
        name = f"{self._prefix}-{next(self._numbers)}"
        admitted = self._gate.enter(address)
        if admitted is None:
            LOG.warning("connection closed address=%s why='too many'", address)
            connection.close()
            self._ended(Ended(name, REJECTED, "too many connections", address))
            return
        entered = Connection(self, address, name, admitted=admitted)
        self._present.add(entered)
        task = self.loop.asyncio.create_task(self._begin(entered, connection, tls))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(
        self, entered: Connection, connection: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        limits = self.limits
        try:
            await self.loop.asyncio.connect_accepted_socket(
                lambda: entered,
                connection,
                ssl=tls,
                ssl_handshake_timeout=limits.handshake_seconds if tls else None,
                ssl_shutdown_timeout=limits.closing_seconds if tls else None,
            )
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - door lives
            LOG.warning(
                "handshake failed association=%s address=%s error=%s",
                entered.association.id,
                entered.address,
                type(error).__name__,
            )
            connection.close()
            entered.association.journal.ends(FAILED, f"handshake: {type(error).__name__}")
            self.left(entered)

    def admit(self, association: Association, wire: Wire) -> Source | Refusal:
        """Whose association this is, or why it is refused."""
        if self._closing:
            return CLOSING
        if not wire.admitted:
            return LIMIT_EXCEEDED
        return self.policy.admit(
            association.calling, association.called, wire.address, wire.certificate
        )

    def left(self, connection: Connection) -> None:
        """It is closed, and nothing of its association is being carried out."""
        if connection in self._present:
            self._present.remove(connection)
            self._gate.leave(connection.address, connection.admitted)
            told = connection.told()
            if told is not None:
                self._ended(told)

    # -- Closing -----------------------------------------------------------------------

    def drain(self, most: float, at_once: Event) -> None:
        """Take nothing new, and wait until nobody is associated any more.

        Args:
            most: seconds to wait.
            at_once: set when there is no time for that.
        """
        ends = time.monotonic() + most
        for listener in self._listeners:
            self.post(listener.stop)
        while self.associations and time.monotonic() < ends:
            if at_once.wait(_QUIET_SECONDS):
                return

    def stop(self, grace: float = 30.0, finish: float = 60.0) -> None:
        """Take nothing new, let what runs finish, then abort what is left.

        Associations on which nothing happens are aborted at once; those that are at
        work may go on for `grace` seconds. A C-STORE that is being carried out then has
        `finish` seconds more, and is answered if the peer is still there.
        """
        if self.loop.started and not self._closing:
            self.loop.wait_for(self._close(grace, finish))
        for pool in (self._workers, self._givers):
            pool.shutdown(cancel_futures=True)
        self.spools.close()
        self.loop.end()

    async def _close(self, grace: float, finish: float) -> None:
        self._closing = True
        for listener in self._listeners:
            listener.stop()
        await self._while_present(grace, _abort_if_quiet)
        for connection in list(self._present):
            connection.association.finish()
        await self._while_present(finish, None)
        for task in list(self._beginning):
            task.cancel()
        for connection in list(self._present):
            connection.cut()
        await asyncio.sleep(_LOOK_SECONDS)  # they tell that they are closed

    async def _while_present(
        self, seconds: float, look: Callable[[Connection], None] | None
    ) -> None:
        ends = self.loop.asyncio.time() + seconds
        while self._present and self.loop.asyncio.time() < ends:
            for connection in list(self._present):
                if look is not None:
                    look(connection)
            await asyncio.sleep(_LOOK_SECONDS)


def _abort_if_quiet(connection: Connection) -> None:
    association = connection.association
    busy = association.working or association.receiving
    if not busy and connection.quiet_seconds > _QUIET_SECONDS:
        association.abort("the archive stops")
