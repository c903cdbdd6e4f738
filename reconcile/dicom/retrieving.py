"""What C-GET and C-MOVE share: what is asked for, sub-operations counted, one answer.

An identifier is read in the association's thread; everything else is done in another one,
which may wait for peers, an instance at a time. It tells by `post` how far it has come.
How an instance gets to whoever is given it is said by those who derive from this.

Source:
    PS3.4 sections C.4.2 and C.4.3; PS3.7 sections 9.3.3 and 9.3.4.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from reconcile.core import attributes as at
from reconcile.db.database import DatabaseFault
from reconcile.dicom.commands import CommandSet, Counts, response
from reconcile.dicom.destinations import Giving
from reconcile.dicom.identifiers import read_identifier, write_identifier
from reconcile.dicom.messages import Context, Peer, Request
from reconcile.dicom.retrieve_keys import inventories_of, wanted_of
from reconcile.dicom.sop_classes import (
    INVENTORY_GET,
    INVENTORY_MOVE,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
)
from reconcile.dicom.status import (
    CANCELLED,
    NOT_COUNTED,
    NOT_PERFORMED,
    PENDING,
    SOME_FAILED,
    SUCCESS,
    Answer,
    answer_for,
    ascii_comment,
    identifier_error,
)
from reconcile.errors import (
    CannotUnderstand,
    NotAuthorised,
    ReconcileError,
    SOPClassNotSupported,
    WrongUse,
)
from reconcile.flows.retrieve import Outgoing
from reconcile.flows.several import Ready, Wanted

LOG = logging.getLogger(__name__)

#: By (SOP Class UID, stored Transfer Syntax UID), how many instances there are.
Kinds = Mapping[tuple[str, str], int]

_FAILED_UIDS = "00080058"
_PATIENT_ROOT = frozenset({PATIENT_ROOT_GET, PATIENT_ROOT_MOVE})
_INVENTORIES = frozenset({INVENTORY_GET, INVENTORY_MOVE})

#: Of a data set, what is sent at once: many small pieces would be as many PDUs.
_BLOCK_BYTES = 256 * 1024

# C-STORE: PS3.4 Table B.2-1, PS3.7 section 9.1.1.1.9
_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})


class NotCounted(ReconcileError):
    """Nobody knows now how many instances there are."""

    title = "Unable to calculate the number of matches"
    dimse_status = NOT_COUNTED


@dataclass(slots=True)
class Tally:
    """Sub-operations by what became of them; `why` the first one failed."""

    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)
    why: str = ""

    def count(self, status: int) -> None:
        """One was answered with this; a failure is told by `fail`."""
        self.remaining = max(0, self.remaining - 1)
        if status == SUCCESS:
            self.completed += 1
        else:
            self.warning += 1

    def fail(self, sop_instance_uid: str, why: str) -> None:
        """One has failed."""
        self.remaining = max(0, self.remaining - 1)
        self.failed += 1
        self.failed_uids.append(sop_instance_uid)
        self.why = self.why or why

    def give_up(self, why: str) -> None:
        """What remains has failed; which they are is not known."""
        self.failed += self.remaining
        self.remaining = 0
        self.why = self.why or why

    def counts(self, *, remaining: bool) -> Counts:
        """For a response; how many remain is only said while some may."""
        said = self.remaining if remaining else None
        return Counts(said, self.completed, self.failed, self.warning)

    def answer(self, *, cancelled: bool) -> Answer:
        """The last one (PS3.4 Tables C.4-2 and C.4-3)."""
        if cancelled:
            return Answer(CANCELLED)
        if self.failed and not self.completed and not self.warning:
            return Answer(NOT_PERFORMED, ascii_comment(self.why))
        if self.failed or self.warning:
            return Answer(SOME_FAILED, ascii_comment(self.why))
        return Answer(SUCCESS)


class Carrier(Protocol):
    """Brings instances to whoever is given them; each raises ReconcileErrors."""

    def prepare(self, ready: Ready) -> Outgoing:
        """What is to be sent of one; its chunks are to be closed."""

    def send(self, outgoing: Outgoing) -> None:
        """Send what was prepared."""

    def answer(self) -> int:
        """The status that what was sent last was answered with."""


class RetrieveRequest(Request):
    """A C-GET-RQ or a C-MOVE-RQ (PS3.7 sections 9.3.3 and 9.3.4)."""

    #: SOP classes that it may be of.
    classes: Collection[str] = ()

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        super().__init__(peer, context_id, context, command)
        self._stopped = False
        self._tally = Tally()
        self._wanted = ""

    # -- In the association's thread ---------------------------------------------------

    def serve(self) -> None:
        """Have it carried out, or say why not."""
        try:
            giving = self._giving()
            view = self.domain(giving)
            wanted = self._asked(view)
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            self._end(error)
            return
        self.peer.give(partial(self._carry_out, giving, wanted))

    def _giving(self) -> Giving:
        if not self.peer.source.query:
            raise NotAuthorised("this AE title may not retrieve")
        giving, asked = self.peer.giving, self.command.sop_class_uid
        if giving is None or asked not in self.classes:
            raise SOPClassNotSupported("nothing is retrieved by this SOP class here")
        if asked != self.context.abstract_syntax:
            raise SOPClassNotSupported("SOP class of the request is not its context's")
        return giving

    def _asked(self, view: str) -> Wanted:
        if not self.command.has_data_set:
            raise CannotUnderstand("the request brings no identifier")
        keys = read_identifier(
            self.identifier, self.context.transfer_syntax, self.peer.source.charset
        )
        if self.command.sop_class_uid in _INVENTORIES:
            self._wanted, wanted = inventories_of(keys)
            return wanted
        patients = self.command.sop_class_uid in _PATIENT_ROOT
        self._wanted, wanted = wanted_of(keys, patients=patients)
        return replace(wanted, view=view)

    def cancel(self) -> None:
        """Give out nothing after what is on its way."""
        self._stopped = True

    end_soon = cancel

    def _pend(self, counts: Counts) -> None:
        """Say how far it has come; a peer that does not read is not told."""
        if self.peer.may_send and not self.peer.stalled:
            said = response(self.command, Answer(PENDING), counts=counts)
            self.peer.send(self, said, b"")
            self.peer.look()

    def _end(self, how: Answer | Exception) -> None:
        answer = how if isinstance(how, Answer) else _refusal(how)
        tally = self._tally
        LOG.log(
            _gravity(how),
            "%s ended association=%s message=%d level=%s to=%r completed=%d failed=%d"
            " warning=%d status=%04X error=%s",
            type(self).__name__.removesuffix("Request").lower(),
            self.peer.id,
            self.command.message_id,
            self._wanted,
            self.to,
            tally.completed,
            tally.failed,
            tally.warning,
            answer.code,
            type(how).__name__ if isinstance(how, Exception) else "",
        )
        failed = self._failed() if isinstance(how, Answer) else b""
        counts = tally.counts(remaining=answer.code == CANCELLED)
        self.peer.respond(
            self,
            response(self.command, answer, data_set=bool(failed), counts=counts),
            failed,
        )

    def _failed(self) -> bytes:
        """Failed SOP Instance UID List, as a data set; nothing where there is none."""
        if not self._tally.failed_uids:
            return b""
        uids = at.element("UI", *self._tally.failed_uids)
        return write_identifier({_FAILED_UIDS: uids}, self.context.transfer_syntax)

    # -- In another thread -------------------------------------------------------------

    def _carry_out(self, giving: Giving, wanted: Wanted) -> None:
        ended: Answer | Exception
        try:
            ended = self._given(giving, wanted)
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            ended = error
        self.peer.post(partial(self._end, ended))

    def _given(self, giving: Giving, wanted: Wanted) -> Answer:
        try:
            kinds = giving.flow.kinds(wanted)
        except (ReconcileError, DatabaseFault) as error:
            raise NotCounted(NotCounted.title) from error
        self._tally.remaining = sum(kinds.values())
        try:
            for classes in self.shares(kinds):
                with self.carrier(giving, kinds, classes) as carrier:
                    self._give(carrier, giving.flow.instances(wanted, classes))
        except (ReconcileError, DatabaseFault) as error:
            self._log(error, "")
            self._tally.give_up(NotCounted.title)
        return self._tally.answer(cancelled=self._stopped and self._tally.remaining > 0)

    def _give(self, carrier: Carrier, instances: Iterable[Ready]) -> None:
        """The next one is prepared while the peer is at work with the one before it."""
        sent = ""
        for ready in instances:
            if self._stopped or not self.peer.may_send:
                break
            uid = ready.sop_instance_uid
            with self._counted_if_failed(uid), _prepared(carrier, ready) as outgoing:
                sent, before = "", sent
                self._answered(carrier, before)
                if not self._stopped:
                    carrier.send(outgoing)
                    sent = uid
        self._answered(carrier, sent)

    def _answered(self, carrier: Carrier, uid: str) -> None:
        """Wait for the answer to one that was sent; nothing where none was."""
        if not uid:
            return
        with self._counted_if_failed(uid):
            self._count(uid, carrier.answer())
        self._tell()

    @contextmanager
    def _counted_if_failed(self, uid: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the others are sent
            self._log(error, uid)
            self._tally.fail(uid, _said(error))
            self._tell()

    def _tell(self) -> None:
        self.peer.post(partial(self._pend, self._tally.counts(remaining=True)))

    def _count(self, uid: str, status: int) -> None:
        if status == SUCCESS or status >> 12 == 0xB or status in _WARNINGS:
            self._tally.count(status)
            return
        LOG.warning(
            "not taken association=%s instance=%s status=%04X", self.peer.id, uid, status
        )
        self._tally.fail(uid, f"a C-STORE was answered {status:04X}")

    def _log(self, error: Exception, uid: str) -> None:
        LOG.log(
            _gravity(error),
            "not given association=%s instance=%s error=%s why=%r",
            self.peer.id,
            uid,
            type(error).__name__,
            _said(error),
        )

    # -- What differs ------------------------------------------------------------------

    @property
    def to(self) -> str:
        """AE title of whoever is given the instances."""
        raise NotImplementedError

    def domain(self, giving: Giving) -> str:
        """In which whoever is given them knows patients.

        Raises:
            ReconcileError: it is not known.
        """
        raise NotImplementedError

    def shares(self, kinds: Kinds) -> Iterator[Collection[str]]:
        """SOP classes that are given over one carrier each."""
        raise NotImplementedError

    def carrier(
        self, giving: Giving, kinds: Kinds, classes: Collection[str]
    ) -> AbstractContextManager[Carrier]:
        """What brings instances of these classes."""
        raise NotImplementedError


@contextmanager
def _prepared(carrier: Carrier, ready: Ready) -> Iterator[Outgoing]:
    outgoing = carrier.prepare(ready)
    try:
        yield outgoing
    finally:
        outgoing.chunks.close()


def blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """A data set in pieces that are worth being sent, each with whether it is the last.

    Small ones are put together; large ones are not copied.
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        if held and size + len(chunk) > _BLOCK_BYTES:
            yield b"".join(held), False
            held, size = [], 0
        held.append(chunk)
        size += len(chunk)
    yield b"".join(held), True


def _refusal(error: Exception) -> Answer:
    return identifier_error(error) if isinstance(error, WrongUse) else answer_for(error)


def _said(error: Exception) -> str:
    """An error for a log line and a peer: our own messages hold no data, others' might."""
    return str(error) if isinstance(error, ReconcileError) else ReconcileError.title


def _gravity(how: Answer | Exception) -> int:
    if isinstance(how, Answer):
        return logging.INFO
    return logging.WARNING if isinstance(how, ReconcileError) else logging.ERROR
