"""PDUs on the wire: cutting what arrives, and making those that are always alike.

A P-DATA-TF is never put together: its fragments are passed on as they come, as views of
what was just received. Every other PDU is short, and is kept until it is whole. No
length is believed before it is bounded. What a PDU means in which state may not be put
here.

Source:
    PS3.8 section 9.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reconcile.dicom.limits import ABORT, P_DATA_TF, RELEASE_RP, RELEASE_RQ, Limits
from reconcile.errors import LimitExceeded

HEADER_BYTES = 6
"""Of a PDU (type, reserved, length), and of a presentation data value (length, context
id, message control header)."""

# message control header: PS3.8 section E.2
COMMAND = 0x01
LAST = 0x02

_PDU_HEADER = struct.Struct(">BxI")
_VALUE_HEADER = struct.Struct(">IBB")
_DATA_HEADERS = struct.Struct(">BxIIBB")


@dataclass(frozen=True, slots=True)
class DataBegins:
    """The header of a P-DATA-TF has come; its fragments follow."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """A whole PDU that is no P-DATA-TF; `body` is what follows its length."""

    kind: int
    body: bytes


@dataclass(slots=True)
class Fragment:
    """A piece of a presentation data value (PS3.8 Annex E).

    Attributes:
        context_id: of its presentation context.
        command: a piece of a command set; else of a data set.
        last: the command set or data set ends with it.
        data: a view, good until more is received.
    """

    context_id: int
    command: bool
    last: bool
    data: memoryview


_DATA_BEGINS = DataBegins()


class PduReader:
    """Cuts a byte stream into PDUs, wherever the pieces were cut.

    Attributes:
        ended: how many PDUs have come whole.
    """

    def __init__(self, limits: Limits) -> None:
        self.ended = 0
        self._limits = limits
        self._view = memoryview(b"")
        self._at = 0
        self._kept = bytearray()  # the beginning of what must be in one piece
        self._kind = 0  # of the PDU that has begun
        self._pdu_left = 0
        self._in_value = False
        self._value_left = 0
        self._context_id = 0
        self._control = 0

    @property
    def inside(self) -> bool:
        """Whether a PDU has begun and not ended."""
        return bool(self._kind or self._kept)

    def receive(self, data: memoryview) -> None:
        """Take what came; it may not change before `next` returned None, or `keep`."""
        if self._at < len(self._view):
            data = memoryview(bytes(self._view[self._at :]) + bytes(data))
        self._view = data
        self._at = 0

    def keep(self) -> None:
        """Copy what has not been read yet: the buffer that it lies in is wanted."""
        if self._at < len(self._view):
            self._view = memoryview(bytes(self._view[self._at :]))
            self._at = 0

    def next(self) -> DataBegins | Pdu | Fragment | None:
        """What comes next; None until more is received.

        Raises:
            LimitExceeded: a length that cannot be, or a type that no peer may send. The
                stream cannot be cut any further.
        """
        if not self._kind:
            return self._begin()
        if self._kind == P_DATA_TF:
            return self._fragment()
        return self._whole()

    def _begin(self) -> DataBegins | Pdu | None:
        header = self._take(HEADER_BYTES)
        if header is None:
            return None
        kind, length = _PDU_HEADER.unpack(header)
        limit = self._limits.pdu_bytes(kind)
        if length > limit:
            raise LimitExceeded(f"PDU type {kind:02X}H longer than {limit} bytes")
        self._kind, self._pdu_left = kind, length
        if kind != P_DATA_TF:
            return self._whole()
        if not length:
            self._end()
        return _DATA_BEGINS

    def _whole(self) -> Pdu | None:
        body = self._take(self._pdu_left)
        if body is None:
            return None
        pdu = Pdu(self._kind, bytes(body))
        self._end()
        return pdu

    def _fragment(self) -> Fragment | None:
        if not self._in_value and not self._begin_value():
            return None
        data = self._view[self._at : self._at + self._value_left]
        taken = len(data)
        if taken < self._value_left:
            if not taken:
                return None
            self._at += taken
            self._value_left -= taken
            return Fragment(self._context_id, bool(self._control & COMMAND), False, data)
        self._at += taken
        self._in_value = False
        if not self._pdu_left:
            self._end()
        control = self._control
        return Fragment(
            self._context_id, bool(control & COMMAND), bool(control & LAST), data
        )

    def _begin_value(self) -> bool:
        if self._pdu_left < HEADER_BYTES:
            raise LimitExceeded("a presentation data value does not fit its PDU")
        header = self._take(HEADER_BYTES)
        if header is None:
            return False
        length, self._context_id, self._control = _VALUE_HEADER.unpack(header)
        if not 2 <= length <= self._pdu_left - 4:
            raise LimitExceeded("a presentation data value does not fit its PDU")
        self._pdu_left -= length + 4
        self._value_left = length - 2
        self._in_value = True
        return True

    def _end(self) -> None:
        self._kind = 0
        self.ended += 1

    def _take(self, count: int) -> memoryview | bytearray | None:
        """The next `count` bytes in one piece; None until they have come."""
        end = self._at + count - len(self._kept)
        if end > len(self._view):
            self._kept += self._view[self._at :]
            self._at = len(self._view)
            return None
        piece = self._view[self._at : end]
        self._at = end
        if not self._kept:
            return piece
        whole, self._kept = self._kept, bytearray()
        whole += piece
        return whole


def data_pdus(
    context_id: int, control: int, content: bytes, maximum: int, *, last: bool = True
) -> bytes:
    """A command set or a data set as P-DATA-TF PDUs (PS3.8 section 9.3.5).

    Args:
        context_id: of the presentation context.
        control: COMMAND, or 0 for a data set.
        content: all of it; empty makes one empty fragment.
        maximum: how long a PDU the peer takes, its header not counted; 0: no limit.
        last: nothing of it follows.
    """
    room = max(1, maximum - HEADER_BYTES) if maximum else max(1, len(content))
    return b"".join(_data_pdus(context_id, control, content, room, last))


def _data_pdus(
    context_id: int, control: int, content: bytes, room: int, ends: bool
) -> Iterator[bytes | memoryview]:
    """Headers and what they are of, which is not copied."""
    view = memoryview(content)
    for at in range(0, max(1, len(content)), room):
        part = view[at : at + room]
        last = LAST if ends and at + room >= len(content) else 0
        size = len(part)
        yield _DATA_HEADERS.pack(P_DATA_TF, size + 6, size + 2, context_id, control | last)
        yield part


def release_rq() -> bytes:
    """A-RELEASE-RQ (PS3.8 Table 9-24)."""
    return _short(RELEASE_RQ, b"\0\0\0\0")


def release_rp() -> bytes:
    """A-RELEASE-RP (PS3.8 Table 9-25)."""
    return _short(RELEASE_RP, b"\0\0\0\0")


def abort(source: int, reason: int) -> bytes:
    """A-ABORT (PS3.8 Table 9-26)."""
    return _short(ABORT, bytes((0, 0, source, reason)))


def _short(kind: int, body: bytes) -> bytes:
    return _PDU_HEADER.pack(kind, len(body)) + body
