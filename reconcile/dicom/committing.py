"""The Storage Commitment SCP: requests, and reports of what is committed (PS3.4 Annex J).

A request is answered when it is durable. Its report goes over the same association if the
peer takes it there; it is never repeated there. What is kept safe may not be decided here.
"""

from __future__ import annotations

import logging
from functools import partial

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag
from reconcile.core.commitment import Answered, Reference
from reconcile.dicom.commands import CommandSet, response
from reconcile.dicom.identifiers import read_identifier, write_identifier
from reconcile.dicom.messages import Context, Peer, Report, Request
from reconcile.dicom.sop_classes import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    is_storage,
    is_uid,
)
from reconcile.dicom.status import SUCCESS, Answer, answer_for
from reconcile.errors import (
    InvalidArgument,
    MissingAttribute,
    NoSuchAction,
    NoSuchInstance,
    ReconcileError,
    SOPClassNotSupported,
)
from reconcile.flows.commitment import Asked, Commitment

LOG = logging.getLogger(__name__)

#: Action Type ID and Event Type IDs: PS3.4 Tables J.3-1 and J.3-3.
REQUEST_COMMITMENT = 1
ALL_COMMITTED, SOME_FAILED = 1, 2

_TRANSACTION_UID, _REFERENCES, _FAILED = "00081195", "00081199", "00081198"
_CLASS, _INSTANCE, _REASON = "00081150", "00081155", "00081197"


class CommitRequest(Request):
    """An N-ACTION-RQ (PS3.7 section 10.3.5)."""

    @property
    def most(self) -> int:
        """How many bytes its data set may have."""
        return self.peer.limits.normalized_bytes

    def serve(self) -> None:
        """Have it looked into, in another thread."""
        self.peer.work(self._carry_out)

    def _carry_out(self) -> None:
        try:
            asked = self._asked()
            if self.peer.normalized is None:
                raise SOPClassNotSupported("nothing is committed here")
            done: Commitment | Exception = self.peer.normalized.commit(asked)
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            done = error
        self.peer.post(partial(self._answer, done))

    def _asked(self) -> Asked:
        command = self.command
        if command.sop_class_uid != self.context.abstract_syntax:
            raise SOPClassNotSupported("SOP class of the request is not its context's")
        if self.context.abstract_syntax != STORAGE_COMMITMENT:
            raise SOPClassNotSupported("there is no action of this SOP class")
        if command.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            raise NoSuchInstance("the SOP Instance is not the well-known one")
        if command.action_type != REQUEST_COMMITMENT:
            raise NoSuchAction("Action Type ID is not 1")
        if not command.has_data_set:
            raise MissingAttribute("the request brings no data set")
        said = read_identifier(self.identifier, self.context.transfer_syntax)
        self.identifier.clear()
        return _request(said, self.peer)

    def _answer(self, done: Commitment | Exception) -> None:
        if isinstance(done, Exception):
            answer = answer_for(done)
            LOG.log(
                logging.WARNING if isinstance(done, ReconcileError) else logging.ERROR,
                "commitment refused association=%s message=%d status=%04X error=%s",
                self.peer.id,
                self.command.message_id,
                answer.code,
                type(done).__name__,
            )
            self.peer.respond(self, response(self.command, answer))
            return
        answered = done.answered
        LOG.info(
            "commitment association=%s transaction=%s committed=%d of=%d",
            self.peer.id,
            answered.transaction_uid,
            len(answered.committed),
            len(answered.references),
        )
        self.peer.respond(self, response(self.command, Answer(SUCCESS)))
        self._report(done)

    def _report(self, commitment: Commitment) -> None:
        if self.peer.source.commitment == "new":
            self._told(commitment, None)
            return
        self.peer.report(
            Report(
                self.context_id,
                STORAGE_COMMITMENT,
                STORAGE_COMMITMENT_INSTANCE,
                event_type(commitment.answered),
                write_identifier(report(commitment.answered), self.context.transfer_syntax),
                partial(self._told, commitment),
            )
        )

    def _told(self, commitment: Commitment, status: int | None) -> None:
        self.peer.work(partial(self._note, commitment, status))

    def _note(self, commitment: Commitment, status: int | None) -> None:
        """In another thread. What is not noted is told once more."""
        assert self.peer.normalized is not None
        try:
            self.peer.normalized.told(commitment, status)
        except Exception as error:  # noqa: BLE001 - the door goes on
            LOG.error("report not noted error=%s", type(error).__name__)


class ReportResponse(Request):
    """An N-EVENT-REPORT-RSP (PS3.7 section 10.3.1): to a request of ours."""

    is_answered = False

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        super().__init__(peer, context_id, context, command)
        self.reports_on = command.responded_to or 0

    def serve(self) -> None:
        """Nothing follows from it."""
        self.peer.done(self)


def _request(said: dict[Tag, Element], peer: Peer) -> Asked:
    """The request of an Action Information (PS3.4 Table J.3-2).

    Raises:
        MissingAttribute, InvalidArgument: it is none.
    """
    transaction = at.text(said.get(_TRANSACTION_UID))
    items = at.values(said.get(_REFERENCES))
    if not transaction or not items:
        raise MissingAttribute("Transaction UID or Referenced SOP Sequence is missing")
    found = [Reference(at.text(i.get(_CLASS)), at.text(i.get(_INSTANCE))) for i in items]
    uids = {transaction, *(uid for each in found for uid in _uids(each))}
    if not all(map(is_uid, uids)):
        raise InvalidArgument("a UID of the request is none")
    references = tuple(dict.fromkeys(found))
    classes = {each.sop_class_uid for each in references}
    storable = frozenset(uid for uid in classes if is_storage(uid))
    return Asked(transaction, references, storable, peer.source.ae_title, peer.id)


def _uids(reference: Reference) -> tuple[str, str]:
    return reference.sop_class_uid, reference.sop_instance_uid


def event_type(answered: Answered) -> int:
    """Event Type ID of a report."""
    every = len(answered.committed) == len(answered.references)
    return ALL_COMMITTED if every else SOME_FAILED


def report(answered: Answered) -> dict[Tag, Element]:
    """Event Information of a report (PS3.4 Table J.3-4), in the DICOM JSON model."""
    committed = [_item(each) for each, reason in answered.references if reason is None]
    failed = [
        {**_item(each), _REASON: at.element("US", int(reason))}
        for each, reason in answered.references
        if reason is not None
    ]
    said = {_TRANSACTION_UID: at.element("UI", answered.transaction_uid)}
    if committed:
        said[_REFERENCES] = at.element("SQ", *committed)
    if failed:
        said[_FAILED] = at.element("SQ", *failed)
    return said


def _item(reference: Reference) -> dict[Tag, Element]:
    sop_class, uid = _uids(reference)
    return {_CLASS: at.element("UI", sop_class), _INSTANCE: at.element("UI", uid)}
