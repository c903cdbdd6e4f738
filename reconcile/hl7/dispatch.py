"""Which message means what: one table, by MSH-9.1 and MSH-9.2 only.

What is not in it is refused by name (table 0357: 200, 201): a message is never
acknowledged for something that this archive did not do. Where that leaves the registry
behind what the sender knows of its patients, a person is told as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from reconcile.core.identity import PatientUpdate
from reconcile.core.merge import DemographicsOnly, IdentityCommand
from reconcile.core.order import OrderUpdate
from reconcile.hl7 import merges
from reconcile.hl7.adt import patient_update
from reconcile.hl7.errors import SegmentError, UnknownEvent, UnknownType
from reconcile.hl7.message import Header, Message
from reconcile.hl7.orders import order_updates


@dataclass(frozen=True, slots=True)
class NoAction:
    """The message is understood and asks for nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The message changes who is who in a way that is not supported: a person decides."""


#: All orders of one message are acted on together, or none.
Command = (
    PatientUpdate
    | DemographicsOnly
    | IdentityCommand
    | tuple[OrderUpdate, ...]
    | NoAction
    | Unsupported
)
Builder = Callable[[Message, tzinfo], Command]

#: In the place of an event: any that the table does not name.
ANY = "*"


def _orders(message: Message, timezone: tzinfo) -> Command:
    found = order_updates(message, timezone)
    return found or NoAction("the order control asks nothing of an archive")


def _visit(message: Message, timezone: tzinfo) -> Command:
    return NoAction("a visit was cancelled or deleted; the patient stays")


def _result(message: Message, timezone: tzinfo) -> Command:
    return NoAction("results change neither patients nor orders here")


def _schedule(message: Message, timezone: tzinfo) -> Command:
    return NoAction("appointments change neither patients nor orders here")


#: (MSH-9.1, MSH-9.2) -> what makes a command of it.
BUILDERS: dict[tuple[str, str], Builder] = {
    ("ADT", "A01"): patient_update,
    ("ADT", "A04"): patient_update,
    ("ADT", "A05"): patient_update,
    ("ADT", "A08"): patient_update,
    ("ADT", "A28"): patient_update,
    ("ADT", "A31"): patient_update,
    ("ADT", "A02"): merges.demographics_only,
    ("ADT", "A03"): merges.demographics_only,
    ("ADT", "A06"): merges.demographics_only,
    ("ADT", "A07"): merges.demographics_only,
    ("ADT", "A09"): merges.demographics_only,
    ("ADT", "A10"): merges.demographics_only,
    ("ADT", "A12"): merges.demographics_only,
    ("ADT", "A13"): merges.demographics_only,
    ("ADT", "A14"): merges.demographics_only,
    ("ADT", "A11"): _visit,
    ("ADT", "A23"): _visit,
    ("ADT", "A38"): _visit,
    ("ADT", "A40"): merges.patient_merge,
    ("ADT", "A18"): merges.patient_merge,
    ("ADT", "A34"): merges.patient_merge,
    ("ADT", "A30"): merges.person_merge,
    ("ADT", "A39"): merges.person_merge,
    ("ADT", "A47"): merges.identifier_change,
    ("ADT", "A43"): merges.identifier_move,
    ("ADT", "A44"): merges.account_move,
    ("ADT", "A45"): merges.visit_move,
    ("ADT", "A24"): merges.link,
    ("ADT", "A37"): merges.unlink,
    ("ADT", "A29"): merges.retire,
    ("ORM", "O01"): _orders,
    ("OMG", "O19"): _orders,
    ("OMI", "O23"): _orders,
    ("ORU", ANY): _result,
    ("SIU", ANY): _schedule,
}

#: Refused, and listed for a person: they change who is who, and by what they say nobody
#: can tell whose images are meant.
UNSUPPORTED = frozenset(
    ("ADT", event) for event in ("A35", "A36", "A41", "A42", "A46", "A49", "A50", "A51")
)

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
    header = message.header
    if (header.type, header.event) in UNSUPPORTED:
        return Unsupported()
    builder = builder_of(header)
    if len(message.all("MSH")) > 1:
        raise SegmentError("MSH may stand only once", "MSH^2")
    return builder(message, timezone)


def builder_of(header: Header) -> Builder:
    """What serves messages of this type and event.

    Raises:
        UnknownType, UnknownEvent: nothing does.
    """
    named = BUILDERS.get((header.type, header.event))
    builder = named or BUILDERS.get((header.type, ANY))
    if builder is not None:
        return builder
    if header.type in _TYPES:
        raise UnknownEvent("this event is not supported", "MSH^1^9^1^2")
    raise UnknownType("this message type is not supported", "MSH^1^9^1^1")
