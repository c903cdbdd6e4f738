"""Laws of framing, escaping and reading HL7 messages, whatever the bytes."""

from __future__ import annotations

import random
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.errors import ReconcileError
from reconcile.flows.message import Outcome
from reconcile.hl7.acknowledge import acknowledge
from reconcile.hl7.charset import CODECS, decode
from reconcile.hl7.dispatch import interpret
from reconcile.hl7.message import read_header, read_message
from reconcile.hl7.mllp import END, START, Framer, frame
from reconcile.hl7.syntax import Syntax
from tests.unit.hl7.samples import OMI, ORM, PID, ZONE, adt, message
from tests.unit.hl7.test_acknowledge import AT

MUTATIONS = 5_000

contents = st.binary(max_size=60).filter(lambda m: START not in m and b"\x1c" not in m)
noises = st.sampled_from([b"", b"\r\n", b" ", b"\x1c\r"])


@given(st.lists(st.tuples(noises, contents), max_size=6), st.data())
def test_framing_ignores_where_the_stream_was_cut(
    blocks: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    """Messages go in framed, with noise between, cut anywhere; they come out."""
    stream = b"".join(noise + frame(message) for noise, message in blocks)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    framer = Framer()
    out = [found for piece in pieces for found in framer.feed(piece)]
    assert out == [message for _, message in blocks]
    assert not framer.inside


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 50))
def test_any_stream_cut_anyhow_gives_the_same_messages_or_the_same_fault(
    noise: bytes, step: int, limit: int
) -> None:
    """Also streams that are no MLLP at all, and limits that they break."""
    stream = noise.replace(b"\x00", START).replace(b"\x01", END)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert _fed([stream], limit) == _fed(pieces, limit)


def _fed(pieces: list[bytes], limit: int) -> tuple[list[bytes], str]:
    framer = Framer(limit, noise_bytes_max=limit)
    out: list[bytes] = []
    try:
        for piece in pieces:
            out.extend(framer.feed(piece))
    except ReconcileError as error:
        return out, type(error).__name__
    return out, ""


@given(st.text())
def test_what_is_escaped_is_read_as_it_was(text: str) -> None:
    """With the usual delimiters and with none of them."""
    for syntax in (Syntax(codec="utf-8"), Syntax("#", "$", "%", "*", "@", "utf-8")):
        escaped = syntax.escape(text)
        assert syntax.unescape(escaped) == text
        assert not set(escaped) & {syntax.field, syntax.component, "\r", "\n"}


@given(
    st.binary(max_size=200),
    st.lists(st.sampled_from(["", "NONSENSE", *CODECS]), max_size=3),
    st.sampled_from(["", "NONSENSE", *CODECS]),
)
def test_any_bytes_are_text_in_any_declared_set(
    raw: bytes, declared: list[str], default: str
) -> None:
    """A message is never refused for its character set alone."""
    assert isinstance(decode(raw, declared, default).text, str)


SAMPLES = (
    adt(PID),
    adt(
        "PID|||1^^^A&1.2&ISO~2^^^B||A&B^C^^D~E^^^^^^L^I||198001|F"
        + "|" * 16
        + "Y|2||||2020|Y"
    ),
    message(*ORM),
    message(*OMI),
    message(*ORM, end="\r\n", encoding="utf-16"),
)
_BYTES = [b"|", b"^", b"~", b"&", b"\\", b"\r", b"\n", b'""', b"\x00", b"\xff", b"\xc3\xa9"]
_BYTES += [
    b"\\X00\\",
    b"\\XC3\\",
    b"\x1b$B",
    b"MSH|",
    b"PID|",
    b"\x0b",
    b"9" * 300,
    b"\x1c",
]


def test_mutated_messages_raise_nothing_but_our_own_errors() -> None:
    """Read, interpreted and answered: thousands of broken messages, each in its way."""
    chance = random.Random(20261122)  # the same every time: a failure must be repeatable
    for _ in range(MUTATIONS):
        raw = _mutated(chance, chance.choice(SAMPLES))
        said = _received(raw)
        assert "DOE" not in said


def _received(raw: bytes) -> str:
    """What a message is told that is refused."""
    try:
        header = read_header(raw)
        ack = acknowledge(header, Outcome("applied", "AA"), control_id="1", at=AT)
        assert read_header(ack).type == "ACK"
        interpret(read_message(raw, "8859/1"), ZONE)
    except ReconcileError as error:
        return str(error)
    return ""


def _mutated(chance: random.Random, raw: bytes) -> bytes:
    out = bytearray(raw)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(out) + 1)
        to = min(len(out), at + chance.choice([0, 1, 1, 2, 30]))
        kind = chance.random()
        if kind < 0.5:
            out[at:to] = chance.choice(_BYTES)
        elif kind < 0.7:
            out[at:to] = bytes(chance.randbytes(chance.randint(0, 4)))
        elif kind < 0.9:
            out[at:at] = out[at : at + chance.randint(1, 200)]
        else:
            del out[at:]
    return bytes(out)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_after_a_header_are_read_or_refused(body: bytes) -> None:
    """Nothing that follows MSH makes the reader stumble."""
    with suppress(ReconcileError):
        interpret(read_message(adt(PID) + body), ZONE)
