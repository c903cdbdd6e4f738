"""Whether two data sets say the same, however each is written."""

from __future__ import annotations

import mmap
import os
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from reconcile.dataset.alike import alike
from reconcile.dataset.elements import encode_element, encoding_of
from reconcile.dataset.facts import Received, read
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LATIN,
    MINIMAL,
    Values,
    data_set,
    item,
    undefined,
)

WRITTEN = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
J2K, RLE = str(JPEG2000Lossless), str(RLELossless)
WORDS = [0, 1, 258, 65535, 4096, 7]


def words(form: str, syntax: str, numbers: list[int]) -> bytes:
    """Numbers in the byte order of a transfer syntax."""
    return struct.pack(f"{encoding_of(syntax).order}{len(numbers)}{form}", *numbers)


def inner(syntax: str) -> Values:
    return {
        0x00080100: ("SH", b"T-04000 "),
        0x00080104: ("LO", b"Breast"),
        0x00281103: ("US", words("H", syntax, [256, 0, 16])),
    }


def many(syntax: str, **other: bytes) -> Values:
    """Values of every kind: text, numbers, tags, words, a sequence, private ones."""
    return {
        **MINIMAL,
        **LATIN,
        0x00080008: ("CS", b"ORIGINAL\\PRIMARY"),
        0x00081140: ("SQ", item(inner(syntax), syntax)),
        0x00189346: ("SQ", item({0x00189345: ("FD", words("d", syntax, [2]))}, syntax)),
        0x00200013: ("IS", other.get("number", b"1 ")),
        0x00280009: ("AT", words("H", syntax, [0x0018, 0x1063])),
        0x00280010: ("US", words("H", syntax, [2])),
        0x00280106: ("SS", words("h", syntax, [-3])),
        0x00281201: ("OW", words("H", syntax, WORDS)),
        0x00290010: ("LO", b"MAKER "),
        0x00291001: ("UN", other.get("private", b"abcd")),
        0x00720078: ("UL", words("I", syntax, [70000])),
    }


def of(
    syntax: str, values: Values | None = None, tail: bytes | None = None, assumed: str = ""
) -> Received:
    """A data set in a transfer syntax, read."""
    held = many(syntax) if values is None else values
    return read(data_set(held, syntax, native(syntax) if tail is None else tail), syntax)


def native(syntax: str, numbers: list[int] = WORDS, vr: str = "OW") -> bytes:
    whole = encode_element(
        0x7FE00010, vr, words("H", syntax, numbers), encoding_of(syntax)
    ).whole
    return bytes(whole)


def encapsulated(frame: bytes = b"frame one.") -> bytes:
    """An empty offset table and one fragment (PS3.5 section A.4)."""
    head = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0"
    fragment = b"\xfe\xff\x00\xe0" + len(frame).to_bytes(4, "little") + frame
    return head + fragment + b"\xfe\xff\xdd\xe0\0\0\0\0"


def same(one: Received, other: Received, *, same_syntax: bool = False) -> bool:
    """Asked both ways round."""
    found = alike(one, other, same_syntax=same_syntax)
    assert alike(other, one, same_syntax=same_syntax) == found
    return found


@pytest.mark.parametrize("syntax", WRITTEN)
@pytest.mark.parametrize("other", WRITTEN)
def test_byte_order_and_vrs_are_no_content(syntax: str, other: str) -> None:
    """
    The same values in each of the uncompressed transfer syntaxes are the same.
    """
    assert same(of(syntax), of(other))


@pytest.mark.parametrize("other", WRITTEN)
@pytest.mark.parametrize("tag", sorted(many(EXPLICIT)))
def test_every_value_is_content(tag: int, other: str) -> None:
    """
    Another value under any tag, or none, makes two data sets differ.
    """
    changed = many(other)
    vr, value = changed[tag]
    if tag == 0x00080005:
        value = b"ISO_IR 101"
    elif vr == "SQ":
        nested = inner(other) | {0x00080104: ("LO", b"Chest")}
        value = item(nested, other)
    elif vr == "FD" or len(value) % 2 or vr in ("UI", "IS"):
        value = b"9" * len(value)
    else:
        value = bytes(value[:-2] + b"zz")
    without = {each: held for each, held in changed.items() if each != tag}

    assert not same(of(EXPLICIT), of(other, {**changed, tag: (vr, value)}))
    assert not same(of(EXPLICIT), of(other, without))


def test_how_a_length_is_written_is_no_content() -> None:
    """
    Undefined lengths, group lengths and padding are the writer's affair.
    """
    plain = of(EXPLICIT)
    values = many(EXPLICIT)
    del values[0x00081140]
    loose = data_set({**values, 0x00080000: ("UL", b"\x01\0\0\0")}, EXPLICIT)
    at = loose.index(b"\x10\x00\x10\x00PN")
    sequence = undefined(0x00081140, data_set(inner(EXPLICIT)), EXPLICIT)
    padded = native(EXPLICIT) + b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0"

    assert same(plain, read(loose[:at] + sequence + loose[at:] + padded, EXPLICIT))


@pytest.mark.parametrize(
    ("vr", "value", "differs"),
    [("LO", b"Mueller ", b"Muller  "), ("SQ", item(inner(EXPLICIT)), item({}))],
)
def test_a_private_vr_that_was_lost_is_no_content(
    vr: str, value: bytes, differs: bytes
) -> None:
    """
    A private element with a VR is the one without, or as UN, when its bytes are.
    """
    known = {**many(EXPLICIT), 0x00291002: (vr, value)}
    bare = item(inner(IMPLICIT), IMPLICIT) if vr == "SQ" else value
    for syntax, held in ((IMPLICIT, "LO"), (EXPLICIT, "UN")):
        lost = {**many(syntax), 0x00291002: (held, bare)}
        other = {**many(syntax), 0x00291002: (held, differs)}

        assert same(of(EXPLICIT, known), of(syntax, lost))
        assert not same(of(EXPLICIT, known), of(syntax, other))


def test_two_vrs_that_are_both_written_differ() -> None:
    """
    Nobody guesses which of them is meant.
    """
    other = {**many(EXPLICIT), 0x00280010: ("SS", words("H", EXPLICIT, [2]))}
    assert not same(of(EXPLICIT), of(EXPLICIT, other))


@pytest.mark.parametrize("syntax", WRITTEN)
def test_other_native_pixels_differ(syntax: str) -> None:
    """
    One word of a native image is content, also in another byte order.
    """
    assert not same(of(EXPLICIT), of(syntax, tail=native(syntax, [*WORDS[:-1], 8])))
    assert not same(of(EXPLICIT), of(syntax, tail=native(syntax, WORDS[:-1])))
    assert not same(of(EXPLICIT), of(syntax, tail=b""))


def test_pixels_of_8_bits_are_bytes_or_words() -> None:
    """
    OB and OW hold the same bytes of 8-bit pixels (PS3.5 section 8.1.2, Annex A.2).
    """
    as_bytes = native(EXPLICIT, vr="OB")
    assert same(of(EXPLICIT), of(EXPLICIT, tail=as_bytes))
    assert same(of(BIG_ENDIAN), of(EXPLICIT, tail=as_bytes))


@pytest.mark.parametrize("turned", ["2H", "1I"])
def test_pixels_of_32_bits_are_turned_round_in_two_ways(turned: str) -> None:
    """
    Word by word, as PS3.5 has it, or pixel by pixel, as many write.
    """
    held = struct.pack("<I", 0x01020304)
    big = struct.pack(f">{turned}", *struct.unpack(f"<{turned}", held))
    one, other = (
        bytes(encode_element(0x7FE00010, "OW", value, encoding_of(syntax)).whole)
        for value, syntax in ((held, EXPLICIT), (big, BIG_ENDIAN))
    )
    assert same(of(EXPLICIT, tail=one), of(BIG_ENDIAN, tail=other))


def test_a_header_alone_tells_of_pixels_that_were_compressed() -> None:
    """
    Native against encapsulated, or encapsulated in two ways: what says how they were
    compressed may differ, nothing else.
    """
    colour = {0x00280004: ("CS", b"RGB "), 0x00280006: ("US", b"\0\0")}
    compressed = {0x00280004: ("CS", b"YBR_RCT ")}
    lossy = {**compressed, 0x00282110: ("CS", b"01")}
    plain = of(EXPLICIT, many(EXPLICIT) | colour)
    one = of(J2K, many(J2K) | compressed, encapsulated())
    two = of(RLE, many(RLE) | colour, encapsulated(b"otherwise."))

    assert same(plain, one)
    assert same(one, two)
    assert not same(plain, of(J2K, many(J2K) | lossy, encapsulated()))
    assert not same(plain, of(J2K, many(J2K, number=b"2 ") | compressed, encapsulated()))
    assert not same(plain, of(EXPLICIT, many(EXPLICIT) | compressed))


def test_of_one_syntax_compressed_pixels_are_bytes() -> None:
    """
    Two encapsulations in one transfer syntax are the same only bit for bit.
    """
    one, two = (
        of(J2K, tail=encapsulated(frame)) for frame in (b"frame one.", b"frame two.")
    )
    again = of(J2K, tail=encapsulated())
    assert same(one, again, same_syntax=True)
    assert not same(one, two, same_syntax=True)


def test_what_follows_pixel_data_is_content() -> None:
    """
    Private groups and signatures behind pixel data are compared like any other.
    """
    behind = b"\xe1\x7f\x10\x00LO\x04\0KODE"
    assert same(
        of(EXPLICIT, tail=native(EXPLICIT) + behind),
        of(EXPLICIT, tail=native(EXPLICIT) + behind),
    )
    assert not same(of(EXPLICIT), of(EXPLICIT, tail=native(EXPLICIT) + behind))


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_pixels_that_are_cut_off_are_bytes(cut: int) -> None:
    """
    What cannot be read to its end is the same only where it is the very bytes.
    """
    short = of(EXPLICIT, tail=native(EXPLICIT)[:-cut])
    assert same(short, of(EXPLICIT, tail=native(EXPLICIT)[:-cut]), same_syntax=True)
    assert not same(short, of(EXPLICIT))
    assert not same(short, of(BIG_ENDIAN, tail=native(BIG_ENDIAN)[:-cut]))


def test_what_is_no_element_behind_pixels_is_bytes() -> None:
    """
    A few zeros are padding, anything else is something that nobody can read.
    """
    assert same(of(EXPLICIT), of(BIG_ENDIAN, tail=native(BIG_ENDIAN) + b"\0\0"))
    assert not same(of(EXPLICIT), of(EXPLICIT, tail=native(EXPLICIT) + b"no"))


def test_a_tail_of_zeros_is_not_walked_through() -> None:
    """
    What pads to the end is bytes once it is more than can be listed.
    """
    one, other = (
        of(EXPLICIT, tail=native(EXPLICIT) + bytes(size)) for size in (64, 1 << 20)
    )
    assert same(of(EXPLICIT), one)
    assert not same(one, other)
    assert same(other, of(EXPLICIT, tail=native(EXPLICIT) + bytes(1 << 20)))


def test_items_are_content() -> None:
    """
    One item less is another sequence.
    """
    one, two = (
        {**many(EXPLICIT), 0x00081140: ("SQ", item(inner(EXPLICIT)) * count)}
        for count in (1, 2)
    )
    assert not same(of(EXPLICIT, one), of(EXPLICIT, two))


def test_text_is_compared_as_it_is_read() -> None:
    """
    Bytes that are the same text are the same, in whatever set they were assumed to be.
    """
    values = {**MINIMAL, 0x00100010: ("PN", b"M\xfcller")}
    held = data_set(values)
    for syntax in WRITTEN:
        other = read(data_set(values, syntax), syntax)
        assert same(read(held, EXPLICIT, "ISO_IR 100"), other)
    differs = data_set({**MINIMAL, 0x00100010: ("PN", b"M\xe4ller")})
    assert not same(read(held, EXPLICIT), read(differs, EXPLICIT))


def test_what_only_looks_like_a_sequence_is_bytes() -> None:
    """
    A private value without a VR that begins like an item is no reason to fail.
    """
    odd = b"\xfe\xff\x00\xe0\xff\xff\x00\x00"
    one, two = (of(IMPLICIT, many(IMPLICIT, private=odd + end)) for end in (b"ab", b"cd"))
    assert same(one, of(EXPLICIT, many(EXPLICIT, private=odd + b"ab")))
    assert not same(two, of(EXPLICIT, many(EXPLICIT, private=odd + b"ab")))


def test_nesting_without_end_is_not_compared() -> None:
    """
    What is past a limit differs; it is not an error.
    """
    values: Values = {0x00080100: ("SH", b"ONE ")}
    other: Values = {0x00080100: ("SH", b"TWO ")}
    for _ in range(40):
        values = {0x00400275: ("SQ", item(values))}
        other = {0x00400275: ("SQ", item(other))}
    assert not same(of(EXPLICIT, {**MINIMAL, **values}), of(EXPLICIT, {**MINIMAL, **other}))


@pytest.fixture
def mapped(tmp_path) -> Callable[..., Received]:
    """Data sets of 64 MiB, mapped as those that are stored."""

    def make(syntax: str, last: bytes = b"\0") -> Received:
        path = tmp_path / syntax
        head = data_set(MINIMAL, syntax)
        order = encoding_of(syntax).order
        element = struct.pack(f"{order}HH2sHL", 0x7FE0, 0x10, b"OW", 0, 64 << 20)
        with path.open("w+b") as file:
            file.write(head + element)
            file.truncate(len(head + element) + (64 << 20))
            file.seek(-1, os.SEEK_END)
            file.write(last)
            file.flush()
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return read(whole, syntax)

    return make


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_last_pixel_counts_as_the_first(mapped: Callable[..., Received]) -> None:
    """
    Pixel data is compared to its end.
    """
    assert not alike(mapped(EXPLICIT), mapped(BIG_ENDIAN, b"\1"), same_syntax=False)


def test_large_pixel_data_takes_constant_memory(mapped: Callable[..., Received]) -> None:
    """
    Compared chunk by chunk, in both byte orders; mapped pages are given back.
    """
    one, other = mapped(EXPLICIT), mapped(BIG_ENDIAN)
    before = resident()
    tracemalloc.start()
    try:
        assert alike(one, other, same_syntax=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    assert resident() - before < 16 << 20
