"""The SCP of queries and of the worklist: a C-FIND from its identifier to its last answer.

Pages of answers are made in another thread, one at a time: the next one when the peer has
taken those before it, so that whoever reads slowly, or not at all, holds one page and no
transaction. Which studies or steps match may not be decided here.

Source:
    PS3.4 sections C.4.1 and K.4.1.
"""

from __future__ import annotations

import logging
from functools import partial

from reconcile.core import attributes as at
from reconcile.core.audit_message import QUERY_BYTES_MAX
from reconcile.core.matchkeys import Question, question_of
from reconcile.core.querykeys import Level
from reconcile.core.worklist import question_of_steps
from reconcile.dicom.commands import CommandSet, response
from reconcile.dicom.identifiers import read_identifier, write_identifier
from reconcile.dicom.messages import Context, Pages, Peer, Request
from reconcile.dicom.sop_classes import (
    INVENTORY_FIND,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    WORKLIST_FIND,
)
from reconcile.dicom.status import (
    CANCELLED,
    PENDING,
    PENDING_NOT_ALL,
    SUCCESS,
    Answer,
    answer_for,
    identifier_error,
)
from reconcile.errors import (
    CannotUnderstand,
    NotAuthorised,
    ReconcileError,
    SOPClassNotSupported,
    WrongUse,
)
from reconcile.flows.auditing import QUERY, Heard
from reconcile.flows.query import Answer as Found
from reconcile.flows.query import only

LOG = logging.getLogger(__name__)

# PS3.4 sections C.6.1.1 and C.6.2.1: the levels of each information model; the worklist
# and inventories have none to name
LEVELS = {
    PATIENT_ROOT_FIND: (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE),
    STUDY_ROOT_FIND: (Level.STUDY, Level.SERIES, Level.IMAGE),
    WORKLIST_FIND: (Level.WORKLIST,),
    INVENTORY_FIND: (Level.INVENTORY,),
}
_LEVEL, _RETRIEVE_AE, _AVAILABILITY = "00080052", "00080054", "00080056"


class FindRequest(Request):
    """A C-FIND-RQ (PS3.7 section 9.3.2)."""

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        super().__init__(peer, context_id, context, command)
        self._cancelled = False
        self._waits = False  # for the peer to have taken what was sent
        self._answers = 0
        self._question = Question(Level.STUDY)
        self._pages: Pages = iter(())

    def serve(self) -> None:
        """Begin to answer, or say why not."""
        try:
            self._question = self._asked()
            self._pages = self.peer.find(
                self._question, self.peer.source.domain, self._heard()
            )
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            self._end(error)
            return
        self._next()

    def _asked(self) -> Question:
        if not self.peer.source.query:
            raise NotAuthorised("this AE title may not query")
        levels = LEVELS.get(self.command.sop_class_uid)
        if levels is None or self.command.sop_class_uid != self.context.abstract_syntax:
            raise SOPClassNotSupported("SOP class of the request is not its context's")
        if not self.command.has_data_set:
            raise CannotUnderstand("the request brings no identifier")
        keys = read_identifier(
            self.identifier, self.context.transfer_syntax, self.peer.source.charset
        )
        if levels == (Level.WORKLIST,):
            return question_of_steps(keys)
        if levels == (Level.INVENTORY,):
            return question_of(Level.INVENTORY, keys)
        said = at.text(keys.get(_LEVEL))
        level = next((each for each in levels if each == said), None)
        if level is None:
            raise WrongUse("Query/Retrieve Level is none that is served here")
        return question_of(level, keys)

    def _heard(self) -> Heard:
        """For whoever takes note of what was asked: the identifier as it came."""
        return Heard(
            QUERY,
            self.peer.calling,
            self.peer.address,
            self.command.sop_class_uid,
            bytes(self.identifier[:QUERY_BYTES_MAX]),
            self.context.transfer_syntax,
        )

    def cancel(self) -> None:
        """Answer no more than what is on its way."""
        self._cancelled = True

    def go_on(self) -> None:
        """The peer may have taken what was sent: make the next page."""
        if self._waits and (not self.peer.stalled or not self.peer.may_send):
            self._waits = False
            self._next()

    # -- Pages -------------------------------------------------------------------------

    def _next(self) -> None:
        if not self.peer.may_send:
            self.peer.done(self)
        elif self._cancelled:
            self._end(Answer(CANCELLED))
        else:
            self.peer.work(self._make)

    def _make(self) -> None:
        """In another thread: the next page, as data sets."""
        try:
            page = next(self._pages, None)
            made = None if page is None else [self._written(each) for each in page]
        except Exception as error:  # noqa: BLE001 - every way out is an answer
            self.peer.post(partial(self._end, error))
        else:
            self.peer.post(partial(self._made, made))

    def _written(self, answer: Found) -> bytes:
        question = self._question
        found = only(answer, question)
        if question.level is Level.WORKLIST:
            return write_identifier(found, self.context.transfer_syntax)
        if question.level is not Level.INVENTORY:
            found[_LEVEL] = at.element("CS", question.level.value)
        found[_RETRIEVE_AE] = at.element("AE", self.peer.called)
        if _AVAILABILITY in question.shown:
            found[_AVAILABILITY] = at.element("CS", "ONLINE")
        return write_identifier(found, self.context.transfer_syntax)

    def _made(self, page: list[bytes] | None) -> None:
        if page is None:
            self._end(Answer(SUCCESS))
            return
        code = PENDING_NOT_ALL if self._question.unsupported else PENDING
        command = response(self.command, Answer(code), data_set=True)
        for data in page:
            if self._cancelled or not self.peer.may_send:
                break
            self.peer.send(self, command, data)
            self._answers += 1
        self._waits = True
        self.peer.look()

    def _end(self, how: Answer | Exception) -> None:
        if isinstance(how, Exception):
            bad_key = isinstance(how, WrongUse)
            answer = identifier_error(how) if bad_key else answer_for(how)
        else:
            answer = how
        LOG.log(
            _gravity(how),
            "find ended association=%s message=%d level=%s answers=%d status=%04X error=%s",
            self.peer.id,
            self.command.message_id,
            self._question.level.value,
            self._answers,
            answer.code,
            type(how).__name__ if isinstance(how, Exception) else "",
        )
        self.peer.respond(self, response(self.command, answer))


def _gravity(how: Answer | Exception) -> int:
    if isinstance(how, Answer):
        return logging.INFO
    return logging.WARNING if isinstance(how, ReconcileError) else logging.ERROR
