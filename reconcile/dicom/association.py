"""One association: whose it is, and its requests in their order, one at a time.

Joins the upper layer, the messages and the services. It lives in the door's thread and
never waits: what takes time is done elsewhere, and comes back by `post`. Sockets and
clocks are its connection's; what a request means may not be put here.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from reconcile.core.facts import Source
from reconcile.core.matchkeys import Question
from reconcile.dicom.commands import event_report
from reconcile.dicom.destinations import Giving
from reconcile.dicom.journal import ABORTED, RELEASED, Journal
from reconcile.dicom.limits import Limits
from reconcile.dicom.messages import Context, Messages, Normalized, Pages, Report, Request
from reconcile.dicom.negotiation import Answered, AssociateRequest, Roles
from reconcile.dicom.pdus import Fragment
from reconcile.dicom.policy import ACCEPTANCE, Certificate, Refusal, agree
from reconcile.dicom.services import SERVICES
from reconcile.dicom.spool import Spools
from reconcile.dicom.states import State
from reconcile.dicom.upper_layer import Aborted, UpperLayer
from reconcile.errors import CannotUnderstand, ReconcileError
from reconcile.flows.arrival import Arrival
from reconcile.flows.auditing import Heard
from reconcile.flows.settling import Answer

LOG = logging.getLogger(__name__)

_STOPS = "the archive stops"


class Wire(Protocol):
    """The connection of an association.

    Attributes:
        address: IP address of the peer.
        admitted: it holds a place; else it is only here to be told that there is none.
        certificate: the peer's, over TLS.
        stalled: the peer does not read what was sent.
    """

    address: str
    admitted: bool
    stalled: bool
    certificate: Certificate | None

    def settle(self) -> None:
        """Send what there is to send, and do what the state asks for."""

    def cut(self) -> None:
        """Close at once."""


class Door(Protocol):
    """What an association needs of the door that it came through."""

    limits: Limits
    spools: Spools
    giving: Giving | None
    normalized: Normalized | None

    def post(self, call: Callable[[], None]) -> bool:
        """Have something called in the door's thread; False: it will not be."""

    def admit(self, association: Association, wire: Wire) -> Source | Refusal:
        """Whose association this is, or why it is refused."""

    def submit(self, arrival: Arrival, answer: Answer) -> None:
        """Have an arrival stored; `answer` is called once, in another thread."""

    def work(self, call: Callable[[], None]) -> None:
        """Have something that takes time called in another thread."""

    def give(self, call: Callable[[], None]) -> None:
        """Have something called in another thread that may wait for peers."""

    def find(self, question: Question, view: str, asked: Heard) -> Pages:
        """Answers to a question, page by page."""


class Association:
    """An acceptor's association, from its connection to its last answer.

    Attributes:
        id: that log lines and receipts share.
        journal: what is told of it once it is over.
        calling, called: AE titles, once it has been asked for.
        source: how instances of this peer are read.
        upper: its state.
        serving: the request that is being carried out.
    """

    def __init__(self, door: Door, wire: Wire, name: str) -> None:
        self.id = name
        self.journal = Journal(name, wire.address)
        self.address = wire.address
        self.calling = ""
        self.called = ""
        self.source = Source("")
        self.limits = door.limits
        self.spools = door.spools
        self.post = door.post
        self.submit = door.submit
        self.work = door.work
        self.give = door.give
        self.giving = door.giving
        self.contexts: Mapping[int, Context] = {}
        self.find = door.find
        self.normalized = door.normalized
        self.upper = UpperLayer(door.limits)
        self.serving: Request | None = None
        self._door = door
        self._wire = wire
        self._messages: Messages | None = None
        self._waiting: deque[Request] = deque()
        self._reports: dict[int, Report] = {}
        self._numbers = itertools.cycle(range(1, 1 << 16))
        self._going_on = False
        self._is_last = False
        self._said = False
        self._yields = False

    @property
    def working(self) -> bool:
        """Whether a request waits, or is being carried out."""
        return self.serving is not None or bool(self._waiting)

    @property
    def may_send(self) -> bool:
        """Whether the peer still takes messages."""
        return self.upper.may_send

    @property
    def stalled(self) -> bool:
        """Whether the peer does not read what was sent."""
        return self._wire.stalled

    @property
    def receiving(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._messages is not None and self._messages.receiving

    @property
    def full(self) -> bool:
        """Whether so much waits here that nothing more is taken for now."""
        if self._yields or len(self._waiting) >= self.limits.pipelined:
            return True
        return self._messages is not None and self._messages.full

    # -- What its connection tells -----------------------------------------------------

    def receive(self, data: memoryview) -> None:
        """The peer has sent something; the buffer is free when this returns."""
        self.upper.receive(data)
        self.look()
        self.upper.keep()

    def connection_closed(self) -> None:
        """There is no connection any more; may be said twice."""
        if self.upper.state is not State.IDLE:
            self.upper.connection_closed()
        self.look()

    def abort(self, why: str = "by the archive") -> None:
        """End it now."""
        self.journal.ends(ABORTED, why)
        if self.upper.may_abort:
            self.upper.abort()
            self.look()
        elif self.upper.state is not State.AWAITING_CLOSE:
            self._wire.cut()

    def finish(self) -> None:
        """End it as soon as what is being carried out has been answered."""
        self._is_last = True
        if self.serving is None:
            self.abort(_STOPS)
        else:
            self.serving.end_soon()

    # -- What a request does -----------------------------------------------------------

    def send(self, request: Request, command_set: bytes, data_set: bytes) -> None:
        """Send a response that is not the last one; only while the peer `may_send`."""
        self.upper.send_command(request.context_id, command_set)
        if data_set:
            self.upper.send_data(request.context_id, data_set)

    def send_command(self, context_id: int, command_set: bytes) -> None:
        """Send a command of our own; only while the peer `may_send`."""
        self.upper.send_command(context_id, command_set)

    def send_part(self, context_id: int, content: bytes, *, last: bool) -> None:
        """Send some of a data set of our own; only while the peer `may_send`."""
        self.upper.send_data(context_id, content, last=last)

    def respond(self, request: Request, command_set: bytes, data_set: bytes = b"") -> None:
        """Send the last response, and go on with the next request."""
        request.discard()  # first: who is told that it is kept finds nothing in the spool
        self.journal.responded(request.command.field, command_set)
        if self.upper.may_send:
            self.send(request, command_set, data_set)
        self._served()

    def done(self, request: Request) -> None:
        """Go on with the next request; there is nothing to respond."""
        request.discard()
        self._served()

    def report(self, report: Report) -> None:
        """Send a request of our own, which no request of the peer's waits for.

        Its `answered` is told, once, what became of it: also where nothing is sent.
        """
        if not self.upper.may_send:
            report.answered(None)
            return
        number = next(self._numbers)
        self._reports[number] = report
        uids = report.sop_class_uid, report.sop_instance_uid
        command = event_report(*uids, report.event_type, number)
        self.upper.send_command(report.context_id, command)
        self.upper.send_data(report.context_id, report.data_set)
        self.look()

    def _reported(self, response: Request) -> None:
        """To a report that was sent; a response to anything else says nothing."""
        report = self._reports.pop(response.reports_on or 0, None)
        if report is not None:
            self.journal.reported(response.command.status)
            report.answered(response.command.status)

    def _served(self) -> None:
        self.serving = None
        if self._is_last and self.upper.may_abort:
            self.journal.ends(ABORTED, _STOPS)
            self.upper.abort()
        self.look()

    def look(self) -> None:
        """Take what has come, carry out what can be, and send what there is to send."""
        if self._going_on:
            return  # whoever goes on already sees to it
        self._going_on = True
        yielded = self._yields
        try:
            self._carry_out()
            self._take()
            self._release_if_asked()
        except Exception as error:  # noqa: BLE001 - a peer made it happen: it ends here
            self._fail(error)
        finally:
            self._going_on = False
        if not self.upper.may_send:
            self._say_fault()
            self._drop()
        self._wire.settle()
        if self.serving is not None:
            self.serving.go_on()
        if self._yields and not yielded:
            self.post(self._have_a_turn)

    def _have_a_turn(self) -> None:
        self._yields = False
        self.look()

    # -- Going on ----------------------------------------------------------------------

    def _carry_out(self) -> None:
        """One request at a time, in their order."""
        while self.serving is None and self._waiting and self._waiting[0].ready:
            if not self.upper.may_send:
                return
            self.serving = self._waiting.popleft()
            self.serving.serve()

    def _take(self) -> None:
        taken = 0
        while not self.full:
            event = self.upper.next_event()
            if event is None:
                return
            if isinstance(event, Fragment):
                self._take_fragment(event)
            elif isinstance(event, AssociateRequest):
                self._negotiate(event)
            elif isinstance(event, Aborted) and not self.upper.fault:
                self.journal.broken(by_peer=event.by_peer)
                LOG.info("association aborted association=%s", self.id)
            taken += 1
            self._yields = taken == self.limits.turn

    def _take_fragment(self, fragment: Fragment) -> None:
        assert self._messages is not None
        request = self._messages.take(fragment)
        if request is None:
            return
        if request.cancels is not None:
            self._cancel(request.cancels)
            return
        if request.answers:
            self._answered(request)
            return
        if request.reports_on is not None:
            self._reported(request)
            return
        self._waiting.append(request)
        self._carry_out()

    def _cancel(self, message_id: int) -> None:
        """Of a request that is carried out, or waits."""
        for request in (self.serving, *self._waiting):
            if request is not None and request.command.message_id == message_id:
                request.cancel()

    def _answered(self, response: Request) -> None:
        if self.serving is None:
            raise CannotUnderstand("an answer to nothing that was asked")
        self.serving.told(response.command)

    def _release_if_asked(self) -> None:
        """Only when nothing is left to be answered."""
        if self.upper.state is State.RELEASE_ASKED and not self.working:
            self.upper.answer_release()
            self.journal.ends(RELEASED)
            LOG.info("association released association=%s", self.id)

    def _drop(self) -> None:
        """Leave nothing of what nobody will carry out any more."""
        while self._waiting:
            self._waiting.popleft().discard()
        if self._messages is not None:
            self._messages.drop()
        reports, self._reports = self._reports, {}
        for report in reports.values():
            report.answered(None)

    def _fail(self, error: Exception) -> None:
        LOG.warning("association failed association=%s reason=%r", self.id, _reason(error))
        self.journal.ends(ABORTED, _reason(error))
        if self.upper.may_abort:
            self.upper.abort()
        else:
            self._wire.cut()

    def _say_fault(self) -> None:
        """Once: why a peer is not understood."""
        if self.upper.fault and not self._said:
            self._said = True
            fault = self.upper.fault
            self.journal.ends(ABORTED, fault)
            LOG.warning("pdu refused association=%s reason=%r", self.id, fault)

    # -- Negotiation -------------------------------------------------------------------

    def _negotiate(self, request: AssociateRequest) -> None:
        self.calling, self.called = request.calling, request.called
        self.journal.asked(request)
        verdict = self._door.admit(self, self._wire)
        if isinstance(verdict, Refusal):
            self.journal.refused(verdict)
            self.upper.reject(verdict.result, verdict.source, verdict.reason)
            return
        self.source = verdict
        acceptance = agree(request, verdict, self.limits.maximum_pdu)
        contexts = {
            each.context_id: _context(each, acceptance.roles.get(each.abstract_syntax))
            for each in acceptance.contexts
            if each.result == ACCEPTANCE
        }
        self.contexts = contexts
        self._messages = Messages(self, contexts, SERVICES)
        self.upper.accept(acceptance)
        self.journal.accepted(verdict.ae_title, len(contexts))


def _context(agreed: Answered, roles: Roles | None) -> Context:
    """Without a selection of roles the peer is SCU (PS3.7 section D.3.3.4)."""
    roles = roles or Roles(scu=True, scp=False)
    return Context(agreed.abstract_syntax, agreed.transfer_syntax, roles.scu, roles.scp)


def _reason(error: Exception) -> str:
    """An error for a log line: our own messages hold no data, others' might."""
    return str(error) if isinstance(error, ReconcileError) else type(error).__name__
