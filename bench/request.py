"""The PDUs of a C-STORE request: made once for an association, then a few bytes change.

Of study to study those digits change that all its identifiers have in common, of instance
to instance the counter in the SOP Instance UID and the Message ID. So the generator costs
little more than the copy into the socket.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bench.data import NOBODY, Encoded
from bench.identity import COUNTER_DIGITS, Identity
from bench.wire import COMMAND, CONTEXT_ID, LAST, P_DATA

#: Of a P-DATA-TF with one value: the PDU's header, the value's length and header.
HEADER_BYTES = 12
NUMBER = NOBODY.number.encode()
FIRST_UID = NOBODY.instance_uid(1).encode()


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a part of a value stands in a buffer; a value may lie across two PDUs."""

    at: int
    start: int
    end: int


class Request:
    """One buffer of P-DATA-TF PDUs.

    Args:
        encoded: the object.
        pdu_length: the longest PDU that the peer takes, without its first six bytes.
    """

    def __init__(self, encoded: Encoded, pdu_length: int) -> None:
        # A fragment is of an even length (PS3.8 Annex E.2).
        step = max(2, (pdu_length - 6) & ~1)
        command = _command(encoded.sop_class.encode(), FIRST_UID)
        said = b"".join(_pdus(command, COMMAND, step))
        self.buffer = bytearray(said + b"".join(_pdus(encoded.data, 0, step)))
        header = encoded.data[: encoded.header_bytes]
        streams = ((command, 0), (header, len(said)))
        self._numbers = [
            piece
            for stream, begin in streams
            for at in _places(stream, NUMBER)
            for piece in _pieces(at, len(NUMBER), begin, step)
        ]
        self._counters = [
            piece
            for stream, begin in streams
            for at in _places(stream, FIRST_UID)
            for piece in _pieces(
                at + len(FIRST_UID) - COUNTER_DIGITS, COUNTER_DIGITS, begin, step
            )
        ]
        # Value of Message ID (0000,0110): two bytes at an even place are in one PDU.
        at = command.index(b"\0\0\x10\x01\2\0\0\0") + 8
        self._message_id = next(_pieces(at, 2, 0, step)).at
        self._sent = 0

    def begin(self, identity: Identity) -> None:
        """From here on, instances of this study."""
        self._write(self._numbers, identity.number.encode())

    def instance(self, counter: int) -> bytearray:
        """The request for the study's instance with this counter, from 1."""
        self._write(self._counters, b"%0*d" % (COUNTER_DIGITS, counter))
        struct.pack_into("<H", self.buffer, self._message_id, self._sent % 65535 + 1)
        self._sent += 1
        return self.buffer

    def _write(self, pieces: list[Piece], value: bytes) -> None:
        for piece in pieces:
            part = value[piece.start : piece.end]
            self.buffer[piece.at : piece.at + len(part)] = part


def data_set(encoded: Encoded, identity: Identity, counter: int) -> bytes:
    """What is sent as that instance."""
    header = encoded.data[: encoded.header_bytes]
    header = header.replace(FIRST_UID, identity.instance_uid(counter).encode())
    header = header.replace(NUMBER, identity.number.encode())
    return header + encoded.data[encoded.header_bytes :]


def _places(stream: bytes, value: bytes) -> Iterator[int]:
    found = stream.find(value)
    while found >= 0:
        yield found
        found = stream.find(value, found + 1)


def _pieces(offset: int, length: int, begin: int, step: int) -> Iterator[Piece]:
    """Where `length` bytes of a stream are, whose PDUs begin at `begin`."""
    done = 0
    while done < length:
        pdu, within = divmod(offset + done, step)
        size = min(length - done, step - within)
        at = begin + pdu * (step + HEADER_BYTES) + HEADER_BYTES + within
        yield Piece(at, done, done + size)
        done += size


def _pdus(stream: bytes, control: int, step: int) -> Iterator[bytes]:
    for start in range(0, len(stream), step):
        piece = stream[start : start + step]
        last = LAST if start + step >= len(stream) else 0
        yield struct.pack(
            ">BxIIBB", P_DATA, len(piece) + 6, len(piece) + 2, CONTEXT_ID, control | last
        )
        yield piece


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
