"""Command sets: read within bounds, and written for the services that we answer ourselves.

Implicit VR Little Endian, group 0000 (PS3.7 section 6.3). Only the fields that we act on
are read. What a command asks for may not be put here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from reconcile.dicom.sop_classes import VERIFICATION, is_uid
from reconcile.dicom.status import Answer
from reconcile.errors import CannotUnderstand

# Command Field (0000,0100): PS3.7 Table E.1-1; a response has the highest bit set
C_STORE_RQ = 0x0001
C_GET_RQ = 0x0010
C_FIND_RQ = 0x0020
C_MOVE_RQ = 0x0021
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
N_EVENT_REPORT_RQ = 0x0100
N_SET_RQ = 0x0120
N_ACTION_RQ = 0x0130
N_CREATE_RQ = 0x0140
RESPONSE = 0x8000
C_STORE_RSP = C_STORE_RQ | RESPONSE

A_DATA_SET = 0x0001
NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) where no data set follows."""

# element numbers of group 0000: PS3.7 Table E.1-1
_GROUP_LENGTH = 0x0000
_SOP_CLASS = 0x0002
_REQUESTED_SOP_CLASS = 0x0003
_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_RESPONDED_TO = 0x0120
_MOVE_DESTINATION = 0x0600
_PRIORITY = 0x0700
_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_OFFENDING = 0x0901
_COMMENT = 0x0902
_ERROR_ID = 0x0903
_SOP_INSTANCE = 0x1000
_REMAINING = 0x1020
_COMPLETED = 0x1021
_FAILED = 0x1022
_WARNING = 0x1023
_ORIGINATOR = 0x1030
_ORIGINATOR_MESSAGE = 0x1031
_REQUESTED_SOP_INSTANCE = 0x1001
_EVENT_TYPE = 0x1002
_ACTION_TYPE = 0x1008

_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H").pack
_US_MAX = 0xFFFF
_STATUS_BEGINS = _ELEMENT.pack(0, _STATUS, 2)
_MEDIUM = 0x0000
"""Priority (0000,0700)."""


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The fields of a command set that we act on; None: absent (PS3.7 section E.1).

    The UIDs are those that are affected, or requested: a command has one of the two.
    """

    field: int
    message_id: int | None
    data_set_type: int | None
    sop_class_uid: str
    sop_instance_uid: str
    responded_to: int | None = None
    status: int | None = None
    move_destination: str = ""
    action_type: int | None = None

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.data_set_type != NO_DATA_SET

    @classmethod
    def parse(cls, content: bytes | bytearray | memoryview) -> CommandSet:
        """Read a command set.

        Raises:
            CannotUnderstand: it is not one.
        """
        values = _values(content)
        field = _number(values.get(_FIELD))
        if field is None:
            raise CannotUnderstand("the command set has no Command Field")
        return cls(
            field,
            _number(values.get(_MESSAGE_ID)),
            _number(values.get(_DATA_SET_TYPE)),
            _uid(values.get(_SOP_CLASS) or values.get(_REQUESTED_SOP_CLASS)),
            _uid(values.get(_SOP_INSTANCE) or values.get(_REQUESTED_SOP_INSTANCE)),
            _number(values.get(_RESPONDED_TO)),
            _number(values.get(_STATUS)),
            _uid(values.get(_MOVE_DESTINATION)),
            _number(values.get(_ACTION_TYPE)),
        )


def status_of(command_set: bytes) -> int | None:
    """The Status (0000,0900) in a response of ours, without reading the rest of it."""
    at = command_set.find(_STATUS_BEGINS)
    return _number(command_set[at + len(_STATUS_BEGINS) :][:2]) if at >= 0 else None


def _values(content: bytes | bytearray | memoryview) -> dict[int, bytes]:
    content = bytes(content)
    values = {}
    at, size = 0, len(content)
    while at < size:
        if at + _ELEMENT.size > size:
            raise CannotUnderstand("the command set is cut short")
        group, number, length = _ELEMENT.unpack_from(content, at)
        at += _ELEMENT.size
        if group != 0 or length > size - at:
            raise CannotUnderstand("the command set has an element that cannot be")
        values[number] = content[at : at + length]
        at += length
    return values


def _number(value: bytes | None) -> int | None:
    return int.from_bytes(value, "little") if value and len(value) == 2 else None


def _uid(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace").strip("\0 ")


@dataclass(frozen=True, slots=True)
class Counts:
    """Sub-operations of a retrieve (PS3.7 Table 9.3-8); None: not said."""

    remaining: int | None
    completed: int
    failed: int
    warning: int


def response(
    request: CommandSet,
    answer: Answer,
    *,
    data_set: bool = False,
    counts: Counts | None = None,
) -> bytes:
    """The command set of a response (PS3.7 Tables 9.3-2, 9.3-4, 9.3-8 and 9.3-13;
    section 10.3).

    A UID that is none is not repeated. `data_set`: an identifier follows.
    """
    fields = []
    if is_uid(request.sop_class_uid):
        fields.append(_element(_SOP_CLASS, _padded(request.sop_class_uid, "\0")))
    fields += [
        _element(_FIELD, _US(request.field | RESPONSE)),
        _element(_RESPONDED_TO, _US(request.message_id or 0)),
        _element(_DATA_SET_TYPE, _US(A_DATA_SET if data_set else NO_DATA_SET)),
        _element(_STATUS, _US(answer.code)),
    ]
    if answer.offending:
        tags = b"".join(_attribute_tag(tag) for tag in answer.offending)
        fields.append(_element(_OFFENDING, tags))
    if answer.comment:
        fields.append(_element(_COMMENT, _padded(answer.comment, " ")))
    if answer.error_id:
        fields.append(_element(_ERROR_ID, _US(answer.error_id)))
    if is_uid(request.sop_instance_uid):
        fields.append(_element(_SOP_INSTANCE, _padded(request.sop_instance_uid, "\0")))
    if counts is not None:
        fields += _counted(counts)
    return _whole(fields)


def _counted(counts: Counts) -> list[bytes]:
    numbers = {
        _REMAINING: counts.remaining,
        _COMPLETED: counts.completed,
        _FAILED: counts.failed,
        _WARNING: counts.warning,
    }
    return [
        _element(number, _US(min(count, _US_MAX)))
        for number, count in numbers.items()
        if count is not None
    ]


def store_request(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    originator: tuple[str, int] | None = None,
) -> bytes:
    """The command set of a C-STORE request (PS3.7 Table 9.3-1).

    Args:
        message_id: of this request.
        sop_class_uid: of the instance.
        sop_instance_uid: likewise.
        originator: AE title of whoever asked for a C-MOVE, and its Message ID.
    """
    fields = [
        _element(_SOP_CLASS, _padded(sop_class_uid, "\0")),
        _element(_FIELD, _US(C_STORE_RQ)),
        _element(_MESSAGE_ID, _US(message_id)),
        _element(_PRIORITY, _US(_MEDIUM)),
        _element(_DATA_SET_TYPE, _US(A_DATA_SET)),
        _element(_SOP_INSTANCE, _padded(sop_instance_uid, "\0")),
    ]
    if originator is not None:
        fields.append(_element(_ORIGINATOR, _padded(originator[0], " ")))
        fields.append(_element(_ORIGINATOR_MESSAGE, _US(originator[1])))
    return _whole(fields)


def echo_request(message_id: int) -> bytes:
    """The command set of a C-ECHO request (PS3.7 Table 9.3-12)."""
    return _whole(
        [
            _element(_SOP_CLASS, _padded(VERIFICATION, "\0")),
            _element(_FIELD, _US(C_ECHO_RQ)),
            _element(_MESSAGE_ID, _US(message_id)),
            _element(_DATA_SET_TYPE, _US(NO_DATA_SET)),
        ]
    )


def event_report(
    sop_class_uid: str, sop_instance_uid: str, event_type: int, message_id: int
) -> bytes:
    """The command set of an N-EVENT-REPORT-RQ with a data set (PS3.7 Table 10.3-1)."""
    return _whole(
        [
            _element(_SOP_CLASS, _padded(sop_class_uid, "\0")),
            _element(_FIELD, _US(N_EVENT_REPORT_RQ)),
            _element(_MESSAGE_ID, _US(message_id)),
            _element(_DATA_SET_TYPE, _US(A_DATA_SET)),
            _element(_SOP_INSTANCE, _padded(sop_instance_uid, "\0")),
            _element(_EVENT_TYPE, _US(event_type)),
        ]
    )


def _whole(fields: list[bytes]) -> bytes:
    body = b"".join(fields)
    return _element(_GROUP_LENGTH, struct.pack("<I", len(body))) + body


def _attribute_tag(tag: int) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def _padded(text: str, pad: str) -> bytes:
    return (text + pad * (len(text) % 2)).encode("ascii")


def _element(number: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, number, len(value)) + value
