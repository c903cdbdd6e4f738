"""Errors of this door that know where in the message they stand.

They say a field's place (`PID^1^3`), never its value: what they say is sent back in an
acknowledgement and ends up in logs.
"""

from __future__ import annotations

from typing import ClassVar

from reconcile.errors import (
    CannotUnderstand,
    DataTypeError,
    NotAuthorised,
    ReconcileError,
    RequiredFieldMissing,
    TooLarge,
    UnsupportedEvent,
    UnsupportedMessage,
)


class Located(ReconcileError):
    """An error with its place in the message.

    Attributes:
        location: as ERR-2 writes it: segment^sequence^field, and where needed
            repetition^component^subcomponent; empty: the message as a whole.
    """

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class SegmentError(Located, CannotUnderstand):
    """A segment is absent, out of its place, or there too often (table 0357: 100)."""

    title = "Segment sequence error"
    # It is the content that is wrong: sending it again unchanged does not help.
    hl7_ack: ClassVar[str] = "AE"


class FieldMissing(Located, RequiredFieldMissing):
    """A field without which the message cannot be acted on is absent (101)."""


class FieldInvalid(Located, DataTypeError):
    """A field that decides something is not of its data type (102)."""


class ValueUnknown(Located, DataTypeError):
    """A coded field has a value that its table does not have (103)."""

    title = "Table value not found"
    hl7_error: ClassVar[str] = "103"


class UnknownType(Located, UnsupportedMessage):
    """MSH-9.1 is no message type that this door serves (200)."""


class UnknownEvent(Located, UnsupportedEvent):
    """MSH-9.2 is no event that this door serves for its message type (201)."""


class UnknownSender(Located, NotAuthorised):
    """MSH-3 / MSH-4 name no configured feed, or the peer may not speak as it (103)."""

    title = "Sender not configured"
    hl7_error: ClassVar[str] = "103"


class BlockTooLarge(TooLarge):
    """A block has grown past the limit.

    Attributes:
        head: its first bytes, by which the sender may still be told.
    """

    def __init__(self, message: str, head: bytes) -> None:
        super().__init__(message)
        self.head = head
