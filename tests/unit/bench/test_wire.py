"""What the load generator reads of its peer."""

from __future__ import annotations

import struct

import pytest

from bench.wire import PDU_BYTES_MAX, Answer, Refused, answer, maximum_length

FIXED = bytes(68)


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def accepted(*user_items: bytes, result: int = 0) -> bytes:
    context = bytes((1, 0, result, 0)) + item(0x40, b"1.2.840.10008.1.2.1")
    return (
        FIXED + item(0x10, b"1.2") + item(0x21, context) + item(0x50, b"".join(user_items))
    )


@pytest.mark.parametrize(
    ("said", "taken"),
    [(0, PDU_BYTES_MAX), (1, 1), (16_384, 16_384), (1 << 31, PDU_BYTES_MAX)],
)
def test_a_peer_says_how_long_a_pdu_may_be(said: int, taken: int) -> None:
    """
    0 is no maximum (PS3.8 D.1); wherever the sub-item stands, it is found.
    """
    length = item(0x51, struct.pack(">I", said))
    assert maximum_length(accepted(item(0x52, b"1.2.3"), length)) == taken


def test_a_context_that_is_not_accepted_is_no_association() -> None:
    """
    Nothing can be sent over it: that is told, and not found out by sending.
    """
    with pytest.raises(Refused):
        maximum_length(accepted(result=3))


def test_an_answer_is_its_status_and_its_comment() -> None:
    """
    Elements are read by their tags: what a comment says cannot look like a status.
    """
    comment = b"held: \0\0\x00\x09 "
    elements = [(0x0120, b"\1\0"), (0x0900, b"\0\xb0"), (0x0902, comment)]
    command = b"".join(struct.pack("<HHI", 0, e, len(v)) + v for e, v in elements)
    assert answer(command) == Answer(0xB000, comment.decode("latin-1").strip())
