"""The upper layer of an acceptor without any I/O: bytes in, events out, bytes to send out.

Whoever has the connection hands in what it received, asks for the next event until there
is none, and sends what is to be sent. Nothing that a peer sends makes this raise: what
breaks the protocol ends in an A-ABORT, as the standard says. Calling what the state does
not allow is a bug of ours, and asserted. Clocks are the owner's: it is told when ARTIM
runs, and says when it has expired. What a message or a data set means may not be put
here.

Source:
    PS3.8 section 9.2.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from reconcile.dicom import pdus
from reconcile.dicom.limits import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    RELEASE_RP,
    RELEASE_RQ,
    Limits,
)
from reconcile.dicom.negotiation import (
    PROTOCOL_VERSION,
    Acceptance,
    AssociateRequest,
    accept_pdu,
    read_request,
    reject_pdu,
)
from reconcile.dicom.pdus import DataBegins, Fragment, Pdu, PduReader
from reconcile.dicom.states import EFFECTS, TRANSITIONS, Action, Event, State
from reconcile.errors import CannotUnderstand, ReconcileError

# A-ABORT source and reason: PS3.8 Table 9-26
_SERVICE_USER, _SERVICE_PROVIDER = 0, 2
_NOT_SPECIFIED, _UNEXPECTED_PDU, _INVALID_PARAMETER = 0, 2, 6
# A-ASSOCIATE-RJ: PS3.8 Table 9-21
_VERSION_NOT_SUPPORTED = (1, 2, 2)

_RECEIVED = {
    ASSOCIATE_AC: Event.ASSOCIATE_AC,
    ASSOCIATE_RJ: Event.ASSOCIATE_RJ,
    ASSOCIATE_RQ: Event.ASSOCIATE_RQ,
    RELEASE_RQ: Event.RELEASE_RQ,
    RELEASE_RP: Event.RELEASE_RP,
    ABORT: Event.ABORTED,
}
_SHORT_BYTES = 4
"""The body of all PDUs but A-ASSOCIATE-RQ, A-ASSOCIATE-AC and P-DATA-TF."""
_SHORT = frozenset({ASSOCIATE_RJ, RELEASE_RQ, RELEASE_RP, ABORT})
_SENDS_DATA = frozenset({State.ESTABLISHED, State.RELEASE_ASKED})
_TAKES_DATA = frozenset({State.ESTABLISHED, State.AWAITING_RELEASE_RP})


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """A-RELEASE indication: the peer has nothing more to ask."""


@dataclass(frozen=True, slots=True)
class Released:
    """A-RELEASE confirmation: the peer has agreed to our release."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """A-ABORT indication, or A-P-ABORT indication where `by_peer` is False."""

    by_peer: bool


Told = AssociateRequest | Fragment | ReleaseRequested | Released | Aborted
"""The primitives that an acceptor's user is told (PS3.8 section 7)."""


class UpperLayer:
    """One association's state. It begins on a transport connection: Evt5, AE-5.

    Attributes:
        state: where the association is; in Sta1 it is over, and the connection is to be
            closed if it is not.
        artim_running: whether the ARTIM timer runs; `artim_started` counts its starts.
        fault: why the provider aborted the peer, where it did; no data of the peer.
        maximum: the longest P-DATA-TF that the peer takes, in bytes; 0: any.
    """

    def __init__(self, limits: Limits) -> None:
        self.state = State.IDLE
        self.artim_running = False
        self.artim_started = 0
        self.fault = ""
        self.maximum = 0
        self._limits = limits
        self._reader = PduReader(limits)
        self._lost = False  # where the next PDU begins is not known any more
        self._request: AssociateRequest | None = None
        self._told: deque[Told] = deque()
        self._output: list[bytes] = []
        self._do(Event.CONNECTION)

    # -- What the owner of the connection does -----------------------------------------

    def receive(self, data: memoryview) -> None:
        """Take what the peer sent; then ask for events.

        It may not change before `next_event` has returned None, or `keep` was called.
        """
        if not self._lost:
            self._reader.receive(data)

    def keep(self) -> None:
        """Copy what was received and not yet asked for: its buffer is wanted."""
        self._reader.keep()

    def next_event(self) -> Told | None:
        """What has happened next; None until more is received. Raises nothing."""
        while not self._told:
            if self._lost or self.state is State.IDLE:
                return None
            try:
                token = self._reader.next()
            except ReconcileError as error:
                self._lost = True
                self._refuse(error)
                continue
            if token is None:
                return None
            if isinstance(token, Fragment):
                if self.state in _TAKES_DATA:
                    return token
            else:
                self._received(token)
        return self._told.popleft()

    def take_output(self) -> bytes:
        """What is to be sent now, in one piece."""
        output, self._output = self._output, []
        return output[0] if len(output) == 1 else b"".join(output)

    def connection_closed(self) -> None:
        """The peer has closed, or the connection is lost; not in Sta1."""
        self._do(Event.CONNECTION_CLOSED)

    def artim_expired(self) -> None:
        """ARTIM has run long enough; only while it runs."""
        self._do(Event.ARTIM_EXPIRED)

    def pdu_overdue(self) -> None:
        """A PDU that has begun does not end; not in Sta1."""
        self._lost = True
        self.fault = "a PDU took too long"
        self._do(Event.INVALID_PDU, reason=_NOT_SPECIFIED)

    @property
    def in_pdu(self) -> bool:
        """Whether a PDU has begun and not ended."""
        return self._reader.inside and not self._lost

    @property
    def pdus(self) -> int:
        """How many PDUs have come whole."""
        return self._reader.ended

    # -- What the association's user does ----------------------------------------------

    @property
    def may_send(self) -> bool:
        """Whether the peer still takes messages."""
        return self.state in _SENDS_DATA

    @property
    def may_abort(self) -> bool:
        """Whether there is an association that can be ended."""
        return Event.ABORT in TRANSITIONS[self.state]

    def accept(self, acceptance: Acceptance) -> None:
        """Answer the association request with an A-ASSOCIATE-AC; in Sta3."""
        assert self._request is not None
        self._do(Event.ACCEPT, accept_pdu(self._request, acceptance))

    def reject(self, result: int, source: int, reason: int) -> None:
        """Answer the association request with an A-ASSOCIATE-RJ; in Sta3."""
        self._do(Event.REJECT, reject_pdu(result, source, reason))

    def send_command(self, context_id: int, content: bytes) -> None:
        """Send a command set, in as many PDUs as the peer needs; in Sta6 and Sta8."""
        data = pdus.data_pdus(context_id, pdus.COMMAND, content, self.maximum)
        self._do(Event.SEND_DATA, data)

    def send_data(self, context_id: int, content: bytes, *, last: bool = True) -> None:
        """Send the data set of a command, or some of it, as `send_command`."""
        data = pdus.data_pdus(context_id, 0, content, self.maximum, last=last)
        self._do(Event.SEND_DATA, data)

    def release(self) -> None:
        """Ask for the end of the association; in Sta6."""
        self._do(Event.RELEASE, pdus.release_rq())

    def answer_release(self) -> None:
        """Agree to the end that the peer asked for; in Sta8 and Sta12."""
        self._do(Event.ANSWER_RELEASE, pdus.release_rp())

    def abort(self) -> None:
        """End the association; in Sta3 to Sta12."""
        self._do(Event.ABORT)

    # -- The state machine -------------------------------------------------------------

    def _received(self, token: DataBegins | Pdu) -> None:
        if isinstance(token, DataBegins):
            self._do(Event.P_DATA_TF)
            return
        kind, body = token.kind, token.body
        try:
            if kind in _SHORT and len(body) != _SHORT_BYTES:
                raise CannotUnderstand(f"PDU type {kind:02X}H has no four bytes")
            if kind == ASSOCIATE_RQ and self.state is State.AWAITING_REQUEST:
                self._request = read_request(body, self._limits)
        except ReconcileError as error:
            self._refuse(error)
            return
        self._do(_RECEIVED[kind], reason=_UNEXPECTED_PDU)

    def _refuse(self, error: ReconcileError) -> None:
        self.fault = self.fault or str(error)
        self._do(Event.INVALID_PDU, reason=_INVALID_PARAMETER)

    def _do(self, event: Event, pdu: bytes = b"", reason: int = _UNEXPECTED_PDU) -> None:
        """Carry out the action of PS3.8 Table 9-10.

        Args:
            event: that has happened.
            pdu: what our side sends with it.
            reason: of the abort, if this ends in one of the service provider's.
        """
        action = TRANSITIONS[self.state].get(event)
        assert action is not None, f"{event} in {self.state}"
        effect = EFFECTS[action]
        if pdu:
            self._output.append(pdu)
        if effect.artim is not None:
            self.artim_running = effect.artim
            self.artim_started += effect.artim
        self.state = effect.next
        self._send_and_tell(action, event, reason)

    def _send_and_tell(self, action: Action, event: Event, reason: int) -> None:
        match action:
            case Action.DT_1 | Action.DT_2:
                pass
            case Action.AE_6:
                self._ask()
            case Action.AR_2 | Action.AR_8:
                self._told.append(ReleaseRequested())
            case Action.AR_3 | Action.AR_10:
                self._told.append(Released())
            case Action.AA_3:
                self._told.append(Aborted(by_peer=True))
            case Action.AA_4:
                self._told.append(Aborted(by_peer=False))
            case Action.AA_1:
                self._send_abort(event, _SERVICE_USER, _NOT_SPECIFIED)
            case Action.AA_7:
                self._send_abort(event, _SERVICE_PROVIDER, reason)
            case Action.AA_8:
                self._send_abort(event, _SERVICE_PROVIDER, reason)
                self._told.append(Aborted(by_peer=False))

    def _send_abort(self, event: Event, source: int, reason: int) -> None:
        self._output.append(pdus.abort(source, reason))
        if event is not Event.ABORT:
            self.fault = self.fault or f"{event.name} was not expected"

    def _ask(self) -> None:
        """AE-6: whether the request can be answered at all is the provider's to say."""
        assert self._request is not None
        if self._request.version & PROTOCOL_VERSION:
            self.maximum = self._request.maximum_length
            self._told.append(self._request)
            return
        self._output.append(reject_pdu(*_VERSION_NOT_SUPPORTED))
        self.fault = "the protocol version is not supported"
        self.state = State.AWAITING_CLOSE
        self.artim_running = True
        self.artim_started += 1
