"""C-MOVE: instances sent to a configured destination, over associations of our own.

Each SOP class is proposed in the transfer syntaxes that its instances are stored in, and
besides in Explicit and Implicit VR Little Endian, each in a context of its own (PS3.5
section 10.1). More classes than an association has contexts for go over several.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from reconcile.dataset.convert import EXPLICIT_VR, IMPLICIT_VR, in_order
from reconcile.dicom.commands import C_STORE_RSP, store_request
from reconcile.dicom.destinations import Giving, Remote
from reconcile.dicom.limits import Limits
from reconcile.dicom.proposing import CONTEXTS_MAX, Pair
from reconcile.dicom.requestor import Lost, Requestor
from reconcile.dicom.retrieving import Kinds, RetrieveRequest, blocks
from reconcile.dicom.sop_classes import INVENTORY_MOVE, PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE
from reconcile.dicom.status import DESTINATION_UNKNOWN
from reconcile.errors import ReconcileError, SOPClassNotSupported
from reconcile.flows.retrieve import Outgoing
from reconcile.flows.several import Ready

#: Associations in a row that are lost on the way; then the destination is down.
LOSSES_MAX = 3

_MESSAGE_IDS = 0xFFFF


class DestinationUnknown(ReconcileError):
    """No [[destination]] has this AE title."""

    title = "Move destination unknown"
    dimse_status = DESTINATION_UNKNOWN


class MoveRequest(RetrieveRequest):
    """A C-MOVE-RQ (PS3.4 section C.4.2)."""

    classes = frozenset({PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE, INVENTORY_MOVE})
    _mover: Mover | None = None

    @property
    def to(self) -> str:
        """The Move Destination."""
        return self.command.move_destination[:16]

    def domain(self, giving: Giving) -> str:
        """That of the destination."""
        return self._remote(giving).domain

    def shares(self, kinds: Kinds) -> Iterator[Collection[str]]:
        """As many classes as an association has presentation contexts for."""
        return shared_out(kinds)

    @contextmanager
    def carrier(
        self, giving: Giving, kinds: Kinds, classes: Collection[str]
    ) -> Iterator[Mover]:
        """An association with the destination."""
        originator = (self.peer.calling, self.command.message_id or 0)
        proposed = proposals(kinds, classes)
        remote = self._remote(giving)
        mover = Mover(remote, giving.ae_title, proposed, originator, self.peer.limits)
        self._mover = mover
        try:
            yield mover
        finally:
            mover.close()

    def go_on(self) -> None:
        """Where whoever asked is gone, wait for the destination no longer."""
        if self._mover is not None and not self.peer.may_send:
            self._mover.break_off()

    def _remote(self, giving: Giving) -> Remote:
        remote = giving.destinations(self.command.move_destination)
        if remote is None:
            raise DestinationUnknown("the move destination is not known here")
        return remote


def shared_out(kinds: Kinds) -> Iterator[list[str]]:
    """SOP classes, as many at a time as an association has presentation contexts for."""
    together: list[str] = []
    size = 0
    for sop_class in sorted({sop_class for sop_class, _ in kinds}):
        more = len(proposals(kinds, [sop_class]))
        if together and size + more > CONTEXTS_MAX:
            yield together
            together, size = [], 0
        together.append(sop_class)
        size += more
    if together:
        yield together


def proposals(kinds: Kinds, classes: Collection[str]) -> list[Pair]:
    """The presentation contexts for what there is of some SOP classes."""
    pairs: list[Pair] = []
    for sop_class in sorted(classes):
        stored = [syntax for each, syntax in kinds if each == sop_class]
        wanted = dict.fromkeys((*stored, EXPLICIT_VR, IMPLICIT_VR))
        pairs += [(sop_class, syntax) for syntax in list(wanted)[:CONTEXTS_MAX]]
    return pairs


class Mover:
    """Sends instances to a destination; a lost association is asked for again."""

    def __init__(
        self,
        remote: Remote,
        calling: str,
        proposed: Sequence[Pair],
        originator: tuple[str, int] | None,
        limits: Limits,
    ) -> None:
        self._remote = remote
        self._calling = calling
        self._proposed = proposed
        self._originator = originator
        self._limits = limits
        self._requestor: Requestor | None = None
        self._down: Lost | None = None
        self._losses = 0
        self._messages = 0

    def prepare(self, ready: Ready) -> Outgoing:
        """What is to be sent of one; an association is there.

        Raises:
            Lost: the destination is down.
            SOPClassNotSupported: it does not take instances of this class.
            CannotConvert, BytesMissing: it cannot be given out as the destination takes it.
        """
        accepted, sop_class = self._associated().accepted.contexts, ready.sop_class_uid
        syntaxes = in_order(syntax for each, syntax in accepted if each == sop_class)
        if not syntaxes:
            raise SOPClassNotSupported("the destination does not take this SOP class")
        return ready.give(syntaxes)

    def send(self, outgoing: Outgoing) -> None:
        """Send what was prepared.

        Raises:
            Lost: the destination is down, or has broken off.
        """
        requestor = self._associated()
        sop_class, uid = outgoing.sop_class_uid, outgoing.sop_instance_uid
        self._messages = self._messages % _MESSAGE_IDS + 1
        command = store_request(self._messages, sop_class, uid, self._originator)
        pair = (sop_class, outgoing.transfer_syntax_uid)
        if pair not in requestor.accepted.contexts:
            raise SOPClassNotSupported("the destination does not take it any more")
        try:
            requestor.ask(pair, command, blocks(outgoing.chunks))
        except BaseException:
            self._lose()
            raise

    def answer(self) -> int:
        """The status that what was sent last was answered with.

        Raises:
            Lost: the destination has broken off.
        """
        requestor = self._associated()
        try:
            answer = requestor.answer()
        except BaseException:
            self._lose()
            raise
        self._losses = 0
        answers = (answer.field, answer.responded_to) == (C_STORE_RSP, self._messages)
        if not answers or answer.status is None:
            requestor.abort()
            self._lose()
            raise Lost("the destination answers something else")
        return answer.status

    def close(self) -> None:
        """End the association, if there is one."""
        requestor, self._requestor = self._requestor, None
        if requestor is not None:
            requestor.release()

    def break_off(self) -> None:
        """From another thread: whoever asked for it is gone."""
        self._down = Lost("whoever asked for it is gone")
        requestor = self._requestor
        if requestor is not None:
            requestor.break_off()

    def _associated(self) -> Requestor:
        if self._down is not None:
            raise self._down
        if self._requestor is None:
            try:
                self._requestor = Requestor(
                    self._remote, self._calling, self._proposed, self._limits
                )
            except Lost as error:
                self._down = error
                raise
        return self._requestor

    def _lose(self) -> None:
        self._requestor = None
        self._losses += 1
        if self._losses >= LOSSES_MAX:
            self._down = Lost("the destination breaks off again and again")
