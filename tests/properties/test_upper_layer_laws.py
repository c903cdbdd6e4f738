"""Laws of the DICOM upper layer, whatever the bytes and wherever they were cut."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pynetdicom.fsm import TRANSITION_TABLE

from reconcile.dicom.limits import Limits
from reconcile.dicom.pdus import Fragment
from reconcile.dicom.states import State
from reconcile.dicom.upper_layer import UpperLayer
from reconcile.flows.arrival import Stored
from reconcile.storage.content import InMemory
from tests.support.door import associate_rq, c_store_rq, p_data, pdu
from tests.unit.dicom.peers import Line
from tests.unit.dicom.test_states import (
    ACCEPTANCE,
    ACTIONS,
    HAPPENS,
    ON_THE_WIRE,
    TABLE,
    drain,
)

RELEASE_RQ = pdu(5, bytes(4))
STREAM = (
    associate_rq()
    + p_data(1, c_store_rq()[:30])
    + pdu(4, p_data(3, c_store_rq()[30:])[6:] + p_data(0, b"some")[6:])
    + p_data(0, b"")
    + pdu(4, b"")
    + p_data(2, b"data set", context=255)
    + RELEASE_RQ
)


def events(pieces: list[bytes]) -> list[object]:
    """What is told, the pieces of each presentation data value put together."""
    upper = UpperLayer(Limits())
    told: list[object] = []
    value = b""
    for piece in pieces:
        upper.receive(memoryview(piece))
        for event in iter(upper.next_event, None):
            if upper.state is State.AWAITING_ANSWER:
                upper.accept(ACCEPTANCE)
            if not isinstance(event, Fragment):
                told.append(event)
                continue
            value += bytes(event.data)
            if told and isinstance(told[-1], tuple) and not told[-1][2]:
                told.pop()
            told.append((event.context_id, event.command, event.last, value))
            value = b"" if event.last else value
    return [*told, upper.state, upper.take_output()]


def cut(content: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(content) + 1) for place in places} | {len(content)})
    return [content[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("end", [b"", pdu(9, b"x"), p_data(3, b"x") + b"more"])
def test_every_cut_gives_the_same_events(end: bytes) -> None:
    """In two pieces at each place, and byte by byte; also where the stream is broken."""
    stream = STREAM + end
    whole = events([stream])
    assert [event for event in whole if isinstance(event, tuple)] == [
        (1, True, True, c_store_rq()),
        (255, False, True, b"somedata set"),
    ]
    for at in range(len(stream)):
        assert events([stream[:at], stream[at:]]) == whole
    assert events([bytes((byte,)) for byte in stream]) == whole


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cuts_give_the_same_events(places: list[int]) -> None:
    """In any number of pieces."""
    assert events(cut(STREAM, places)) == events([STREAM])


def well_formed(output: bytes) -> Iterator[int]:
    """The types of the PDUs that were sent."""
    at = 0
    while at < len(output):
        kind, length = struct.unpack_from(">BxI", output, at)
        at += 6 + length
        assert at <= len(output)
        yield kind


def answer(upper: UpperLayer) -> list[object]:
    """Ask for all that happened, and answer as an acceptor would."""
    told: list[object] = []
    for event in iter(upper.next_event, None):
        told.append(event)
        if upper.state is State.AWAITING_ANSWER:
            upper.accept(ACCEPTANCE)
        elif upper.state in (State.RELEASE_ASKED, State.COLLISION_RELEASE_ASKED):
            upper.answer_release()
    return told


def is_legal(upper: UpperLayer) -> None:
    assert str(upper.state) in TABLE
    assert upper.next_event() is None
    assert set(well_formed(upper.take_output())) <= {2, 3, 4, 5, 6, 7}
    if upper.state != "Sta1":
        upper.connection_closed()
        answer(upper)
    assert upper.state == "Sta1"


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([associate_rq(), p_data(3, b"x"), RELEASE_RQ, pdu(6, bytes(4))]),
    st.tuples(st.integers(0, 10), st.binary(max_size=20)).map(lambda a: pdu(*a)),
    st.builds(pdu, st.integers(1, 7), st.binary(max_size=9), st.integers(0, 1 << 32 - 1)),
)


@given(st.lists(PIECES, max_size=12))
def test_no_bytes_raise_and_every_end_is_a_legal_state(pieces: list[bytes]) -> None:
    """Whatever a peer sends, it is understood, ignored or aborted."""
    upper = UpperLayer(Limits())
    for piece in pieces:
        upper.receive(memoryview(piece))
        answer(upper)
    is_legal(upper)


@given(
    st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(0, 255)), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=4),
)
def test_no_changed_byte_raises(changes: list[tuple[int, int]], places: list[int]) -> None:
    """A good conversation with bytes changed at random, cut at random."""
    stream = bytearray(STREAM)
    for at, byte in changes:
        stream[at] = byte
    upper = UpperLayer(Limits())
    for piece in cut(bytes(stream), places):
        upper.receive(memoryview(piece))
        answer(upper)
    is_legal(upper)


@given(st.lists(st.sampled_from([*HAPPENS]), max_size=30))
def test_any_walk_follows_the_standards_table(walk: list[int]) -> None:
    """Whatever happens in whatever order, the state is the one that the table says."""
    upper, state, readable = UpperLayer(Limits()), "Sta2", True
    for event in walk:
        action = TRANSITION_TABLE.get((f"Evt{event}", state))
        if action is None or (event in ON_THE_WIRE and not readable):
            continue  # where PDUs begin is not known any more after Evt19
        HAPPENS[event](upper)
        drain(upper)
        state = ACTIONS[action].next
        readable = readable and event != 19
        assert upper.state == state


@example(b"\0", [1, 999], [], [], [])
@given(
    st.binary(min_size=1, max_size=400),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.lists(st.integers(0, 30), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=10),
)
def test_a_message_may_be_cut_three_times_over(
    content: bytes,
    command_cuts: list[int],
    data_cuts: list[int],
    pdu_cuts: list[int],
    stream_cuts: list[int],
) -> None:
    """Into values, values into PDUs, several or one, and the stream into reads."""
    commands, data = cut(c_store_rq(), command_cuts), cut(content, data_cuts)
    values = [p_data(1, part)[6:] for part in commands[:-1]]
    values += [p_data(3, commands[-1])[6:]]
    values += [p_data(0, part)[6:] for part in data[:-1]]
    values += [p_data(2, data[-1])[6:]]
    ends = sorted({place % (len(values) + 1) for place in pdu_cuts} | {len(values)})
    groups = [values[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    stream = associate_rq() + b"".join(pdu(4, b"".join(group)) for group in groups)
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder))
        for piece in cut(stream, stream_cuts):
            line.comes(piece)
        ((arrival, told),) = line.submitted
        assert isinstance(arrival.content, InMemory)
        assert bytes(arrival.content.data) == content
        assert arrival.digest == sha256(content).hexdigest()
        told(Stored())
        assert line.kinds() == [2, 4]
