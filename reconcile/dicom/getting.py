"""C-GET: instances sent back over the association that they were asked for on.

The peer takes them as SCP of their SOP classes, which it has negotiated (PS3.7 section
D.3.3.4). They are made and waited for in another thread; bytes are sent in the
association's, piece by piece, the next one when the peer has taken the one before it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

from reconcile.dataset.convert import in_order
from reconcile.dicom.commands import CommandSet, store_request
from reconcile.dicom.destinations import Giving
from reconcile.dicom.messages import Context, Peer
from reconcile.dicom.requestor import ANSWER_SECONDS, Lost
from reconcile.dicom.retrieving import Kinds, RetrieveRequest, blocks
from reconcile.dicom.sop_classes import INVENTORY_GET, PATIENT_ROOT_GET, STUDY_ROOT_GET
from reconcile.errors import SOPClassNotSupported
from reconcile.flows.retrieve import Outgoing
from reconcile.flows.several import Ready

_MESSAGE_IDS = 0xFFFF


class GetRequest(RetrieveRequest):
    """A C-GET-RQ (PS3.4 section C.4.3)."""

    classes = frozenset({PATIENT_ROOT_GET, STUDY_ROOT_GET, INVENTORY_GET})

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        super().__init__(peer, context_id, context, command)
        self._answers = queue.SimpleQueue[CommandSet | None]()
        self._room = threading.Event()
        self._unsent = False
        self._messages = 0

    @property
    def to(self) -> str:
        """Whoever asks."""
        return self.peer.calling

    def domain(self, giving: Giving) -> str:
        """That of whoever asks."""
        return self.peer.source.domain

    def shares(self, kinds: Kinds) -> Iterator[Collection[str]]:
        """All at once: there is one association."""
        classes = {sop_class for sop_class, _ in kinds}
        if classes:
            yield classes

    @contextmanager
    def carrier(
        self, giving: Giving, kinds: Kinds, classes: Collection[str]
    ) -> Iterator[GetRequest]:
        """The association of the request."""
        yield self

    # -- In another thread -------------------------------------------------------------

    def prepare(self, ready: Ready) -> Outgoing:
        """What is to be sent of one.

        Raises:
            SOPClassNotSupported: the peer does not take instances of this class.
            CannotConvert, BytesMissing: it cannot be given out as the peer takes it.
        """
        contexts = self._contexts(ready.sop_class_uid)
        if not contexts:
            raise SOPClassNotSupported("the peer is no SCP of this SOP class")
        return ready.give(in_order(contexts))

    def _contexts(self, sop_class: str) -> dict[str, int]:
        """Ids of presentation contexts, by transfer syntax."""
        return {
            context.transfer_syntax: context_id
            for context_id, context in self.peer.contexts.items()
            if context.gives and context.abstract_syntax == sop_class
        }

    def send(self, outgoing: Outgoing) -> None:
        """Send what was prepared.

        Raises:
            Lost: the association is over.
        """
        sop_class, uid = outgoing.sop_class_uid, outgoing.sop_instance_uid
        context_id = self._contexts(sop_class)[outgoing.transfer_syntax_uid]
        self._messages = self._messages % _MESSAGE_IDS + 1
        command = store_request(self._messages, sop_class, uid)
        with self._whole():
            self._say(partial(self.peer.send_command, context_id, command))
            for block, last in blocks(outgoing.chunks):
                self._say(partial(self.peer.send_part, context_id, block, last=last))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Half a message cannot be taken back: the association ends with it."""
        try:
            yield
        except BaseException:
            self.peer.post(self.peer.abort)
            raise

    def answer(self) -> int:
        """The status that what was sent last was answered with.

        Raises:
            Lost: the association is over.
        """
        with self._whole():
            return self._response()

    def _say(self, send: Callable[[], None]) -> None:
        """Have a piece sent, and wait until the peer has room for more."""
        self._room.clear()
        self._unsent = True
        if not self.peer.post(partial(self._send, send)):
            raise Lost("the archive stops")
        # a peer that does not read is cut off by its connection
        self._room.wait()
        if not self.peer.may_send:
            raise Lost("the association is over")

    def _response(self) -> int:
        try:
            answer = self._answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise Lost("the peer does not answer") from None
        if answer is None:
            raise Lost("the association is over")
        if answer.responded_to != self._messages or answer.status is None:
            raise Lost("the peer answers something else")
        return answer.status

    # -- In the association's thread ---------------------------------------------------

    def _send(self, send: Callable[[], None]) -> None:
        self._unsent = False
        if self.peer.may_send:
            send()
        self.peer.look()

    def told(self, answer: CommandSet) -> None:
        """The peer has answered a sub-operation."""
        self._answers.put(answer)

    def go_on(self) -> None:
        """The peer may have taken what was sent, or is gone."""
        if not self.peer.may_send:
            self._answers.put(None)
            self._room.set()
        elif not self._unsent and not self.peer.stalled:
            self._room.set()
