"""DIMSE messages of an acceptor, put together from their fragments (PS3.7, PS3.8 E).

Takes the place of pynetdicom's DIMSEServiceProvider: a command set is bounded, the data
set of a C-STORE goes to the spool as it comes, and nothing but what this archive serves
is taken. A peer that breaks the protocol makes an exception here, and is aborted by the
upper layer. No data set is decoded here.
"""

from __future__ import annotations

import contextlib
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from reconcile.dataset.part10 import file_meta
from reconcile.dicom.sop_classes import is_uid
from reconcile.dicom.spool import Spool, Spooled
from reconcile.dicom.status import Answer
from reconcile.dicom.upper_layer import NotifyingQueue
from reconcile.errors import (
    CannotUnderstand,
    InvalidUID,
    LimitExceeded,
    MissingUID,
    ReconcileError,
    SOPClassNotSupported,
)

if TYPE_CHECKING:
    from reconcile.dicom.association import DoorAssociation

# Command Field (0000,0100): PS3.7 Table E.1-1
C_STORE_RQ = 0x0001
C_STORE_RSP = 0x8001
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
SERVED = frozenset({C_STORE_RQ, C_ECHO_RQ, C_CANCEL_RQ})

NO_DATA_SET = 0x0101
_COMMAND = 0x01
_LAST = 0x02


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The fields of a command set that we act on; None: absent (PS3.7 section E.1)."""

    field: int
    message_id: int | None
    data_set_type: int | None
    sop_class_uid: str
    sop_instance_uid: str

    @classmethod
    def parse(cls, content: bytes | bytearray) -> CommandSet:
        """Read a command set: Implicit VR Little Endian, group 0000 (PS3.7 section 6.3).

        Raises:
            CannotUnderstand: it is not one.
        """
        values = _values(memoryview(content))
        field = _number(values.get(0x0100))
        if field is None:
            raise CannotUnderstand("the command set has no Command Field")
        return cls(
            field,
            _number(values.get(0x0110)),
            _number(values.get(0x0800)),
            _uid(values.get(0x0002)),
            _uid(values.get(0x1000)),
        )


def _values(view: memoryview) -> dict[int, bytes]:
    values = {}
    at = 0
    while at < len(view):
        if at + 8 > len(view):
            raise CannotUnderstand("the command set is cut short")
        group, number, length = struct.unpack_from("<HHI", view, at)
        at += 8
        if group != 0 or length > len(view) - at:
            raise CannotUnderstand("the command set has an element that cannot be")
        values[number] = bytes(view[at : at + length])
        at += length
    return values


def _number(value: bytes | None) -> int | None:
    return int.from_bytes(value, "little") if value and len(value) == 2 else None


def _uid(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace").strip("\0 ")


@dataclass(slots=True)
class StoreRequest:
    """A C-STORE-RQ whose data set has come, or was refused."""

    context_id: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    spooled: Spooled | None = None
    error: ReconcileError | None = None

    def discard(self) -> None:
        """Remove the spooled file, if it is still there."""
        if self.spooled is not None:
            with contextlib.suppress(OSError):
                self.spooled.path.unlink(missing_ok=True)


class _Incoming:
    """A message that is being received: its request, and where its data set goes."""

    def __init__(self, request: StoreRequest, spool: Spool) -> None:
        self.request = request
        self.spool = spool

    def finish(self) -> StoreRequest:
        self.request.spooled = self.spool.finish()
        self.request.error = self.spool.error
        return self.request


class DoorMessages(DIMSEServiceProvider):
    """Puts messages together for one association; runs in its upper layer's thread."""

    def __init__(self, association: DoorAssociation) -> None:
        super().__init__(association)
        self.msg_queue = NotifyingQueue(association.notify)
        self._association = association
        self._limits = association.door.limits
        self._command = bytearray()
        self._context_id = 0
        self._incoming: _Incoming | None = None
        self._other_bytes = 0
        self._awaits_data = False
        self._lock = threading.Lock()
        self._closed = False

    @property
    def receiving(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._awaits_data or bool(self._command)

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of one P-DATA-TF (PS3.8 section 9.3.5)."""
        for context_id, fragment in primitive.presentation_data_value_list:
            if not fragment:
                raise CannotUnderstand("a fragment has no message control header")
            control = fragment[0]
            if control & _COMMAND:
                self._take_command(context_id, fragment[1:], last=bool(control & _LAST))
            else:
                self._take_data(context_id, fragment[1:], last=bool(control & _LAST))

    def _take_command(self, context_id: int, part: bytes, *, last: bool) -> None:
        if self._awaits_data or (self._command and context_id != self._context_id):
            raise CannotUnderstand("a command in the midst of another message")
        if len(self._command) + len(part) > self._limits.command_bytes:
            raise LimitExceeded("the command set is longer than the limit")
        self._context_id = context_id
        self._command += part
        if last:
            content, self._command = bytes(self._command), bytearray()
            self._begin(CommandSet.parse(content), content)

    def _begin(self, command: CommandSet, content: bytes) -> None:
        if command.field not in SERVED:
            raise CannotUnderstand(f"command {command.field:04X}H is not served here")
        self._awaits_data = command.data_set_type != NO_DATA_SET
        if command.field == C_STORE_RQ:
            self._begin_store(command)
        else:
            self._other_bytes = 0
            self._pass_on(b"\x03" + content)

    def _begin_store(self, command: CommandSet) -> None:
        request = self._request(command)
        error = self._why_not(command)
        header = b"" if error else self._file_meta(request)
        spool = Spool(
            self._association.door.spool_dir, header, self._limits.instance_bytes, error
        )
        self._incoming = _Incoming(request, spool)
        if not self._awaits_data:
            self._end_store()

    def _file_meta(self, request: StoreRequest) -> bytes:
        return file_meta(
            request.sop_class_uid,
            request.sop_instance_uid,
            request.transfer_syntax,
            self._association.source.ae_title,
        )

    def _request(self, command: CommandSet) -> StoreRequest:
        if command.message_id is None:
            raise CannotUnderstand("the request has no Message ID")
        syntax = self._association.transfer_syntax(self._context_id)
        return StoreRequest(
            self._context_id,
            command.message_id,
            command.sop_class_uid,
            command.sop_instance_uid,
            syntax,
        )

    def _why_not(self, command: CommandSet) -> ReconcileError | None:
        """Why the data set need not even be kept; the flow checks what it says."""
        if not (command.sop_class_uid and command.sop_instance_uid):
            return MissingUID("the request names no SOP Class or SOP Instance UID")
        if not (is_uid(command.sop_class_uid) and is_uid(command.sop_instance_uid)):
            return InvalidUID("the request names a UID that is none")
        if command.sop_class_uid != self._association.abstract_syntax(self._context_id):
            return SOPClassNotSupported("SOP class of the request is not its context's")
        if command.data_set_type == NO_DATA_SET:
            return CannotUnderstand("the request brings no data set")
        return None

    def _take_data(self, context_id: int, part: bytes, *, last: bool) -> None:
        if not self._awaits_data or context_id != self._context_id:
            raise CannotUnderstand("a data set without its command")
        if self._incoming is not None:
            self._incoming.spool.write(part)
        else:
            self._take_other(part, last=last)
        if last:
            self._awaits_data = False
            if self._incoming is not None:
                self._end_store()

    def _take_other(self, part: bytes, *, last: bool) -> None:
        self._other_bytes += len(part)
        if self._other_bytes > self._limits.identifier_bytes:
            raise LimitExceeded("the identifier is longer than the limit")
        self._pass_on((b"\x02" if last else b"\x00") + bytes(part))

    def _pass_on(self, value: bytes) -> None:
        """Let pynetdicom put together what is no C-STORE."""
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((self._context_id, value))
        super().receive_primitive(primitive)

    def _end_store(self) -> None:
        incoming, self._incoming = cast(_Incoming, self._incoming), None
        self._awaits_data = False
        request = incoming.finish()
        with self._lock:
            if self._closed:
                request.discard()
                return
            self.msg_queue.put((request.context_id, cast(Any, request)))

    def respond(self, request: StoreRequest, answer: Answer) -> None:
        """Send the response to a C-STORE, in as many fragments as the peer needs."""
        content = store_response(request, answer)
        room = max(1, (self.maximum_pdu_size or len(content) + 6) - 6)
        for at in range(0, len(content), room):
            last = at + room >= len(content)
            control = bytes((_COMMAND | (_LAST if last else 0),))
            primitive = P_DATA()
            value = (request.context_id, control + content[at : at + room])
            primitive.presentation_data_value_list.append(value)
            self.dul.send_pdu(primitive)

    def close(self) -> None:
        """Drop what is half received and what nobody will serve any more."""
        with self._lock:
            self._closed = True
            waiting = list(self.msg_queue.queue)
            self.msg_queue.queue.clear()
        for _, message in waiting:
            if isinstance(message, StoreRequest):
                message.discard()

    def drop_incoming(self) -> None:
        """Drop what is half received; only the thread that receives may call this."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.spool.discard()


def store_response(request: StoreRequest, answer: Answer) -> bytes:
    """The command set of a C-STORE-RSP (PS3.7 Table 9.3-2).

    A UID that is none is not repeated.
    """
    fields = [(0x0100, _US(C_STORE_RSP)), (0x0120, _US(request.message_id))]
    fields += [(0x0800, _US(NO_DATA_SET)), (0x0900, _US(answer.code))]
    for number, uid in (
        (0x0002, request.sop_class_uid),
        (0x1000, request.sop_instance_uid),
    ):
        if is_uid(uid):
            fields.append((number, _padded(uid, "\0")))
    if answer.offending:
        fields.append((0x0901, b"".join(_attribute_tag(tag) for tag in answer.offending)))
    if answer.comment:
        fields.append((0x0902, _padded(answer.comment, " ")))
    body = b"".join(_element(number, value) for number, value in sorted(fields))
    return _element(0x0000, struct.pack("<I", len(body))) + body


_US = struct.Struct("<H").pack


def _attribute_tag(tag: int) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def _padded(text: str, pad: str) -> bytes:
    return (text + pad * (len(text) % 2)).encode("ascii")


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0x0000, number, len(value)) + value
