"""An SCU's side of the upper layer, only as much as a load generator needs (PS3.8).

Sockets block, and the system keeps the time limit: a time limit of Python's would cost a
poll for every read and write.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
EXPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
IMPLEMENTATION = b"2.25.20260301"
CONTEXT_ID = 1
LAST, COMMAND = 2, 1
SECONDS = 120
READ_BYTES = 65_536
#: What we take, and the longest PDU that we send to who takes longer ones: DCMTK's limit.
OUR_PDU_BYTES = 16_384
PDU_BYTES_MAX = 131_072

ASSOCIATE_AC, P_DATA, RELEASE_RQ, RELEASE_RP = 2, 4, 5, 6
STATUS, ERROR_COMMENT = 0x0900, 0x0902


class Refused(ConnectionError):
    """The association was not accepted, or ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status of a C-STORE response, and its Error Comment."""

    status: int
    comment: str


class Association:
    """One association with one presentation context.

    Args:
        port: on loopback.
        source: a loopback address to come from; who counts peers counts by address.
    """

    def __init__(
        self,
        port: int,
        called: str,
        calling: str,
        sop_class: str,
        source: str = "127.0.0.1",
    ) -> None:
        self._left = bytearray()
        self._socket = socket.create_connection(
            ("127.0.0.1", port), timeout=SECONDS, source_address=(source, 0)
        )
        _blocking(self._socket)
        self._socket.sendall(_request(called, calling, sop_class.encode()))
        kind, body = self._read()
        if kind != ASSOCIATE_AC:
            raise Refused(f"PDU of type {kind} in answer to an association request")
        self.pdu_length = maximum_length(body)

    def store(self, buffer: bytearray) -> Answer:
        """Send the PDUs of one C-STORE request; what came back."""
        self._socket.sendall(buffer)
        command = b""
        while True:
            kind, body = self._read()
            if kind != P_DATA:
                raise Refused(f"PDU of type {kind} in answer to a C-STORE")
            for control, fragment in _values(body):
                command += fragment
                if control & LAST:
                    return answer(command)

    def release(self) -> None:
        """End it in order: who answers was still there."""
        self._socket.sendall(struct.pack(">BBII", RELEASE_RQ, 0, 4, 0))
        kind, _ = self._read()
        self._socket.close()
        if kind != RELEASE_RP:
            raise Refused(f"PDU of type {kind} in answer to a release")

    def _read(self) -> tuple[int, bytes]:
        left = self._left
        while len(left) < 6 or len(left) < 6 + int.from_bytes(left[2:6], "big"):
            more = self._socket.recv(READ_BYTES)
            if not more:
                raise Refused("the peer closed the connection")
            left += more
        end = 6 + int.from_bytes(left[2:6], "big")
        kind, body = left[0], bytes(left[6:end])
        del left[:end]
        return kind, body


def answer(command: bytes) -> Answer:
    """Read a C-STORE-RSP in Implicit VR Little Endian (PS3.7 Table 9.3-2)."""
    found, at = {}, 0
    while at < len(command):
        _, element, length = struct.unpack_from("<HHI", command, at)
        found[element] = command[at + 8 : at + 8 + length]
        at += 8 + length
    comment = found.get(ERROR_COMMENT, b"").decode("latin-1").strip()
    return Answer(int.from_bytes(found[STATUS], "little"), comment)


def maximum_length(accept: bytes) -> int:
    """Of PDUs that the peer takes; the result of the one context has to be acceptance.

    Raises:
        Refused: the context was not accepted.
    """
    at, length = 68, 0
    while at < len(accept):
        kind, size = struct.unpack_from(">BxH", accept, at)
        if kind == 0x21 and accept[at + 6] != 0:
            raise Refused("the presentation context was not accepted")
        if kind == 0x50:
            length = _sub_item(accept[at + 4 : at + 4 + size])
        at += 4 + size
    # 0, or nothing said: no maximum (PS3.8 D.1).
    return min(length or PDU_BYTES_MAX, PDU_BYTES_MAX)


def _sub_item(items: bytes) -> int:
    at = 0
    while at < len(items):
        kind, size = struct.unpack_from(">BxH", items, at)
        if kind == 0x51:
            return int.from_bytes(items[at + 4 : at + 4 + size], "big")
        at += 4 + size
    return 0


def _values(body: bytes) -> list[tuple[int, bytes]]:
    """The presentation data values of a P-DATA-TF: control header and fragment."""
    found, at = [], 0
    while at < len(body):
        length, _, control = struct.unpack_from(">IBB", body, at)
        found.append((control, body[at + 6 : at + 4 + length]))
        at += 4 + length
    return found


def _blocking(opened: socket.socket) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    limit = struct.pack("ll", SECONDS, 0)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    opened.settimeout(None)


def _request(called: str, calling: str, sop_class: bytes) -> bytes:
    context = struct.pack(">BBBB", CONTEXT_ID, 0, 0, 0)
    context += _item(0x30, sop_class) + _item(0x40, EXPLICIT_LITTLE_ENDIAN)
    user = _item(0x51, struct.pack(">I", OUR_PDU_BYTES)) + _item(0x52, IMPLEMENTATION)
    body = struct.pack(
        ">HH16s16s32x", 1, 0, *(t.ljust(16).encode() for t in (called, calling))
    )
    body += _item(0x10, APPLICATION_CONTEXT) + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value
