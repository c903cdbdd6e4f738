"""What is given out in another transfer syntax says what it said before."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, RLELossless

from reconcile.dataset.alike import alike
from reconcile.dataset.convert import SOURCES, TARGETS, chosen, converted
from reconcile.dataset.elements import encoding_of, tail_elements
from reconcile.dataset.facts import read
from reconcile.dataset.overlay import given
from reconcile.errors import CannotConvert, CannotUnderstand
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    MINIMAL,
    NINE,
    Values,
    bundled,
    coercion,
    data_set,
    head,
    item,
    pixels,
    reread,
    taken_apart,
    undefined,
)

WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
LEFT_OUT = {0x00080001}


def inside_out(data: bytes, syntax: str, target: str) -> bytes:
    """A data set, not deflated, said in another transfer syntax; not deflated either."""
    return b"".join(converted(read(data, syntax), target))


def said(found: Dataset, *, big: bool = False) -> dict[int, Any]:
    """What pydicom reads, nested; group lengths aside, words in little endian."""
    values: dict[int, Any] = {}
    for element in found:
        tag = int(element.tag)
        if tag & 0xFFFF == 0 or tag in LEFT_OUT:
            continue
        value = element.value
        if element.VR == "SQ":
            value = [said(each, big=big) for each in value]
        elif isinstance(value, bytes):
            width = WORDS.get(str(element.VR), 1) if big else 1
            value = b"".join(
                value[at : at + width][::-1] for at in range(0, len(value), width)
            )
        elif value is None or value == "":
            value = b""
        values[tag] = value
    return values


def without(values: dict[int, Any], tags: set[int]) -> dict[int, Any]:
    return {tag: value for tag, value in values.items() if tag not in tags}


def native() -> list[Path]:
    """Every file that pydicom brings whose pixel data is not compressed, and readable."""
    found = []
    for path in bundled():
        try:
            syntax, data = taken_apart(path)
            inside_out(data, syntax, chosen(syntax, [IMPLICIT]))
        except (CannotUnderstand, CannotConvert):
            continue
        found.append(path)
    return found


NATIVE = native()


def test_nearly_every_native_file_can_be_converted() -> None:
    """What is refused is compressed, cut off, or broken."""
    refused = set()
    for path in bundled():
        try:
            syntax, data = taken_apart(path)
            read(data, syntax)
        except CannotUnderstand:
            continue
        if syntax in SOURCES and path not in NATIVE:
            refused.add(path.name)
    assert refused == {"DICOMDIR-nooffset", "MR_truncated.dcm"}
    assert len(NATIVE) >= 50


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.name)
def test_pydicom_reads_the_same_values(path: Path) -> None:
    """Whatever the file came in; and so does what compares arrivals here."""
    syntax, data = taken_apart(path)
    before = read(data, syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reread(data, syntax)
        for target in {EXPLICIT, IMPLICIT} - {syntax}:
            out = inside_out(data, syntax, target)
            found = reread(out, target)
            unknown = {int(e.tag) for e in (*found, *expected) if e.VR == "UN"}
            values = said(expected, big=not before.encoding.little)
            assert without(said(found), unknown) == without(values, unknown)
            assert alike(before, read(out, target), same_syntax=False)


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.name)
def test_once_said_it_is_stable(path: Path) -> None:
    """From explicit to implicit and back it is the same bytes."""
    syntax, data = taken_apart(path)
    implicit = inside_out(data, syntax, IMPLICIT)
    explicit = inside_out(implicit, IMPLICIT, EXPLICIT)
    again = inside_out(explicit, EXPLICIT, IMPLICIT)
    assert inside_out(again, IMPLICIT, EXPLICIT) == explicit
    if syntax != IMPLICIT:
        assert again == implicit


# -- How single values are said ----------------------------------------------------------


def made(values: Values, syntax: str = IMPLICIT, tail: bytes = b"") -> bytes:
    return data_set({**MINIMAL, **values}, syntax, tail)


def vrs(values: Values, tail: bytes = b"") -> dict[int, str]:
    """With which VR each element of an implicit data set is written."""
    out = inside_out(made(values, IMPLICIT, tail), IMPLICIT, EXPLICIT)
    found = read(out, EXPLICIT)
    last = {raw.tag: raw.vr for raw in tail_elements(found.header)}
    return {span.tag: span.vr for span in found.header.elements} | last


@pytest.mark.parametrize(("signed", "vr"), [(b"\0\0", "US"), (b"\1\0", "SS"), (None, "US")])
def test_us_or_ss_is_what_pixel_representation_says(signed: bytes | None, vr: str) -> None:
    """PS3.5 section A.1; it stands after some of what it decides."""
    values: Values = {0x00280106: (vr, b"\1\0"), 0x00189810: (vr, b"\1\0")}
    if signed is not None:
        values[0x00280103] = ("US", signed)
    found = vrs(values)
    assert (found[0x00280106], found[0x00189810]) == (vr, vr)


def test_what_an_item_does_not_say_its_data_set_does() -> None:
    """Pixel Representation of the image holds in Modality LUT Sequence."""
    lut = item({0x00283002: ("SS", b"\0\1\0\0\x10\0")}, IMPLICIT)
    values: Values = {0x00283000: ("SQ", lut), 0x00280103: ("US", b"\1\0")}
    out = inside_out(made(values), IMPLICIT, EXPLICIT)
    assert b"\x28\0\x02\x30SS" in out


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (256, "OW")])
def test_lut_data_of_one_entry_is_a_number(entries: int, vr: str) -> None:
    """PS3.3 C.11.1.1.1."""
    values: Values = {
        0x00283002: ("US", struct.pack("<HHH", entries, 0, 16)),
        0x00283006: ("OW", b"\1\0" * entries),
    }
    assert vrs(values)[0x00283006] == vr


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (16, "OW"), (1, "OW")])
def test_pixels_of_8_bits_are_bytes(bits: int, vr: str) -> None:
    """PS3.5 section A.2."""
    allocated: Values = {0x00280100: ("US", struct.pack("<H", bits))}
    assert vrs(allocated, pixels(IMPLICIT))[0x7FE00010] == vr


def test_samples_of_8_bits_are_bytes() -> None:
    """Waveform Bits Allocated of the multiplex group holds in its channels too."""
    channel = item({0x54000110: ("OB", b"\0\0")}, IMPLICIT)
    group: Values = {
        0x003A0200: ("SQ", channel),
        0x54001004: ("US", b"\x08\0"),
        0x54001010: ("OB", b"\1\2"),
    }
    out = inside_out(made({0x54000100: ("SQ", item(group, IMPLICIT))}), IMPLICIT, EXPLICIT)
    assert b"\0\x54\x10\x10OB" in out
    assert b"\0\x54\x10\x01OB" in out


def test_what_nobody_knows_is_un() -> None:
    """Private values, and what the dictionary has not; who reserved a block is text."""
    found = vrs(
        {0x00290010: ("LO", b"ACME"), 0x00291001: ("UN", b"\1\2"), 0x00088888: ("UN", b"")}
    )
    assert found[0x00290010] == "LO"
    assert (found[0x00291001], found[0x00088888]) == ("UN", "UN")


def test_private_sequences_of_undefined_length_are_sequences() -> None:
    """Nothing else is of undefined length; one of defined length stays UN as it came."""
    inner = data_set({0x00100020: ("LO", b"7")}, IMPLICIT)
    endless = undefined(0x00291002, inner, IMPLICIT)
    data = made({0x00290010: ("LO", b"ACME")}) + endless
    out = inside_out(data, IMPLICIT, EXPLICIT)
    found = reread(out, EXPLICIT)
    assert found[0x00291002].VR == "SQ"
    assert found[0x00291002].value[0].PatientID == "7"
    assert inside_out(out, EXPLICIT, IMPLICIT) == data


def test_un_of_undefined_length_stays_implicit_inside() -> None:
    """PS3.5 section 6.2.2, note."""
    inner = undefined(0x00291002, data_set({0x00100020: ("LO", b"7")}, IMPLICIT), IMPLICIT)
    un = b"\x29\0\x02\x10UN\0\0\xff\xff\xff\xff" + inner[8:]
    data = made({}, EXPLICIT) + un
    out = inside_out(data, EXPLICIT, IMPLICIT)
    assert out.endswith(inner)
    big = made({}, BIG_ENDIAN) + b"\0\x29\x10\x02UN\0\0\xff\xff\xff\xff" + inner[8:]
    assert inside_out(big, BIG_ENDIAN, EXPLICIT).endswith(un)


def test_what_is_too_long_for_its_vr_is_un() -> None:
    """PS3.5 section 6.2.2, note 2; it comes back as it was."""
    long = made({0x00204000: ("LT", b"x" * 70_000)})
    out = inside_out(long, IMPLICIT, EXPLICIT)
    assert read(out, EXPLICIT).header.index[0x00204000].vr == "UN"
    assert reread(out, EXPLICIT).ImageComments == b"x" * 70_000
    assert inside_out(out, EXPLICIT, IMPLICIT) == long


def test_big_endian_is_turned_round_by_word() -> None:
    """Text and bytes stay; numbers, tags and words of pixels are turned."""
    values: Values = {
        0x00280009: ("AT", struct.pack(">HH", 0x0018, 0x1063)),
        0x00280010: ("US", struct.pack(">H", 512)),
        0x00186050: ("UL", struct.pack(">L", 70_000)),
        0x00189087: ("FD", struct.pack(">d", 1.5)),
    }
    big = made(values, BIG_ENDIAN, pixels(BIG_ENDIAN, 200_000))
    found = reread(inside_out(big, BIG_ENDIAN, EXPLICIT), EXPLICIT)
    assert (found.FrameIncrementPointer, found.Rows) == (0x00181063, 512)
    assert found.DiffusionBValue == 1.5
    assert found.PixelData[:4] == b"\1\0\3\2"
    assert len(found.PixelData) == 200_000


def test_group_lengths_are_left_out() -> None:
    """They would count the bytes of another encoding."""
    out = inside_out(made({0x00080000: ("UL", b"\x10\0\0\0")}), IMPLICIT, EXPLICIT)
    assert 0x00080000 not in read(out, EXPLICIT).header.index


def test_what_is_coerced_is_converted() -> None:
    """The coerced data set is what is said in the other syntax, item and all."""
    state = given(read(made({}), IMPLICIT), [coercion(*NINE)])
    found = reread(b"".join(converted(state, EXPLICIT)), EXPLICIT)
    assert found.PatientID == "E1"
    assert found.OriginalAttributesSequence[0].ModifyingSystem == "RECONCILE"


def test_pieces_are_small_whatever_a_value_is() -> None:
    """Bulk data goes through in pieces of at most 1 MiB, as views where it can."""
    document: Values = {0x00420011: ("OB", b"d" * 3_000_000)}
    for syntax in (IMPLICIT, BIG_ENDIAN):
        data = made(document, syntax, pixels(syntax, 3_000_000))
        sizes = [len(piece) for piece in converted(read(data, syntax), EXPLICIT)]
        assert max(sizes) <= 1 << 20
        assert sum(sizes) > 6_000_000


# -- What cannot be said -----------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax", [str(RLELossless), str(JPEG2000Lossless), "1.2.840.113619.5.2"]
)
def test_compressed_is_given_out_as_stored_or_refused_by_name(syntax: str) -> None:
    """No pixel is decoded here."""
    assert chosen(syntax, [EXPLICIT, syntax]) == syntax
    with pytest.raises(CannotConvert, match=syntax):
        chosen(syntax, [EXPLICIT, IMPLICIT])


def test_as_stored_comes_before_any_preference() -> None:
    """And big endian is made for nobody."""
    for stored in SOURCES:
        assert chosen(stored, ()) == stored
        assert chosen(stored, [*TARGETS, stored]) == stored
    assert chosen(BIG_ENDIAN, ["1.2.3", IMPLICIT, EXPLICIT]) == IMPLICIT
    assert chosen(DEFLATED, [EXPLICIT]) == EXPLICIT
    with pytest.raises(CannotConvert):
        chosen(IMPLICIT, [str(ExplicitVRBigEndian)])


def test_pixel_data_that_is_cut_off_or_compressed_is_refused() -> None:
    """Before anything of it is given out."""
    cut = made({}, EXPLICIT, pixels(EXPLICIT)[:-2])
    compressed = made({}, EXPLICIT) + undefined(0x7FE00010, b"")
    compressed = compressed.replace(b"\xe0\x7f\x10\0SQ", b"\xe0\x7f\x10\0OB")
    for data in (cut, compressed):
        with pytest.raises(CannotConvert):
            converted(read(data, EXPLICIT), IMPLICIT)


def test_a_broken_sequence_is_un_where_that_says_it() -> None:
    """Implicit bytes can stand in UN; explicit ones cannot be had without their VRs."""
    values: Values = {0x00081140: ("SQ", b"no items")}
    out = inside_out(made(values), IMPLICIT, EXPLICIT)
    assert read(out, EXPLICIT).header.index[0x00081140].vr == "UN"
    assert inside_out(out, EXPLICIT, IMPLICIT) == made(values)
    with pytest.raises(CannotConvert, match="0008,1140"):
        inside_out(made(values, EXPLICIT), EXPLICIT, IMPLICIT)


def test_numbers_that_are_cut_off_are_refused_in_big_endian() -> None:
    """Half a word cannot be turned round."""
    odd = made({}, BIG_ENDIAN) + head(0x00280010, "US", 3, encoding_of(BIG_ENDIAN)) + b"abc"
    with pytest.raises(CannotConvert, match="0028,0010"):
        inside_out(odd, BIG_ENDIAN, EXPLICIT)


def test_a_vr_that_nobody_knows_is_passed_on_in_little_endian() -> None:
    """As UN, its bytes as they came."""
    strange = made({}, EXPLICIT) + b"\x29\0\x01\x10ZZ\0\0\2\0\0\0ab"
    assert inside_out(strange, EXPLICIT, IMPLICIT).endswith(b"\x29\0\x01\x10\2\0\0\0ab")
    strange = made({}, BIG_ENDIAN) + b"\0\x29\x10\x01ZZ\0\0\0\0\0\2ab"
    with pytest.raises(CannotConvert, match="0029,1001"):
        inside_out(strange, BIG_ENDIAN, EXPLICIT)
