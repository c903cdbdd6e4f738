"""The Modality Performed Procedure Step SCP: N-CREATE and N-SET (PS3.4 Annex F.7).

What a step says, and what follows from it, may not be decided here.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from reconcile.dicom.commands import response
from reconcile.dicom.messages import Normalized, Request
from reconcile.dicom.sop_classes import PERFORMED_STEP, is_uid
from reconcile.dicom.status import SUCCESS, Answer, answer_for
from reconcile.errors import (
    InvalidArgument,
    MissingAttribute,
    NoSuchInstance,
    ReconcileError,
    SOPClassNotSupported,
)
from reconcile.flows.performed import Told

LOG = logging.getLogger(__name__)


class _StepRequest(Request):
    """A request about one performed step."""

    name = ""

    @property
    def most(self) -> int:
        """How many bytes its data set may have."""
        return self.peer.limits.normalized_bytes

    def serve(self) -> None:
        """Have it kept, in another thread."""
        self.peer.work(self._carry_out)

    def _carry_out(self) -> None:
        try:
            self._take(self._flow())
            answer, error = Answer(SUCCESS), None
        except Exception as raised:  # noqa: BLE001 - every way out is an answer
            answer, error = answer_for(raised), raised
        self.peer.post(partial(self._answer, answer, error))

    def _flow(self) -> Normalized:
        command = self.command
        if PERFORMED_STEP != command.sop_class_uid or (
            command.sop_class_uid != self.context.abstract_syntax
        ):
            raise SOPClassNotSupported("SOP class of the request is not its context's")
        if self.peer.normalized is None:
            raise SOPClassNotSupported("performed steps are not taken here")
        if not command.has_data_set:
            raise MissingAttribute("the request brings no data set")
        return self.peer.normalized

    def _take(self, flow: Normalized) -> None:
        raise NotImplementedError

    def _told(self) -> Told:
        return Told(
            self.command.sop_instance_uid,
            self.context.transfer_syntax,
            bytes(self.identifier),
            self.peer.source,
            self.peer.id,
            self.command.message_id or 0,
        )

    def _answer(self, answer: Answer, error: Exception | None) -> None:
        LOG.log(
            _gravity(error),
            "step %s association=%s message=%d instance=%r status=%04X error=%s",
            self.name,
            self.peer.id,
            self.command.message_id,
            self.command.sop_instance_uid[:64],
            answer.code,
            type(error).__name__ if error else "",
        )
        self.peer.respond(self, response(self.command, answer))


class CreateRequest(_StepRequest):
    """An N-CREATE-RQ (PS3.7 section 10.3.7)."""

    name = "create"

    def _take(self, flow: Normalized) -> None:
        if not self.command.sop_instance_uid:
            # Then it is ours to give (PS3.7 section 10.1.5.1.4).
            self.command = replace(self.command, sop_instance_uid=flow.new_uid())
        if not is_uid(self.command.sop_instance_uid):
            raise InvalidArgument("the SOP Instance UID is none")
        flow.create(self._told())


class SetRequest(_StepRequest):
    """An N-SET-RQ (PS3.7 section 10.3.3)."""

    name = "set"

    def _take(self, flow: Normalized) -> None:
        if not is_uid(self.command.sop_instance_uid):
            raise NoSuchInstance("the SOP Instance UID is none")
        flow.update(self._told())


def _gravity(error: Exception | None) -> int:
    if error is None:
        return logging.INFO
    return logging.WARNING if isinstance(error, ReconcileError) else logging.ERROR
