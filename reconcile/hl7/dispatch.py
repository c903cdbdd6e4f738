"""Which message means what: one table, by MSH-9.1 and MSH-9.2 only.

What is not in it is refused by name (table 0357: 200, 201): a message is never
acknowledged for something that this archive did not do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from reconcile.core.identity import PatientUpdate
from reconcile.core.order import OrderUpdate
from reconcile.hl7.adt import patient_update
from reconcile.hl7.errors import SegmentError, UnknownEvent, UnknownType
from reconcile.hl7.message import Header, Message
from reconcile.hl7.orders import order_updates


@dataclass(frozen=True, slots=True)
class NoAction:
    """The message is understood and asks for nothing."""

    reason: str


#: All orders of one message are acted on together, or none.
Command = PatientUpdate | tuple[OrderUpdate, ...] | NoAction


def _orders(message: Message, timezone: tzinfo) -> Command:
    found = order_updates(message, timezone)
    return found or NoAction("the order control asks nothing of an archive")


#: (MSH-9.1, MSH-9.2) -> what makes a command of it.
BUILDERS: dict[tuple[str, str], Callable[[Message, tzinfo], Command]] = {
    ("ADT", "A01"): patient_update,
    ("ADT", "A04"): patient_update,
    ("ADT", "A05"): patient_update,
    ("ADT", "A08"): patient_update,
    ("ADT", "A28"): patient_update,
    ("ADT", "A31"): patient_update,
    ("ORM", "O01"): _orders,
    ("OMI", "O23"): _orders,
}

_TYPES = frozenset(message_type for message_type, _ in BUILDERS)


def interpret(message: Message, timezone: tzinfo) -> Command:
    """What a message asks for.

    Args:
        message: as it was read.
        timezone: of times that name none.

    Raises:
        UnknownType, UnknownEvent: it is not in the table.
        SegmentError: a segment is missing, or two messages stand in one block.
        ReconcileError: see the builders.
    """
    builder = builder_of(message.header)
    if len(message.all("MSH")) > 1:
        raise SegmentError("MSH may stand only once", "MSH^2")
    return builder(message, timezone)


def builder_of(header: Header) -> Callable[[Message, tzinfo], Command]:
    """What serves messages of this type and event.

    Raises:
        UnknownType, UnknownEvent: nothing does.
    """
    builder = BUILDERS.get((header.type, header.event))
    if builder is not None:
        return builder
    if header.type in _TYPES:
        raise UnknownEvent("this event is not supported", "MSH^1^9^1^2")
    raise UnknownType("this message type is not supported", "MSH^1^9^1^1")
