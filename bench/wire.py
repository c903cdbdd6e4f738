"""An SCU's side of the upper layer, only as much as a load generator needs (PS3.8).

An instance is one buffer of P-DATA-TF PDUs, made once for an association. Of instance to
instance a few bytes in it change: Message ID and SOP Instance UID. So the generator
costs little more than the copy into the socket.
"""

from __future__ import annotations

import socket
import struct

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
EXPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
IMPLEMENTATION = b"2.25.20260301"
CONTEXT_ID = 1
LAST, COMMAND = 2, 1
SECONDS = 60

ASSOCIATE_AC, P_DATA, RELEASE_RQ = 2, 4, 5


class Refused(ConnectionError):
    """The association was not accepted, or ended."""


class Association:
    """One association with one presentation context."""

    def __init__(self, port: int, called: str, calling: str, sop_class: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_request(called, calling, sop_class.encode()))
        kind, body = self._read()
        if kind != ASSOCIATE_AC:
            raise Refused(f"PDU of type {kind} in answer to an association request")
        self.pdu_length = _maximum_length(body)

    def store(self, buffer: bytearray) -> int:
        """Send the PDUs of one C-STORE request; the status that came back."""
        self._socket.sendall(buffer)
        kind, body = self._read()
        if kind != P_DATA:
            raise Refused(f"PDU of type {kind} in answer to a C-STORE")
        return _status(body)

    def release(self) -> None:
        self._socket.sendall(struct.pack(">BBII", RELEASE_RQ, 0, 4, 0))
        self._read()
        self._socket.close()

    def _read(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        got = bytearray()
        while len(got) < length:
            more = self._socket.recv(length - len(got))
            if not more:
                raise Refused("the peer closed the connection")
            got += more
        return bytes(got)


class Request:
    """The PDUs of one C-STORE request, and where they change.

    Args:
        uid: SOP Instance UID as it is in `data`; its last `digits` are a counter.
    """

    def __init__(
        self, sop_class: str, uid: str, data: bytes, pdu_length: int, digits: int
    ) -> None:
        command = _command(sop_class.encode(), uid.encode())
        pdus = [_pdu(command, COMMAND | LAST)]
        step = pdu_length - 6
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            pdus.append(_pdu(piece, LAST if start + step >= len(data) else 0))
        self.buffer = bytearray(b"".join(pdus))
        self._digits = digits
        self._places = _places(self.buffer, uid.encode(), digits)
        # Value of Message ID (0000,0110).
        self._message_id = self.buffer.index(b"\0\0\x10\x01\2\0\0\0") + 8

    def count(self, number: int) -> bytearray:
        """The request for the instance with this counter."""
        said = b"%0*d" % (self._digits, number)
        for place in self._places:
            self.buffer[place : place + self._digits] = said
        struct.pack_into("<H", self.buffer, self._message_id, number % 65535 + 1)
        return self.buffer


def _places(buffer: bytearray, uid: bytes, digits: int) -> list[int]:
    """Where the counters are: in the command, and in the data set's first PDU."""
    places, found = [], buffer.find(uid)
    while found >= 0:
        places.append(found + len(uid) - digits)
        found = buffer.find(uid, found + 1)
    assert len(places) == 2, "the UID stands once in the command and once in the data"
    return places


def _pdu(fragment: bytes, control: int) -> bytes:
    header = struct.pack(
        ">BxIIBB", P_DATA, len(fragment) + 6, len(fragment) + 2, CONTEXT_ID, control
    )
    return header + fragment


def _command(sop_class: bytes, uid: bytes) -> bytes:
    """C-STORE-RQ in Implicit VR Little Endian (PS3.7 Table 9.3-1)."""
    body = b"".join(
        (
            _element(0x0002, sop_class),
            _element(0x0100, b"\1\0"),
            _element(0x0110, b"\1\0"),
            _element(0x0700, b"\0\0"),
            _element(0x0800, b"\0\0"),
            _element(0x1000, uid),
        )
    )
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def _status(pdu: bytes) -> int:
    # From the end: a Message ID may look like the beginning of the element.
    at = pdu.rindex(b"\0\0\0\x09\2\0\0\0") + 8
    status: int = struct.unpack_from("<H", pdu, at)[0]
    return status


def _request(called: str, calling: str, sop_class: bytes) -> bytes:
    context = struct.pack(">BBBB", CONTEXT_ID, 0, 0, 0)
    context += _item(0x30, sop_class) + _item(0x40, EXPLICIT_LITTLE_ENDIAN)
    user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, IMPLEMENTATION)
    body = struct.pack(
        ">HH16s16s32x", 1, 0, *(t.ljust(16).encode() for t in (called, calling))
    )
    body += _item(0x10, APPLICATION_CONTEXT) + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _maximum_length(accept: bytes) -> int:
    """Of the peer; the result of the one context has to be acceptance."""
    at, length = 68, 16384
    while at < len(accept):
        kind, size = struct.unpack_from(">BxH", accept, at)
        if kind == 0x21 and accept[at + 6] != 0:
            raise Refused("the presentation context was not accepted")
        if kind == 0x50:
            length = struct.unpack_from(">I", accept, at + 8)[0] or 1 << 20
        at += 4 + size
    return min(length, 1 << 20)
