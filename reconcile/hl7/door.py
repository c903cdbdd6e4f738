"""From one message to its acknowledgement.

The order is fixed: read MSH, know the sender, *keep* the message, and only then find out
what it says, act, and answer. So a message that was ever accepted can be looked at,
explained and replayed, also one that nothing could be made of.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any, Protocol
from uuid import UUID

from reconcile.core.facts import Feed
from reconcile.core.identity import PatientUpdate
from reconcile.core.merge import DemographicsOnly, IdentityCommand
from reconcile.core.order import OrderUpdate
from reconcile.errors import CannotUnderstand, ReconcileError, ServiceUnavailable
from reconcile.flows.message import Asked, Fault, Outcome, Received, as_before
from reconcile.flows.outcome import REPLAYABLE
from reconcile.hl7.acknowledge import acknowledge, acknowledge_unreadable
from reconcile.hl7.adt import said_at
from reconcile.hl7.dispatch import Command, NoAction, Unsupported, interpret
from reconcile.hl7.feed import Bound, Peer, feed_of
from reconcile.hl7.message import Header, read_header, read_message

log = logging.getLogger(__name__)

#: State of a message that nothing has become of yet.
KEPT = "kept"

#: Effects of a message that was acted on already.
BEFORE = ("done before",)

UNSUPPORTED = Fault("201", "this event is not supported", "MSH^1^9^1^2")
_BUG = Fault("207", "internal error; see the archive's log")


class Kept(Protocol):
    """A message in the inbox; once it was settled, with what was answered."""

    @property
    def message_id(self) -> UUID: ...
    @property
    def state(self) -> str: ...
    @property
    def acknowledgement(self) -> str: ...
    @property
    def error(self) -> Mapping[str, Any] | None: ...


class Stored(Protocol):
    """A message that was kept earlier."""

    @property
    def message_id(self) -> UUID: ...
    @property
    def sender(self) -> str: ...
    @property
    def control_id(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...


class Inbox(Protocol):
    """Where every message is kept before it is acted on."""

    def keep(self, *, sender: str, control_id: str, event: str, body: bytes) -> Kept:
        """Make a message durable, or find it where it is kept already.

        Raises:
            ServiceUnavailable: it could not be made durable.
        """

    def settle(
        self,
        message_id: UUID,
        outcome: Outcome,
        said_at: datetime | None = None,
        asked: Asked | None = None,
    ) -> None:
        """Record what became of a message that no flow acted on."""

    def refuse(self, message: Received, code: str, fault: Fault) -> Outcome:
        """Refuse a message, settle it, and list it under a code for a person.

        Raises:
            ServiceUnavailable: nothing was done, and the message is not settled.
        """


class Patients(Protocol):
    """What messages of patients make happen."""

    def apply(self, message: Received, update: PatientUpdate) -> Outcome:
        """Bring a patient up to date and settle the message, in one transaction.

        Raises:
            ReconcileError: nothing was done, and the message is not settled.
        """

    def update_known(self, message: Received, command: DemographicsOnly) -> Outcome:
        """Bring a patient up to date, if there is one, and settle the message.

        Raises:
            ReconcileError: nothing was done, and the message is not settled.
        """


class Identities(Protocol):
    """What messages of who is who make happen."""

    def apply(self, message: Received, command: IdentityCommand) -> Outcome:
        """Merge, change, move, link or retire, and settle the message.

        Raises:
            ReconcileError: nothing was done, and the message is not settled.
        """


class Orders(Protocol):
    """What messages of orders make happen."""

    def apply(self, message: Received, updates: tuple[OrderUpdate, ...]) -> Outcome:
        """Bring all orders of a message up to date, or none, and settle it.

        Raises:
            ReconcileError: nothing was done, and the message is not settled.
        """


class Door:
    """Answers messages, each on its own; may be called from several threads at once.

    Args:
        feeds: the senders that may speak to this archive.
        inbox: keeps messages.
        patients: acts on messages of patients.
        orders: acts on messages of orders.
        identities: acts on messages of who is who.
        timezone: of times that name none.
        clock: the time, zone aware.
        new_control_id: MSH-10 of the next acknowledgement, at most 20 characters.
        bound: what the other end must be to speak as a feed; of others: anybody.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        inbox: Inbox,
        patients: Patients,
        orders: Orders,
        identities: Identities,
        *,
        timezone: tzinfo,
        clock: Callable[[], datetime],
        new_control_id: Callable[[], str],
        bound: Mapping[Feed, Bound] | None = None,
    ) -> None:
        self._feeds = tuple(feeds)
        self._inbox = inbox
        self._patients = patients
        self._orders = orders
        self._identities = identities
        self._timezone = timezone
        self._clock = clock
        self._new_control_id = new_control_id
        self._bound = bound or {}

    def handle(self, raw: bytes, peer: Peer) -> bytes:
        """Do what a message asks for and return its acknowledgement.

        Empty: nothing is to be sent, as an acknowledgement is never acknowledged.
        Raises nothing: whatever fails is answered.
        """
        try:
            header = read_header(raw)
        except CannotUnderstand as error:
            log.warning("from %s: %s", peer.address, error)
            return self._answer_unreadable(raw, error)
        if header.type == "ACK":
            return b""
        return self._answer(header, self._outcome(header, raw, peer))

    def again(self, stored: Stored, raw: bytes, asked: Asked | None = None) -> Outcome:
        """Act on a message that was kept earlier, as on one that comes.

        `asked` None: nothing has become of it yet.

        Raises:
            ReconcileError: nothing was done, and the message is as it was: it has no
                header, its sender is not configured, or a service is away.
        """
        feed = feed_of(self._feeds, read_header(raw))
        message = Received(
            stored.message_id,
            stored.sender,
            stored.control_id,
            stored.event,
            feed,
            asked=asked,
            came_at=stored.received_at,
        )
        return self._settled(message, raw)

    def take(self, raw: bytes, asked: Asked | None = None) -> Outcome:
        """Keep a message that did not come over a connection, and act on it once.

        One that was acted on before does nothing, and has the effects BEFORE.
        `asked`: who has one that is held or refused already acted on again.

        Raises:
            ReconcileError: nothing was done: it has no header, its sender is not
                configured, or a service is away.
        """
        header = read_header(raw)
        feed, sender = feed_of(self._feeds, header), header.sender
        control_id, event = header.control_id, header.name
        kept = self._inbox.keep(sender=sender, control_id=control_id, event=event, body=raw)
        again = asked if kept.state != KEPT else None
        if kept.state != KEPT and (asked is None or kept.state not in REPLAYABLE):
            return replace(as_before(kept), effects=BEFORE)
        message_id = kept.message_id
        message = Received(message_id, sender, control_id, event, feed, asked=again)
        return self._settled(message, raw)

    def refuse(self, head: bytes, error: ReconcileError) -> bytes:
        """Answer a message that is not taken at all, by the first bytes of it."""
        try:
            return self._answer(read_header(head), refused(error))
        except CannotUnderstand:
            return self._answer_without_header(refused(error))

    # -- the way of a message ------------------------------------------------------

    def _outcome(self, header: Header, raw: bytes, peer: Peer) -> Outcome:
        """What becomes of a message. What could not even be kept may come again: AR."""
        try:
            return self._receive(header, raw, peer)
        except ReconcileError as error:
            log.warning("message %.64s not taken: %s", header.control_id, error)
            return refused(error)
        except Exception as error:  # noqa: BLE001  a bug of ours must not stop the feed
            _report_bug(header.control_id, error)
            return Outcome("refused", "AR", _BUG)

    def _receive(self, header: Header, raw: bytes, peer: Peer) -> Outcome:
        feed = feed_of(self._feeds, header)
        self._bound.get(feed, Bound()).check(peer)
        sender, control_id, event = header.sender, header.control_id, header.name
        kept = self._inbox.keep(sender=sender, control_id=control_id, event=event, body=raw)
        if kept.state != KEPT:
            return as_before(kept)
        return self._settled(
            Received(kept.message_id, sender, control_id, event, feed), raw
        )

    def _settled(self, message: Received, raw: bytes) -> Outcome:
        try:
            return self._act(message, raw)
        except ServiceUnavailable:
            raise  # nothing has become of it: it stays open, and the sender comes again
        except ReconcileError as error:
            outcome = refused(error)
        except Exception as error:  # noqa: BLE001  kept, and it would only fail again
            _report_bug(message.control_id, error)
            outcome = Outcome("refused", "AE", _BUG)
        self._inbox.settle(message.message_id, outcome, asked=message.asked)
        return outcome

    def _act(self, message: Received, raw: bytes) -> Outcome:
        read = read_message(raw, message.feed.charset)
        if read.charset_note:
            log.warning("message %.64s: %s", message.control_id, read.charset_note)
        command = interpret(read, self._timezone)
        told = replace(message, said_at=said_at(read, self._timezone))
        return self._carry_out(told, command)

    def _carry_out(self, message: Received, command: Command) -> Outcome:
        match command:
            case PatientUpdate():
                return self._patients.apply(message, command)
            case DemographicsOnly():
                return self._patients.update_known(message, command)
            case tuple():
                return self._orders.apply(message, command)
            case NoAction():
                outcome = Outcome("applied", "AA", effects=(command.reason,))
                self._inbox.settle(
                    message.message_id, outcome, message.said_at, message.asked
                )
                return outcome
            case Unsupported():
                return self._inbox.refuse(message, "UNSUPPORTED", UNSUPPORTED)
            case _:
                return self._identities.apply(message, command)

    def _answer_unreadable(self, raw: bytes, error: CannotUnderstand) -> bytes:
        """Keep what has no readable MSH, so that its sender's people can look at it."""
        outcome = refused(error)
        try:
            kept = self._inbox.keep(sender="", control_id="", event="", body=raw)
            if kept.state == KEPT:
                self._inbox.settle(kept.message_id, outcome)
        except Exception as cause:  # noqa: BLE001  it is refused either way
            log.warning("what has no MSH could not be kept: %s", type(cause).__name__)
        return self._answer_without_header(outcome)

    # -- answers -------------------------------------------------------------------

    def _answer(self, header: Header, outcome: Outcome) -> bytes:
        control_id, now = self._new_control_id(), self._clock()
        return acknowledge(header, outcome, control_id=control_id, at=now)

    def _answer_without_header(self, outcome: Outcome) -> bytes:
        control_id, now = self._new_control_id(), self._clock()
        return acknowledge_unreadable(outcome, control_id=control_id, at=now)


def refused(error: ReconcileError) -> Outcome:
    """The outcome of a message that an error stopped."""
    location = str(getattr(error, "location", ""))
    fault = Fault(error.hl7_error, str(error) or error.title, location)
    return Outcome("refused", error.hl7_ack, fault)


def _report_bug(control_id: str, error: Exception) -> None:
    """Where it happened, but not what it says: that may hold a patient's values."""
    where = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    log.error("message %.64s failed with %s\n%s", control_id, kind, where)
