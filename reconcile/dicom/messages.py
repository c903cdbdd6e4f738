"""DIMSE messages of an acceptor, put together from their fragments (PS3.7, PS3.8 E).

A command set is bounded and read; from then on its service says what becomes of the data
set, fragment by fragment. A peer that breaks the protocol makes an exception here, and is
aborted. What any service does may not be put here, and no data set is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from reconcile.core.facts import Source
from reconcile.core.matchkeys import Question
from reconcile.dicom.commands import CommandSet
from reconcile.dicom.destinations import Giving
from reconcile.dicom.limits import Limits
from reconcile.dicom.pdus import Fragment
from reconcile.dicom.spool import Spools
from reconcile.errors import CannotUnderstand, LimitExceeded
from reconcile.flows.arrival import Arrival
from reconcile.flows.auditing import Heard
from reconcile.flows.commitment import Asked, Commitment
from reconcile.flows.performed import Told
from reconcile.flows.query import Answer as Found
from reconcile.flows.settling import Answer as Answered


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context.

    Attributes:
        takes: we are SCP: the peer's requests are carried out.
        gives: the peer takes ours, as SCP.
    """

    abstract_syntax: str
    transfer_syntax: str
    takes: bool = True
    gives: bool = False


Pages = Iterator[list[Found]]


class Normalized(Protocol):
    """What N-services do; all of it takes time, and is called in other threads."""

    def commit(self, asked: Asked) -> Commitment:
        """Note what is to be kept safe, and whether it is."""

    def told(self, commitment: Commitment, status: int | None) -> None:
        """Note how the report of it was answered; None: not at all."""

    def create(self, told: Told) -> None:
        """Keep a new performed step."""

    def update(self, told: Told) -> None:
        """Keep what is said of a performed step."""

    def new_uid(self) -> str:
        """A UID for a step that came without one."""


class Peer(Protocol):
    """What a request may know of the association that it came over."""

    id: str
    address: str
    calling: str
    called: str
    source: Source
    limits: Limits
    spools: Spools
    contexts: Mapping[int, Context]
    giving: Giving | None
    normalized: Normalized | None

    @property
    def may_send(self) -> bool:
        """Whether the peer still takes messages."""

    @property
    def stalled(self) -> bool:
        """Whether the peer does not read what was sent."""

    def submit(self, arrival: Arrival, answer: Answered) -> None:
        """Have an arrival stored; `answer` is called once, in another thread."""

    def post(self, call: Callable[[], None]) -> bool:
        """Have something called in the association's thread; from any thread.

        False: the door is gone, and it will not be called.
        """

    def work(self, call: Callable[[], None]) -> None:
        """Have something that takes time called in another thread."""

    def find(self, question: Question, view: str, asked: Heard) -> Pages:
        """Answers to a question, page by page; each is made when it is asked for."""

    def look(self) -> None:
        """A request has become ready, or takes more: go on."""

    def send(self, request: Request, command_set: bytes, data_set: bytes) -> None:
        """Send a response that is not the last one; only while the peer `may_send`."""

    def send_part(self, context_id: int, content: bytes, *, last: bool) -> None:
        """Send some of a data set of our own; only while the peer `may_send`."""

    def send_command(self, context_id: int, command_set: bytes) -> None:
        """Send a command of our own; only while the peer `may_send`."""

    def give(self, call: Callable[[], None]) -> None:
        """Have something called in another thread that may wait for peers."""

    def respond(self, request: Request, command_set: bytes, data_set: bytes = b"") -> None:
        """Send the last response, and go on with the next request."""

    def report(self, report: Report) -> None:
        """Send a request of our own; its `answered` is told, once, what became of it."""

    def done(self, request: Request) -> None:
        """Go on with the next request; there is nothing to respond."""

    def abort(self) -> None:
        """End the association now."""


@dataclass(frozen=True, slots=True)
class Report:
    """An N-EVENT-REPORT of ours (PS3.7 section 10.3.1), without its Message ID.

    `answered` is told the status of the response, in the association's thread; None:
    there was none.
    """

    context_id: int
    sop_class_uid: str
    sop_instance_uid: str
    event_type: int
    data_set: bytes
    answered: Callable[[int | None], None]


class Request:
    """A request whose command set has come, as a service sees it.

    Services derive from it. What follows is told by `write` and `finish`; when it is
    `ready` and its turn has come, `serve` is called once, and ends, then or later, in
    `peer.respond` or `peer.done`. All of it happens in the association's thread. This one
    keeps its data set, an identifier, in memory.

    Attributes:
        ready: everything has come, and it can be carried out.
        full: it takes no more for now; the peer is not read from.
        is_answered: there is a response to it.
        cancels: Message ID of the request that it takes back; it is not carried out.
        answers: whether it is an answer to a request of ours; it is not carried out.
        reports_on: Message ID of the report of ours that it answers; not carried out.
    """

    ready = False
    full = False
    is_answered = True
    cancels: int | None = None
    answers = False
    reports_on: int | None = None

    def __init__(
        self, peer: Peer, context_id: int, context: Context, command: CommandSet
    ) -> None:
        """Begin.

        Raises:
            ReconcileError: the peer is to be aborted.
        """
        if self.is_answered and command.message_id is None:
            raise CannotUnderstand("the request has no Message ID")
        self.peer = peer
        self.context_id = context_id
        self.context = context
        self.command = command
        self.identifier = bytearray()

    @property
    def most(self) -> int:
        """How many bytes its data set may have."""
        return self.peer.limits.identifier_bytes

    def write(self, part: memoryview) -> None:
        """Take the next piece of the data set; raises as `__init__`."""
        if len(self.identifier) + len(part) > self.most:
            raise LimitExceeded("the identifier is longer than the limit")
        self.identifier += part

    def finish(self) -> None:
        """The data set has come whole, or there is none; its turn may be later."""
        self.ready = True

    def serve(self) -> None:
        """Carry it out, without waiting for anything."""
        raise NotImplementedError

    def go_on(self) -> None:
        """What was sent has been written, while it is carried out; it may be again."""

    def cancel(self) -> None:
        """The peer does not want it any more (PS3.7 section 9.3.2.3)."""

    def told(self, answer: CommandSet) -> None:
        """The peer has answered a request of ours, while it is carried out."""

    def end_soon(self) -> None:
        """The archive stops: what takes long is broken off, and answered."""

    def discard(self) -> None:
        """Leave nothing behind: it is answered, or nobody wants it. Not while served."""


Services = Mapping[int, Callable[[Peer, int, Context, CommandSet], Request]]
"""What serves a request, by Command Field (0000,0100)."""


class Messages:
    """Puts messages together for one association."""

    def __init__(
        self, peer: Peer, contexts: Mapping[int, Context], services: Services
    ) -> None:
        self._peer = peer
        self._contexts = contexts
        self._services = services
        self._command = bytearray()
        self._context_id = 0
        self._request: Request | None = None

    @property
    def receiving(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._request is not None or bool(self._command)

    @property
    def full(self) -> bool:
        """Whether the message that is coming takes no more for now."""
        return self._request is not None and self._request.full

    def take(self, fragment: Fragment) -> Request | None:
        """Take a fragment; the request that it completes, if it does.

        Raises:
            ReconcileError: the peer breaks the protocol, and is to be aborted.
        """
        if fragment.command:
            return self._take_command(fragment)
        request = self._request
        if request is None or fragment.context_id != self._context_id:
            raise CannotUnderstand("a data set without its command")
        request.write(fragment.data)
        return self._finish(request) if fragment.last else None

    def _take_command(self, fragment: Fragment) -> Request | None:
        same = fragment.context_id == self._context_id
        if self._request is not None or (self._command and not same):
            raise CannotUnderstand("a command in the midst of another message")
        if len(self._command) + len(fragment.data) > self._peer.limits.command_bytes:
            raise LimitExceeded("the command set is longer than the limit")
        self._context_id = fragment.context_id
        self._command += fragment.data
        if not fragment.last:
            return None
        content, self._command = self._command, bytearray()
        return self._begin(CommandSet.parse(content))

    def _begin(self, command: CommandSet) -> Request | None:
        service = self._services.get(command.field)
        if service is None:
            raise CannotUnderstand(f"command {command.field:04X}H is not served here")
        context = self._contexts.get(self._context_id)
        if context is None:
            raise CannotUnderstand("the presentation context was not accepted")
        request = service(self._peer, self._context_id, context, command)
        if not command.has_data_set:
            return self._finish(request)
        self._request = request
        return None

    def _finish(self, request: Request) -> Request:
        request.finish()
        self._request = None
        return request

    def drop(self) -> None:
        """Leave nothing of a message that is half received."""
        request, self._request = self._request, None
        self._command = bytearray()
        if request is not None:
            request.discard()
