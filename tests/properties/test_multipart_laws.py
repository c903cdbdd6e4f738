"""Laws of reading a multipart body, whatever its bytes and wherever it was cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconcile.errors import CannotUnderstand
from reconcile.web.multipart import (
    HEADER_BYTES_MAX,
    PREAMBLE_BYTES_MAX,
    Began,
    Broke,
    Came,
    Ended,
    Event,
    Reader,
)
from tests.support.multipart import BOUNDARY, body, part

DELIMITER = f"\r\n--{BOUNDARY}".encode("ascii")
#: Bytes of which delimiters are made, so that what is nearly one comes often.
NEARLY = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"-", b"--", DELIMITER[:-1], DELIMITER[:5], b"x", b"\0"]
    ),
    max_size=12,
).map(b"".join)
CONTENTS = st.one_of(st.binary(max_size=80), NEARLY).filter(lambda c: DELIMITER not in c)
PREAMBLES = st.sampled_from([b"", b"words for people", b"\r\n", b"--not yet\r\n"])
EPILOGUES = st.sampled_from([b"", b"\r\n", b"\r\nmore words", DELIMITER])


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(min(cut, len(stream)) for cut in cuts)
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]


def told(parts: list[bytes]) -> tuple[list[bytes], list[Event], bool]:
    """Bodies of whole parts, what was told last, whether a part is left open."""
    reader = Reader(BOUNDARY)
    events = [event for piece in parts for event in reader.feed(piece)]
    events += reader.finish()
    whole: list[bytes] = []
    open_part: bytes | None = None
    for event in events:
        if isinstance(event, Began):
            assert open_part is None
            open_part = b""
        elif isinstance(event, Came):
            assert open_part is not None
            open_part += event.data
        elif isinstance(event, Ended):
            assert open_part is not None
            whole.append(open_part)
            open_part = None
    return whole, events[-1:], open_part is not None


@given(st.lists(CONTENTS, min_size=1, max_size=5), PREAMBLES, EPILOGUES, st.data())
def test_parts_come_out_as_they_went_in(
    contents: list[bytes], preamble: bytes, epilogue: bytes, data: st.DataObject
) -> None:
    """Whatever is in them, stands before or after, and however the body was cut."""
    stream = preamble + body(contents) + epilogue
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    found, last, is_open = told(pieces(stream, cuts))
    assert found == contents
    assert last == [Ended()]
    assert not is_open


@given(st.lists(CONTENTS, max_size=4), st.binary(max_size=60), st.integers(1, 50))
def test_what_is_broken_is_told_after_what_was_whole(
    contents: list[bytes], noise: bytes, step: int
) -> None:
    """A body that ends early, or goes on as something else, loses no part before it."""
    stream = b"".join(map(part, contents)) + DELIMITER + b"\r\nno field\r\n" + noise
    found, last, is_open = told([stream[i : i + step] for i in range(0, len(stream), step)])
    assert found == contents
    assert not is_open
    assert isinstance(last[0], Broke)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_any_stream_cut_anyhow_tells_the_same(noise: bytes, cuts: list[int]) -> None:
    """Also streams that are no multipart at all: whole parts, or one fault in the end."""
    stream = noise.replace(b"\1", DELIMITER + b"\r\n").replace(b"\2", b"\r\n\r\n")
    in_one, in_many = told([stream]), told(pieces(stream, cuts))
    assert (in_one[0], in_one[2]) == (in_many[0], in_many[2])
    assert [type(each) for each in in_one[1]] == [type(each) for each in in_many[1]]


@given(st.sampled_from([b"X", b"\r\n--nearly"]))
def test_a_body_that_never_begins_is_not_kept(noise: bytes) -> None:
    """What stands before the first delimiter is bounded."""
    reader = Reader(BOUNDARY)
    events: list[Event] = []
    for _ in range(2 * PREAMBLE_BYTES_MAX // len(noise)):
        events += reader.feed(noise)
    assert [type(event) for event in events] == [Broke]


def test_a_head_that_does_not_end_is_not_kept() -> None:
    """Neither one long field, nor many."""
    for line in (b"A: " + b"x" * 2 * HEADER_BYTES_MAX, b"A: b\r\n" * 100):
        found, last, _ = told([DELIMITER, b"\r\n", line, line])
        assert found == []
        assert isinstance(last[0], Broke)


def test_a_boundary_is_one_that_can_be() -> None:
    """RFC 2046: at most 70 of certain characters."""
    for wrong in ("", "x" * 71, "a\r\nb", "ends with a blank ", "Å"):
        try:
            Reader(wrong)
        except CannotUnderstand:
            continue
        raise AssertionError(wrong)
