"""Blocks in a stream, found whatever stands around them."""

from __future__ import annotations

import pytest

from reconcile.errors import CannotUnderstand
from reconcile.hl7.errors import BlockTooLarge
from reconcile.hl7.mllp import END, HEAD_BYTES, START, Framer, frame


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"", []),
        (b"\x0bMSH|a\x1c\r", [b"MSH|a"]),
        (b"\x0ba\x1c\r\x0bb\x1c\r", [b"a", b"b"]),
        (b"\x0ba\x1c\r\r\n\x0bb\x1c\r\r\n", [b"a", b"b"]),
        (b" \x0ba\x1c\r", [b"a"]),
        (b"\x0b\x1c\r", [b""]),
        (b"\x0ba\x1cb\x1c\r", [b"a\x1cb"]),
        (b"\x0ba\x0bb\x1c\r", [b"a\x0bb"]),
        (b"\x0bMSH|cut off\x0bMSH|anew\x1c\r", [b"MSH|anew"]),
        (b"\x0bMSH|not yet whole\x1c", []),
    ],
)
def test_messages_are_what_stands_in_blocks(stream: bytes, messages: list[bytes]) -> None:
    """Noise between blocks is dropped; an abandoned block counts from its last start."""
    assert list(Framer().feed(stream)) == messages


def test_a_framer_knows_whether_it_is_inside_a_block() -> None:
    """A listener times a message that has begun, and only that."""
    framer = Framer()
    seen = []
    for piece in (b"\r\n", b"\x0b", b"MSH", b"\x1c", b"\r"):
        list(framer.feed(piece))
        seen.append(framer.inside)
    assert seen == [False, True, True, True, False]


@pytest.mark.parametrize("size", [1, 10, 64, 100])
def test_the_limit_is_exact_however_the_stream_is_cut(size: int) -> None:
    """A message of the limit passes, one byte more does not."""
    fits, over = b"x" * size, b"x" * (size + 1)
    for step in (1, 7, 1000):
        assert _fed(Framer(size), frame(fits), step) == [fits]
        with pytest.raises(BlockTooLarge) as caught:
            _fed(Framer(size), frame(over), step)
        assert over.startswith(caught.value.head)


def test_a_refused_block_tells_how_it_began() -> None:
    """Its first bytes are enough to answer its sender."""
    framer = Framer(100_000)
    with pytest.raises(BlockTooLarge) as caught:
        list(framer.feed(START + b"MSH|" + b"x" * 200_000))
    assert caught.value.head == b"MSH|" + b"x" * (HEAD_BYTES - 4)


@pytest.mark.parametrize("step", [1, 100, 5000])
def test_another_protocol_is_not_listened_to(step: int) -> None:
    """More than a little noise between blocks closes the connection."""
    with pytest.raises(CannotUnderstand):
        _fed(Framer(), b"GET / HTTP/1.1\r\n" * 100, step)


def test_messages_before_the_fault_are_handed_out() -> None:
    """What was whole before the stream broke is not lost."""
    out: list[bytes] = []
    with pytest.raises(BlockTooLarge):
        out.extend(Framer(10).feed(frame(b"a") + frame(b"b" * 11)))
    assert out == [b"a"]


def test_a_large_message_in_small_pieces_is_not_searched_again_and_again() -> None:
    """16 MiB in pieces of 1 KiB: linear, or this would take minutes."""
    body = b"x" * (16 << 20)
    assert _fed(Framer(), START + body + END, 1024) == [body]


def _fed(framer: Framer, stream: bytes, step: int) -> list[bytes]:
    pieces = (stream[at : at + step] for at in range(0, len(stream), step))
    return [message for piece in pieces for message in framer.feed(piece)]
