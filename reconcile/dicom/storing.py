"""The Storage SCP: a C-STORE from its command set to its answer (PS3.4 Annexes B and GG).

Whatever happens to one is an answer; nothing that the flow raises ends an association,
and no log line says more than ids and classes. What is to become of an instance may not
be put here.
"""

from __future__ import annotations

import logging
from functools import lru_cache, partial

from reconcile.dataset.part10 import file_meta
from reconcile.dicom.commands import CommandSet, response
from reconcile.dicom.messages import Context, Peer, Request
from reconcile.dicom.sop_classes import is_uid
from reconcile.dicom.spool import Spool
from reconcile.dicom.status import answer_for, answer_to
from reconcile.errors import (
    CannotUnderstand,
    InvalidUID,
    MissingUID,
    ReconcileError,
    SOPClassNotSupported,
)
from reconcile.flows.arrival import Arrival
from reconcile.flows.settling import Settled
from reconcile.storage.content import Content

LOG = logging.getLogger(__name__)


class StoreRequest(Request):
    """A C-STORE-RQ (PS3.7 section 9.3.1)."""

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        super().__init__(peer, context_id, context, command)
        error = _why_not(context, command)
        head = b"" if error else _head(context, command, peer.source.ae_title)
        self._spool = Spool(peer.spools, head, peer.post, self._changed, error)

    def _changed(self) -> None:
        self.ready, self.full = self._spool.ready, self._spool.full
        self.peer.look()

    def write(self, part: memoryview) -> None:
        """Take the next piece of the data set."""
        self._spool.write(part)
        self.full = self._spool.full

    def finish(self) -> None:
        """The data set has come whole, or there is none."""
        self._spool.finish()
        self.ready = self._spool.ready

    def discard(self) -> None:
        """Remove what was spooled, if it is still there."""
        self._spool.discard()

    def serve(self) -> None:
        """Have it stored, or say why it is refused."""
        spool = self._spool
        if spool.error is not None:
            self._answer(spool.error)
        elif spool.content is None:
            self._answer(ReconcileError())
        else:
            self._submit(spool.content)

    def _submit(self, content: Content) -> None:
        try:
            self.peer.submit(self._arrival(content), self._settled)
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            self._answer(error)

    def _arrival(self, content: Content) -> Arrival:
        peer, command = self.peer, self.command
        return Arrival(
            content,
            self._spool.digest,
            self._spool.length,
            command.sop_class_uid,
            command.sop_instance_uid,
            self.context.transfer_syntax,
            peer.source,
            peer.address,
            peer.id,
            command.message_id or 0,
        )

    def _settled(self, settled: Settled) -> None:
        """What became of it; from another thread."""
        if not self.peer.post(partial(self._answer, settled)):
            self._spool.discard()

    def _answer(self, settled: Settled) -> None:
        if isinstance(settled, Exception):
            answer = answer_for(settled)
            self._log_refusal(settled, answer.code)
        else:
            answer = answer_to(settled, warn=self.peer.source.warn)
        self.peer.respond(self, response(self.command, answer))

    def _log_refusal(self, error: Exception, code: int) -> None:
        LOG.log(
            logging.WARNING if isinstance(error, ReconcileError) else logging.ERROR,
            "store refused association=%s message=%d instance=%r status=%04X error=%s",
            self.peer.id,
            self.command.message_id,
            self.command.sop_instance_uid[:64],
            code,
            type(error).__name__,
        )


def _why_not(context: Context, command: CommandSet) -> ReconcileError | None:
    """Why the data set need not even be kept; the flow checks what it says."""
    if not (command.sop_class_uid and command.sop_instance_uid):
        return MissingUID("the request names no SOP Class or SOP Instance UID")
    if not (is_uid(command.sop_class_uid) and is_uid(command.sop_instance_uid)):
        return InvalidUID("the request names a UID that is none")
    if command.sop_class_uid != context.abstract_syntax:
        return SOPClassNotSupported("SOP class of the request is not its context's")
    if not context.takes:
        return SOPClassNotSupported("the peer is SCP alone of this SOP class here")
    if not command.has_data_set:
        return CannotUnderstand("the request brings no data set")
    return None


def _head(context: Context, command: CommandSet, source_ae: str) -> bytes:
    uid = command.sop_instance_uid
    if len(uid) % 2:
        uid += "\0"
    before, after = _around(
        command.sop_class_uid, context.transfer_syntax, source_ae, len(uid)
    )
    return before + uid.encode("ascii") + after


@lru_cache(maxsize=512)
def _around(
    sop_class: str, transfer_syntax: str, source_ae: str, length: int
) -> tuple[bytes, bytes]:
    """Preamble and meta information before and after a SOP Instance UID of this length.

    All else in it is the same for a whole series, and its making costs more than that of
    a response.
    """
    placeholder = "9" * length
    meta = file_meta(sop_class, placeholder, transfer_syntax, source_ae)
    element = b"\x02\x00\x03\x00UI" + length.to_bytes(2, "little")
    at = meta.index(element + placeholder.encode("ascii")) + len(element)
    return meta[:at], meta[at + length :]
