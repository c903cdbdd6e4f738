"""The law of precedents: where the bytes that decide are the same, so is all that is
decided, whatever else differs.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from reconcile.core.attributes import Assign, Change
from reconcile.core.facts import InstanceFacts, Source
from reconcile.dataset import coding, references
from reconcile.dataset.deciding import Deciding, deciding
from reconcile.dataset.elements import encoding_of
from reconcile.dataset.facts import ASSIGNABLE, Received, read
from reconcile.dataset.framing import understood
from reconcile.dataset.overlay import Plan, Refusal, plan
from reconcile.dataset.part10 import file_meta
from reconcile.errors import CannotUnderstand, LimitExceeded
from reconcile.flows.inside import Inside, look
from tests.properties.test_overlay_laws import (
    INSIDE,
    SETTINGS,
    assignments,
    received_sets,
)
from tests.unit.dataset.made import (
    CT,
    EXPLICIT,
    IMPLICIT,
    MINIMAL,
    NINE,
    bundled,
    data_set,
    taken_apart,
)

SOURCES = (Source("CT_A", domain="A"), Source("MR_B", charset="ISO_IR 100", codes="deep"))
READ_TOO = (
    *(0x00080016, 0x00080020, 0x00080060, 0x00081111, 0x00120062, 0x04000561),
    0x00080110,
)

Decided = tuple[InstanceFacts, Inside, Plan]


def files() -> Iterator[tuple[str, str, bytes]]:
    """(name, transfer syntax, data set) of every file that can be taken apart."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "mr"
    for path in [*bundled(), *sorted(beside.rglob("*.dcm"))]:
        try:
            syntax, data = taken_apart(path)
        except CannotUnderstand:
            continue
        yield path.name, syntax, data


FILES = list(files())


def decided(
    data: bytes, syntax: str, source: Source, wanted: tuple[Change, ...]
) -> Decided | None:
    """What is found out by looking at everything; None: it is refused.

    Of a plan, one that depends on text that decides nothing is no plan for others.
    """
    try:
        received = read(data, syntax, source.charset)
        facts, made = received.facts(), plan(received, wanted)
        inside = look(received, source)
    except (CannotUnderstand, LimitExceeded):
        return None
    if made.widened or Refusal.CHARSET in made.refused.values():
        made = Plan()
    return replace(facts, sop_instance_uid=""), inside, made


def by_the_general_way(received: Received) -> bytes:
    """The same bytes, found by the scanner that reads everything."""
    header = received.header
    named = {int(tag, 16) for tag in ASSIGNABLE} | set(READ_TOO)
    pieces = []
    for span in header.elements:
        raw = header.raw_of(span)
        value = bytes(raw.value)
        holds = understood(raw, header.encoding)[0] == "SQ"
        names = references.LOOKED_FOR.search(value) or coding.LOOKED_FOR.search(value)
        decides = span.tag in named or span.tag in references.STUDY_SEQUENCES
        if decides or (holds and names):
            pieces.append(raw.whole)
    return b"".join(pieces)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case[0])
def test_both_ways_find_the_same_bytes(case: tuple[str, str, bytes]) -> None:
    """Of every file: it is not ordinary, or the general way finds just these bytes."""
    _, syntax, data = case
    found = deciding(data, syntax)
    if found is None:
        return
    received = read(data, syntax)
    assert found.key == by_the_general_way(received)
    said = received.raw("00080018") or b""
    assert found.sop_instance_uid == said.decode("latin-1").strip(" \0")
    said = received.raw("00080016") or b""
    assert found.sop_class_uid == said.decode("latin-1").strip(" \0")


def test_most_files_are_ordinary() -> None:
    """Those that are not are told by what makes them odd, or by being no data set."""
    odd = [name for name, syntax, data in FILES if deciding(data, syntax) is None]
    images = [name for name, *_ in FILES if name.startswith(("CT_", "MR_", "SC_", "US"))]
    assert len(set(odd) & set(images)) < len(images) / 3


@pytest.mark.parametrize("case", FILES, ids=lambda case: case[0])
def test_pydicom_reads_the_same_from_what_decides(case: tuple[str, str, bytes]) -> None:
    """The bytes alone, read by pydicom, say what it reads of them in the whole."""
    _, syntax, data = case
    found = deciding(data, syntax)
    if found is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, part = (
            dcmread(io.BytesIO(file_meta(CT, "1.2", syntax) + each), force=True)
            for each in (data, found.key)
        )
        for tag in ASSIGNABLE:
            assert (tag in whole) == (tag in part)
            if tag in whole:
                assert whole[tag].to_json() == part[tag].to_json()


# -- What else differs does not matter ---------------------------------------------------


def agree(one: bytes, other: bytes, syntax: str, wanted: tuple[Change, ...]) -> None:
    """Where the bytes that decide are the same, everything that is decided is."""
    found, also = deciding(one, syntax), deciding(other, syntax)
    if found is None or also is None or found.key != also.key:
        return
    for source in SOURCES:
        first, second = (decided(each, syntax, source, wanted) for each in (one, other))
        if first is None or second is None:
            # Only the one thing that no key holds may be to blame.
            assert found.sop_instance_uid != also.sop_instance_uid
            continue
        assert first == second


def is_ordinary(came: tuple[Received, bytes, str]) -> bool:
    return deciding(came[1], came[2]) is not None


@settings(SETTINGS, max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    received_sets().filter(is_ordinary),
    assignments(),
    st.sets(st.sampled_from(INSIDE)),
    st.data(),
)
def test_bytes_that_do_not_decide_may_be_anything(
    came: tuple[Received, bytes, str],
    wanted: tuple[Assign, ...],
    inside: set[Change],
    draw: st.DataObject,
) -> None:
    """Some bytes of any element replaced, wherever they stand, in values mostly."""
    received, data, syntax = came
    span = draw.draw(st.sampled_from(received.header.elements))
    start = draw.draw(st.sampled_from([span.start, span.value_start, span.value_start]))
    at = draw.draw(st.integers(start, max(start, span.end - 1)))
    new = draw.draw(st.binary(min_size=1, max_size=3) | st.sampled_from([b"7", b"T", b"Z"]))
    agree(data, changed_at(data, at, new), syntax, (*wanted, *inside))


@pytest.mark.parametrize("case", FILES, ids=lambda case: case[0])
def test_another_instance_of_the_series_is_decided_alike(
    case: tuple[str, str, bytes],
) -> None:
    """Another UID, number, position and other pixels, in every file."""
    _, syntax, data = case
    found = deciding(data, syntax)
    if found is None or not found.sop_instance_uid:
        return
    header = read(data, syntax).header
    other = bytearray(data)
    for tag, new in ((0x00080018, b"9"), (0x00200013, b"7"), (0x00201041, b"5")):
        span = header.index.get(tag)
        if span is not None and span.end > span.value_start:
            other[span.value_start : span.value_start + 1] = new
    for at in range(header.tail + 40, min(header.tail + 44, len(data))):
        other[at] ^= 0x11
    also = deciding(bytes(other), syntax)
    assert also is not None
    assert also.key == found.key
    agree(data, bytes(other), syntax, (*NINE, *INSIDE))


# -- What is not ordinary ---------------------------------------------------------------


def changed_at(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


ODD: dict[str, Callable[[bytes], bytes]] = {
    "an unknown VR": lambda data: changed_at(data, 4, b"OX"),
    "a VR that is none": lambda data: changed_at(data, 4, b"\0\1"),
    "longer than the data set": lambda data: changed_at(data, 6, b"\xff\xff"),
    "out of order": lambda data: data + data[:16],
    "cut off": lambda data: data[:-3],
    "padded with zeros": lambda data: data + bytes(64),
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_not_ordinary_has_no_key(odd: str) -> None:
    """It is looked at for itself."""
    assert deciding(data_set(MINIMAL), EXPLICIT) is not None
    found = deciding(ODD[odd](data_set(MINIMAL)), EXPLICIT)
    assert found is None or found == Deciding(b"", "", "")


@pytest.mark.parametrize(
    "values",
    [
        {0x4FFE0001: ("SQ", b"")},
        {0x04000500: ("SQ", b"")},
        {0x00420011: ("OB", b"%PDF")},
        {0x00081190: ("UR", b"http://x/studies/1.2 ")},
    ],
)
def test_what_is_signed_encrypted_or_linked_has_no_key(values: dict[int, Any]) -> None:
    """More than these bytes decides of it."""
    assert deciding(data_set({**MINIMAL, **values}), EXPLICIT) is None


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.113619.5.2"]
)
def test_only_the_two_plain_encodings_are_ordinary(syntax: str) -> None:
    """Big endian and deflated are not; private ones that are written alike are."""
    found = deciding(data_set(MINIMAL, syntax), syntax)
    assert (found is not None) == encoding_of(syntax).implicit


def test_what_is_written_in_another_way_than_announced_has_no_key() -> None:
    """Implicit announced as explicit, and the other way round."""
    assert deciding(data_set(MINIMAL, IMPLICIT), EXPLICIT) is None
    assert deciding(data_set(MINIMAL, EXPLICIT), IMPLICIT) is None


def test_the_order_of_what_decides_is_part_of_it() -> None:
    """Two values cannot be exchanged without another key."""
    one = {**MINIMAL, 0x00100020: ("LO", b"AB"), 0x00100021: ("LO", b"CD")}
    other = {**MINIMAL, 0x00100020: ("LO", b"CD"), 0x00100021: ("LO", b"AB")}
    found, also = deciding(data_set(one), EXPLICIT), deciding(data_set(other), EXPLICIT)
    assert found is not None
    assert also is not None
    assert found.key != also.key
