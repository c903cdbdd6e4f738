"""Values in the DICOM JSON model, and back."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from reconcile.core.attributes import Element, element, person_name
from reconcile.dataset.dicom_json import Unsayable, element_json, from_json, to_json
from reconcile.dataset.elements import Limits, encode_element, encode_item, encoding_of
from reconcile.errors import CannotUnderstand, LimitExceeded
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    data_set,
    item,
    undefined,
)

LITTLE = encoding_of(EXPLICIT)
BIG = encoding_of(BIG_ENDIAN)

# PS3.18 Annex F: VR, bytes in little endian, values.
VALUES: list[tuple[str, bytes, list[Any]]] = [
    ("AE", b"CT_A", ["CT_A"]),
    ("AS", b"042Y", ["042Y"]),
    ("AT", b"\x10\x00\x20\x00", ["00100020"]),
    ("CS", b"A\\B ", ["A", "B"]),
    ("DA", b"20261122", ["20261122"]),
    ("DS", b"1.50\\2", ["1.50", "2"]),
    ("DT", b"20261122201500", ["20261122201500"]),
    ("FL", b"\0\0\x80\x3f", [1.0]),
    ("FD", b"\0\0\0\0\0\0\xf0\x3f", [1.0]),
    ("FL", b"\0\0\xc0\x7f\0\0\x80\xff", ["NaN", "-inf"]),
    ("IS", b"12", ["12"]),
    ("LO", b"A\\\\B", ["A", None, "B"]),
    ("LT", b"A\\B ", ["A\\B"]),
    ("PN", b"Doe^Jane", [{"Alphabetic": "Doe^Jane"}]),
    (
        "PN",
        b"A=B=C\\D ",
        [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}, {"Alphabetic": "D"}],
    ),
    ("PN", b"==C ", [{"Phonetic": "C"}]),
    ("SH", b"A1", ["A1"]),
    ("SL", b"\xff\xff\xff\xff", [-1]),
    ("SS", b"\xfe\xff", [-2]),
    ("ST", b"x\\y ", ["x\\y"]),
    ("SV", b"\xff" * 8, [-1]),
    ("TM", b"2015", ["2015"]),
    ("UC", b"x\\y ", ["x", "y"]),
    ("UI", b"1.2\0", ["1.2"]),
    ("UL", b"\1\0\0\0", [1]),
    ("UR", b"http://a", ["http://a"]),
    ("US", b"\1\0\2\0", [1, 2]),
    ("UT", b"long", ["long"]),
    ("UV", b"\1" + bytes(7), [1]),
]


@pytest.mark.parametrize(("vr", "raw", "values"), VALUES, ids=[row[0] for row in VALUES])
def test_each_vr_is_said_and_written_back(vr: str, raw: bytes, values: list[Any]) -> None:
    """PS3.18 Table F.2.3-1; the bytes come back padded."""
    said = to_json(raw, vr, (), LITTLE)
    assert said == {"vr": vr, "Value": values}
    assert from_json("00100010", said, (), LITTLE) == raw


@pytest.mark.parametrize("vr", ["AE", "PN", "SQ", "US", "OB", "UN", "AT"])
def test_an_empty_value_has_no_value(vr: str) -> None:
    """PS3.18 section F.2.5."""
    assert to_json(b"", vr, (), LITTLE) == {"vr": vr}
    assert from_json("00100010", {"vr": vr}, (), LITTLE) == b""


def test_numbers_follow_the_byte_order() -> None:
    """The same numbers from big endian."""
    assert to_json(b"\0\1", "US", (), BIG) == element("US", 1)
    assert to_json(b"\0\x10\0\x20", "AT", (), BIG) == element("AT", "00100020")
    assert from_json("00280010", element("US", 1), (), BIG) == b"\0\1"


def test_binary_is_said_in_little_endian() -> None:
    """PS3.18 section F.2.7: words of OW are turned."""
    said = to_json(b"\1\2\3\4", "OW", (), BIG)
    assert said == {"vr": "OW", "InlineBinary": base64.b64encode(b"\2\1\4\3").decode()}
    assert from_json("00280010", said, (), BIG) == b"\1\2\3\4"
    assert (
        to_json(b"\1\2", "OB", (), BIG)["InlineBinary"]
        == base64.b64encode(b"\1\2").decode()
    )


def test_bulk_is_named_and_not_said() -> None:
    """Past 64 KiB an audit row holds digest and length (RFC 6920)."""
    raw = b"\1" * (64 * 1024 + 2)
    said = to_json(raw, "OB", (), LITTLE)
    digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
    assert said == {"vr": "OB", "BulkDataURI": f"ni:///sha-256;{digest}?length={len(raw)}"}
    with pytest.raises(Unsayable):
        from_json("00420011", said, (), LITTLE)


@pytest.mark.parametrize(
    ("vr", "raw"), [("US", b"\1\2\3"), ("PN", b"M\xfcller"), ("CS", b"\xe9\xe9")]
)
def test_what_cannot_be_said_is_kept_as_bytes(vr: str, raw: bytes) -> None:
    """Nothing is repaired, nothing is lost."""
    said = to_json(raw, vr, (), LITTLE)
    assert base64.b64decode(said["InlineBinary"]) == raw


def test_a_string_that_breaks_its_vr_is_said_as_it_is() -> None:
    """A birth date of "Aug 15, 1942" is what was received."""
    assert to_json(b"Aug 15, 1942", "DA", (), LITTLE) == element("DA", "Aug 15, 1942")


def test_items_nest() -> None:
    """Of defined and undefined length, with (gggg,0000) left out."""
    inner = undefined(0x00400275, data_set({0x00080050: ("SH", b"A1")}))
    content = data_set({0x00080000: ("UL", b"\0\0\0\0"), 0x00080060: ("CS", b"CT")}) + inner
    said = to_json(encode_item(content, LITTLE), "SQ", (), LITTLE)
    assert said["Value"] == [
        {
            "00080060": element("CS", "CT"),
            "00400275": element("SQ", {"00080050": element("SH", "A1")}),
        }
    ]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_sequence_written_reads_back(syntax: str) -> None:
    """In every encoding, with items of defined length."""
    encoding = encoding_of(syntax)
    said = element(
        "SQ",
        {
            "00100020": element("LO", "7"),
            "00100024": element("SQ", {"00400032": element("UT", "1.2.3")}),
        },
        {"00100010": person_name("Müller", "山田")},
    )
    raw = from_json("00101002", said, ["ISO_IR 192"], encoding)
    assert to_json(raw, "SQ", ["ISO_IR 192"], encoding) == said


def test_an_item_reads_in_its_own_character_set() -> None:
    """PS3.5 section 7.5.3: what it does not name it inherits."""
    own = item(
        {0x00080005: ("CS", b"ISO_IR 144"), 0x00100010: ("PN", "Люк".encode("iso8859_5"))}
    )
    inherits = item({0x00100010: ("PN", "Jérôme".encode("latin-1"))})
    said = to_json(own + inherits, "SQ", ["ISO_IR 100"], LITTLE)
    names = [i["00100010"]["Value"][0]["Alphabetic"] for i in said["Value"]]
    assert names == ["Люк", "Jérôme"]
    assert from_json("00101002", said, ["ISO_IR 100"], LITTLE) == own + inherits


@pytest.mark.parametrize(
    "said",
    [
        element("LO", "a\\b"),
        element("LO", "a\x01b"),
        element("LO", "\x1b$B"),
        element("US", 70_000),
        element("US", "x"),
        element("SQ", "x"),
        element("OB", "x"),
        {"vr": "OB", "InlineBinary": "?"},
        element("AT", "xyz"),
    ],
)
def test_what_is_not_of_its_vr_is_not_written(said: Element) -> None:
    """And the error says nothing of the value."""
    with pytest.raises(Unsayable) as caught:
        from_json("00100020", said, (), LITTLE)
    assert not caught.value.charset


def test_a_wider_set_is_asked_for() -> None:
    """Text that only another character set can say, nested too."""
    for said in (element("LO", "é"), element("SQ", {"00100020": element("LO", "é")})):
        with pytest.raises(Unsayable) as caught:
            from_json("00100020", said, (), LITTLE)
        assert caught.value.charset


def test_depth_and_length_are_bounded() -> None:
    """Before anything of it is read."""
    nested = b""
    for _ in range(40):
        nested = item({0x00081115: ("SQ", nested)})
    with pytest.raises(LimitExceeded):
        to_json(nested, "SQ", (), LITTLE)
    few = Limits(value_bytes=100)
    for vr in ("SQ", "LO"):
        with pytest.raises(LimitExceeded):
            to_json(b" " * 101, vr, (), LITTLE, few)


def test_a_value_that_only_begins_like_a_sequence_is_bytes() -> None:
    """Private values without VR may begin with anything."""
    raw = encode_element(0x00291055, "UN", b"\xfe\xff\0\xe0\7\7", LITTLE)
    assert "InlineBinary" in element_json(raw, (), LITTLE)


def test_a_broken_sequence_is_refused() -> None:
    """What is no item is not passed over."""
    with pytest.raises(CannotUnderstand):
        to_json(b"\x10\0\x20\0LO\2\x007 ", "SQ", (), LITTLE)
