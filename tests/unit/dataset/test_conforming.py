"""Which values keep the rules of their VR, VM and character set, and which do not."""

from __future__ import annotations

import pytest

from reconcile.dataset.conforming import Step, conforms, nonconforming
from reconcile.dataset.elements import encode_element, encoding_of
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LITTLE,
    Values,
    item,
    received,
)

Case = tuple[int, str, bytes]

# PS3.5 Table 6.2-1: (tag, VR, value).
GOOD: list[Case] = [
    (0x00080054, "AE", b" CT_A "),
    (0x00101010, "AS", b"018M"),
    (0x00080060, "CS", b"CT "),
    (0x00080008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL_1"),
    (0x00100030, "DA", b"19420813"),
    (0x00100030, "DA", b"20240229"),
    (0x00101030, "DS", b" -1.5E+03 "),
    (0x00101030, "DS", b".5"),
    (0x0008002A, "DT", b"20261122201500.123456+0100"),
    (0x0008002A, "DT", b"2026-0500"),
    (0x0008002A, "DT", b"202611"),
    (0x00200013, "IS", b"+2147483647"),
    (0x00080030, "TM", b"235960.1 "),
    (0x00080030, "TM", b"10"),
    (0x0020000D, "UI", b"1.2.0.10\0"),
    (0x00081190, "UR", b"https://a.example/x?y=%20 "),
    (0x00100020, "LO", b" " + b"1" * 64 + b" \0"),
    (0x00101000, "LO", b"1\\2\\\\3"),
    (0x00080050, "SH", b"A" * 16),
    (0x00100010, "PN", b"A^B^C^D^E=" + b"x" * 64 + b"="),
    (0x00104000, "LT", b"two\r\nlines \\ and a backslash"),
    (0x00080119, "UC", b"x" * 70_000),
    (0x00280010, "US", b"\0\2"),
    (0x00189087, "FD", bytes(8)),
    (0x00209165, "AT", bytes(4)),
    (0x00101002, "SQ", b""),
    (0x00280106, "SS", b"\0\0"),
    (0x00280106, "US", b"\0\0"),
    (0x00280030, "DS", b"0.5\\0.5"),
    (0x00080018, "UN", b"1.2.3"),
    (0x00100010, "UN", b"Doe^Jane"),
    (0x00100020, "LO", b"100"),
    (0x00100010, "UT", b""),
    (0x00290010, "LO", b"ACME"),
    (0x00291055, "ZZ", b"whatever\xff"),
    (0x00291055, "LO", b"a\\b\\c"),
    (0x00291055, "UN", b"\0\1\2"),
]
BAD: list[Case] = [
    (0x00080054, "AE", b"X" * 17),
    (0x00080054, "AE", b"CT\nA"),
    (0x00101010, "AS", b"18M "),
    (0x00080060, "CS", b"ct"),
    (0x00080060, "CS", b"A" * 17),
    (0x00080060, "CS", b"\xe9"),
    (0x00100030, "DA", b"Aug 15, 1942"),
    (0x00100030, "DA", b"1942.08.15"),
    (0x00100030, "DA", b"20260229"),
    (0x00100030, "DA", b"1942"),
    (0x00101030, "DS", b"1,5"),
    (0x00101030, "DS", b"1.00000000000000001"),
    (0x0008002A, "DT", b"20261322"),
    (0x0008002A, "DT", b"20260229101010"),
    (0x0008002A, "DT", b"20261122+1500"),
    (0x00200013, "IS", b"2147483648"),
    (0x00200013, "IS", b"1.0"),
    (0x00080030, "TM", b"10:15:00"),
    (0x00080030, "TM", b"2460"),
    (0x0020000D, "UI", b"1.2.034"),
    (0x0020000D, "UI", b"1.2..3"),
    (0x0020000D, "UI", b"1.2.x"),
    (0x0020000D, "UI", b"1." + b"2" * 63),
    (0x0020000D, "UI", b"1.2\\1.3"),
    (0x00081190, "UR", b"https://a.example/x y"),
    (0x00100020, "LO", b"1" * 65),
    (0x00100020, "LO", b"1\\2"),
    (0x00100020, "LO", b"1\n2"),
    (0x00100020, "LO", b"1\x012"),
    (0x00080050, "SH", b"A" * 17),
    (0x00100010, "PN", b"x" * 65),
    (0x00100010, "PN", b"A=B=C=D"),
    (0x00100010, "PN", b"A^B^C^D^E^F"),
    (0x00104000, "LT", b"x" * 10_241),
    (0x00104000, "LT", b"x\0y"),
    (0x00280010, "US", b"\0\0\0\0"),
    (0x00280010, "US", bytes(6)),
    (0x00189087, "FD", bytes(12)),
    (0x00280030, "DS", b"0.5"),
    (0x00280030, "DS", b"0.5\\0.5\\0.5"),
    (0x00100020, "SH", b"100"),
    (0x00100020, "ZZ", b"100"),
    (0x00101002, "OB", b"\1\2"),
    (0x00290010, "SH", b"ACME"),
    (0x00291055, "DA", b"yesterday"),
]


@pytest.mark.parametrize(("tag", "vr", "value"), GOOD)
def test_what_keeps_the_rules_conforms(tag: int, vr: str, value: bytes) -> None:
    """Padding and a missing value are no faults; an unknown tag has no VM."""
    assert conforms(encode_element(tag, vr, value, LITTLE), (), LITTLE)


@pytest.mark.parametrize(("tag", "vr", "value"), BAD)
def test_what_breaks_a_rule_does_not(tag: int, vr: str, value: bytes) -> None:
    """Form, length, repertoire, VM, or a VR that is not the attribute's."""
    assert not conforms(encode_element(tag, vr, value, LITTLE), (), LITTLE)


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_the_framing_makes_no_difference(syntax: str) -> None:
    """The same verdicts where no VR is written, or in big endian."""
    encoding = encoding_of(syntax)
    ours = [c for c in GOOD if syntax == BIG_ENDIAN or c[0] not in (0x00280106,)]
    for tag, vr, value in ours:
        assert conforms(encode_element(tag, vr, value, encoding), (), encoding)
    alike = [c for c in BAD if c[1] not in ("SH", "ZZ") and c[0] >> 16 != 0x29]
    for tag, vr, value in alike:
        if syntax == BIG_ENDIAN or vr != "OB":
            assert not conforms(encode_element(tag, vr, value, encoding), (), encoding)


@pytest.mark.parametrize(
    ("declared", "value", "verdict"),
    [
        ((), "Müller".encode("latin-1"), False),
        (("ISO_IR 100",), "Müller".encode("latin-1"), True),
        (("ISO_IR 192",), "Müller".encode("latin-1"), False),
        (("ISO_IR 192",), "Müller".encode(), True),
        (("ISO_IR 999",), "Müller".encode("latin-1"), False),
        (("ISO_IR 192",), ("山" * 64).encode(), True),
        (("ISO_IR 192",), ("山" * 65).encode(), False),
        (("", "ISO 2022 IR 87"), b"\x1b$B" + b";3" * 64 + b"\x1b(B", True),
        (("GB18030",), ("张" * 64).encode("gb18030"), True),
    ],
)
def test_text_is_judged_in_what_is_declared(
    declared: tuple[str, ...], value: bytes, verdict: bool
) -> None:
    """And its length in characters, not in bytes."""
    for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO")):
        assert conforms(encode_element(tag, vr, value, LITTLE), declared, LITTLE) is verdict


def found_in(
    values: Values, *tags: int, syntax: str = EXPLICIT
) -> list[tuple[object, ...]]:
    found = received(values, syntax, assumed="ISO_IR 100")
    faults = nonconforming(found.raw_element, tags, found.declared, found.encoding)
    return [(f.tag, f.value, f.creator, f.path) for f in faults]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_value_inside_of_a_sequence_is_named_by_its_path(syntax: str) -> None:
    """By sequence and number of item from the top, in the set of its own item."""
    inner = item({0x00080050: ("SH", b"A" * 18)}, syntax)
    own = {
        0x00080005: ("CS", b"ISO_IR 100"),
        0x00321060: ("LO", "Schädel".encode("latin-1")),
    }
    none = {0x00321060: ("LO", "Schädel".encode("latin-1")), 0x00081199: ("SQ", inner)}
    values: Values = {0x00400275: ("SQ", item(own, syntax) + item(none, syntax))}
    assert found_in(values, 0x00400275, 0x00100010, syntax=syntax) == [
        (0x00080050, b"A" * 18, "", (Step(0x00400275, 2), Step(0x00081199, 1))),
        (0x00321060, "Schädel ".encode("latin-1"), "", (Step(0x00400275, 2),)),
    ]


def test_a_private_value_is_named_with_its_creator() -> None:
    """Of the block where it stands, and of the sequences around it."""
    inner = item({0x00310010: ("LO", b"OTHER"), 0x00311001: ("DA", b"never ")})
    values: Values = {
        0x00290010: ("LO", b"ACME "),
        0x00291001: ("CS", b"no"),
        0x00291002: ("SQ", inner),
    }
    assert found_in(values, 0x00291001, 0x00291002) == [
        (0x00291001, b"no", "ACME", ()),
        (0x00311001, b"never ", "OTHER", (Step(0x00291002, 1, "ACME"),)),
    ]


def test_a_declaration_that_does_not_conform_says_nothing_in_the_item() -> None:
    """Where it is listed without value, text in the item is in the default repertoire."""
    values: Values = {
        0x00080005: ("CS", b"ISO-IR 100"),
        0x00100010: ("PN", "Müller".encode("latin-1")),
    }
    tags = [tag for tag, *_ in found_in(values, 0x00080005, 0x00100010)]
    assert tags == [0x00080005, 0x00100010]
    assert found_in(values, 0x00100010) == []


def test_what_only_begins_like_a_sequence_is_none() -> None:
    """A private value without VR is not refused for it."""
    values: Values = {0x00291001: ("UN", b"\xfe\xff\x00\xe0\xff\x00\x00\x00")}
    assert found_in(values, 0x00291001) == []
