"""Which service answers which command: one table, for all associations.

A new service is a class of its own in a module of its own, and a line here.
"""

from __future__ import annotations

from reconcile.dicom.commands import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    C_STORE_RSP,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_EVENT_REPORT_RQ,
    N_SET_RQ,
    RESPONSE,
    CommandSet,
    response,
)
from reconcile.dicom.committing import CommitRequest, ReportResponse
from reconcile.dicom.finding import FindRequest
from reconcile.dicom.getting import GetRequest
from reconcile.dicom.messages import Context, Peer, Request, Services
from reconcile.dicom.moving import MoveRequest
from reconcile.dicom.performing import CreateRequest, SetRequest
from reconcile.dicom.sop_classes import VERIFICATION
from reconcile.dicom.status import SUCCESS, Answer, answer_for
from reconcile.dicom.storing import StoreRequest
from reconcile.errors import SOPClassNotSupported


class EchoRequest(Request):
    """A C-ECHO-RQ (PS3.7 section 9.3.5, PS3.4 Annex A)."""

    def serve(self) -> None:
        """Say that we are there."""
        answer = Answer(SUCCESS)
        if self.context.abstract_syntax != VERIFICATION:
            answer = answer_for(SOPClassNotSupported("C-ECHO is for Verification"))
        self.peer.respond(self, response(self.command, answer))


class CancelRequest(Request):
    """A C-CANCEL-RQ (PS3.7 section 9.3.2.3): it overtakes what it takes back."""

    is_answered = False

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        super().__init__(peer, context_id, context, command)
        self.cancels = command.responded_to

    def serve(self) -> None:
        """Ignore it: it says of nothing that it is taken back."""
        self.peer.done(self)


class StoreResponse(Request):
    """A C-STORE-RSP (PS3.7 section 9.3.1.2), to a sub-operation of a C-GET."""

    is_answered = False
    answers = True


SERVICES: Services = {
    C_STORE_RQ: StoreRequest,
    C_STORE_RSP: StoreResponse,
    C_FIND_RQ: FindRequest,
    C_GET_RQ: GetRequest,
    C_MOVE_RQ: MoveRequest,
    C_ECHO_RQ: EchoRequest,
    C_CANCEL_RQ: CancelRequest,
    N_ACTION_RQ: CommitRequest,
    N_CREATE_RQ: CreateRequest,
    N_SET_RQ: SetRequest,
    N_EVENT_REPORT_RQ | RESPONSE: ReportResponse,
}
