"""Where elements begin and end, whatever a peer wrote."""

from __future__ import annotations

import mmap
import struct
import tempfile

import pytest

from reconcile.dataset.elements import (
    Limits,
    encode_element,
    encoding_of,
    items,
    scan,
    tail_elements,
    understood,
)
from reconcile.errors import CannotUnderstand, LimitExceeded
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    MINIMAL,
    SYNTAXES,
    data_set,
    head,
    item,
    pixels,
    undefined,
)

LITTLE = encoding_of(EXPLICIT)


@pytest.mark.parametrize(
    ("syntax", "implicit", "little", "deflated"),
    [
        (IMPLICIT, True, True, False),
        (EXPLICIT, False, True, False),
        (BIG_ENDIAN, False, False, False),
        (DEFLATED, False, True, True),
        ("1.2.840.10008.1.2.4.90", False, True, False),
        ("1.2.840.113619.5.2", True, True, False),
        ("1.2.3.4", False, True, False),
        ("1.2.840.10008.1.2\0", True, True, False),
    ],
)
def test_a_transfer_syntax_says_how_elements_are_framed(
    syntax: str, implicit: bool, little: bool, deflated: bool
) -> None:
    """Unknown and encapsulated ones are explicit VR little endian (PS3.5 A.4)."""
    found = encoding_of(syntax)
    assert (found.implicit, found.little, found.deflated) == (implicit, little, deflated)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_written_is_found(syntax: str) -> None:
    """Tags, values and the tail come out as they went in, in every encoding."""
    tail = pixels(syntax)
    header = scan(data_set(MINIMAL, syntax, tail), encoding_of(syntax))
    assert [span.tag for span in header.elements] == sorted(MINIMAL)
    raw = header.raw(0x00100010)
    assert raw is not None
    assert bytes(raw.value) == b"Doe^Jane"
    assert bytes(header.buffer[header.tail :]) == tail


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_sequences_of_undefined_length_are_walked_over(syntax: str) -> None:
    """A sequence in an item in a sequence, all without lengths, ends where it ends."""
    inner = undefined(0x00400275, data_set({0x00080050: ("SH", b"A1")}, syntax), syntax)
    outer = undefined(0x00081115, inner, syntax)
    after = data_set({0x00100020: ("LO", b"7")}, syntax)
    header = scan(outer + after, encoding_of(syntax))
    assert [span.tag for span in header.elements] == [0x00081115, 0x00100020]
    raw = header.raw(0x00081115)
    assert raw is not None
    [only] = items(raw.value, header.encoding)
    assert bytes(only.content) == inner


def test_a_mapped_file_is_read_without_being_loaded() -> None:
    """Only what stands before pixel data of a sparse 3 GB file is touched."""
    with tempfile.TemporaryFile() as file:
        size = 3 * 1024**3
        file.write(data_set(MINIMAL) + head(0x7FE00010, "OW", size, LITTLE))
        file.truncate(file.tell() + size)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            header = scan(mapped, LITTLE)
            assert len(header.elements) == len(MINIMAL)
            header.buffer.release()


BROKEN = {
    "length past the end": head(0x00100010, "PN", 20, LITTLE) + b"Doe",
    "long length past the end": head(0x00420011, "OB", 0xFFFFFFF0, LITTLE) + b"Doe",
    "header cut off": data_set(MINIMAL) + b"\x40\0\x75",
    "long header cut off": data_set(MINIMAL) + b"\x40\0\x75\x02SQ\0\0\1",
    "no delimiter": undefined(0x00081115, b"")[:-8],
    "item past the end": head(0x00081115, "SQ", 0xFFFFFFFF, LITTLE)
    + struct.pack("<HHL", 0xFFFE, 0xE000, 99),
    "no item in a sequence": head(0x00081115, "SQ", 0xFFFFFFFF, LITTLE) + bytes(16),
    "sequence delimiter in an item": undefined(
        0x00081115, struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    ),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_header_is_refused(data: bytes) -> None:
    """No length is believed before it is compared with what remains."""
    with pytest.raises(CannotUnderstand):
        scan(data, LITTLE)


def test_nesting_is_bounded() -> None:
    """A sequence in a sequence a thousand times over costs neither stack nor time."""
    opened = head(0x00081115, "SQ", 0xFFFFFFFF, LITTLE) + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    with pytest.raises(LimitExceeded, match="nested"):
        scan(opened * 1000, LITTLE)


def test_the_number_of_elements_is_bounded() -> None:
    """Elements of no length are refused past a limit, top level and nested."""
    empty = head(0x00100020, "LO", 0, LITTLE)
    few = Limits(elements=100, listed=100)
    with pytest.raises(LimitExceeded, match="elements"):
        scan(empty * 101, LITTLE, limits=few)
    with pytest.raises(LimitExceeded, match="elements"):
        scan(undefined(0x00081115, empty * 101), LITTLE, limits=few)


def test_a_bomb_of_empty_elements_is_refused_early() -> None:
    """16 MB of zeros, which deflate makes of 16 kB, are 2 million elements."""
    with pytest.raises(LimitExceeded):
        scan(bytes(16 * 1024 * 1024), LITTLE)


def test_truncated_pixel_data_are_tail() -> None:
    """What was cut off behind the header is stored as it came."""
    cut = pixels(size=1000)[:200]
    header = scan(data_set(MINIMAL, EXPLICIT, cut), LITTLE)
    assert bytes(header.buffer[header.tail :]) == cut
    assert list(tail_elements(header)) == []


def test_zeros_at_the_end_are_tail() -> None:
    """Padding to a whole sector is no element."""
    header = scan(data_set(MINIMAL) + bytes(100), LITTLE)
    assert len(header.elements) == len(MINIMAL)
    assert len(header.buffer) - header.tail == 100


def test_of_two_elements_with_one_tag_the_last_is_read() -> None:
    """As pydicom does."""
    first = data_set({0x00100020: ("LO", b"old")})
    header = scan(first + data_set({0x00100020: ("LO", b"last")}), LITTLE)
    raw = header.raw(0x00100020)
    assert raw is not None
    assert bytes(raw.value) == b"last"
    assert len(header.elements) == 2


@pytest.mark.parametrize(("said", "written"), [(EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT)])
def test_a_data_set_that_is_not_what_it_says_is_read_as_written(
    said: str, written: str
) -> None:
    """The first element shows whether there are VRs."""
    header = scan(data_set(MINIMAL, written), encoding_of(said))
    assert header.encoding.implicit == encoding_of(written).implicit
    assert [span.tag for span in header.elements] == sorted(MINIMAL)


def test_a_vr_that_the_standard_may_still_add_has_a_long_length() -> None:
    """PS3.5 section 6.2; a short one after it still fits."""
    after = data_set({0x00100020: ("LO", b"7")})
    long_form = struct.pack("<HH2sHL", 0x0008, 0x0001, b"ZZ", 0, 4) + b"abcd"
    short_form = struct.pack("<HH2sH", 0x0008, 0x0001, b"ZZ", 4) + b"abcd"
    for data in (long_form, short_form, long_form + after, short_form + after):
        header = scan(data, LITTLE)
        raw = header.raw(0x00080001)
        assert raw is not None
        assert bytes(raw.value) == b"abcd"


def test_un_of_undefined_length_is_implicit_inside() -> None:
    """PS3.5 section 6.2.2; writers that leave it explicit are read too."""
    for syntax in (IMPLICIT, EXPLICIT):
        content = data_set({0x00100020: ("LO", b"7")}, syntax)
        whole = bytearray(undefined(0x00101002, content))
        whole[4:6] = b"UN"
        header = scan(bytes(whole), LITTLE)
        raw = header.raw(0x00101002)
        assert raw is not None
        vr, within = understood(raw, header.encoding)
        [only] = items(raw.value, within)
        inner = scan(only.content, only.encoding, nested=True).raw(0x00100020)
        assert vr == "SQ"
        assert inner is not None
        assert bytes(inner.value) == b"7 "


def test_values_are_padded_by_their_vr() -> None:
    """UI and binary with NUL, text with a space (PS3.5 section 6.2)."""
    assert bytes(encode_element(0x00080018, "UI", b"1.2", LITTLE).value) == b"1.2\0"
    assert bytes(encode_element(0x00100020, "LO", b"1.2", LITTLE).value) == b"1.2 "
    assert bytes(encode_element(0x00420011, "OB", b"1.2", LITTLE).value) == b"1.2\0"


def test_a_value_too_long_for_its_length_becomes_un() -> None:
    """PS3.5 section 6.2.2: UN has a 32-bit length."""
    raw = encode_element(0x00204000, "LT", b"x" * 70_000, LITTLE)
    assert raw.vr == "UN"
    assert len(raw.value) == 70_000
    assert encode_element(0x00204000, "LT", b"x" * 70_000, encoding_of(IMPLICIT)).vr == ""


def test_an_item_is_read_with_its_own_framing() -> None:
    """An implicit item inside an explicit data set is found."""
    sequence = encode_element(
        0x00400275, "SQ", item({0x00080050: ("SH", b"A1")}, IMPLICIT), LITTLE
    )
    [only] = items(sequence.value, LITTLE)
    assert only.encoding.implicit
