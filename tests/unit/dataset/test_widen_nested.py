"""Text inside of sequences that is said in a wider character set, and back."""

from __future__ import annotations

import pytest

from reconcile.core.attributes import Assign, element
from reconcile.dataset.charset import encode
from reconcile.dataset.elements import encode_item, encoding_of
from reconcile.dataset.facts import read
from reconcile.dataset.overlay import Refusal, plan, take_back
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LATIN,
    LITTLE,
    Values,
    coercion,
    data_set,
    foreign,
    item,
    name,
    originals,
    out,
    pixels,
    received,
    reread,
    undefined,
)

# PS3.3 Tables C.12-2 to C.12-5: (terms, text that they can say). GB18030 says everything.
SETS: list[tuple[tuple[str, ...], str]] = [
    (("ISO_IR 100",), "Jérôme"),
    (("ISO_IR 101",), "Wałęsa"),
    (("ISO_IR 109",), "Ĉapek"),
    (("ISO_IR 110",), "Šķēps"),
    (("ISO_IR 126",), "Διονυσιος"),
    (("ISO_IR 127",), "قباني"),
    (("ISO_IR 138",), "שרון"),
    (("ISO_IR 144",), "Люк"),
    (("ISO_IR 148",), "Çavuşoğlu"),
    (("ISO_IR 166",), "นามสกุล"),
    (("ISO_IR 203",), "Cœur €"),
    (("ISO_IR 13",), "ﾔﾏﾀﾞ"),
    (("", "ISO 2022 IR 87"), "山田"),
    (("", "ISO 2022 IR 159"), "丂"),
    (("", "ISO 2022 IR 149"), "홍길동"),
    (("", "ISO 2022 IR 58"), "张小东"),
    (("", "ISO 2022 IR 100", "ISO 2022 IR 144"), "éЖ"),
    (("ISO 2022 IR 13", "ISO 2022 IR 87"), "ﾔﾏ山田"),
    (("GBK",), "俓张"),
]
NEW = name("Łukasz", "王^小東", "ვახტანგ")


def nested(text: str, terms: tuple[str, ...], depth: int, syntax: str) -> bytes:
    """A sequence in a sequence, of undefined and of defined length in turn."""
    said = {vr: encode(text, terms, vr) or b"" for vr in ("LO", "PN", "UT")}
    assert all(said.values())
    content = data_set(
        {
            0x00080090: ("PN", said["PN"]),
            0x00321060: ("LO", said["LO"]),
            0x0040A160: ("UT", said["UT"]),
        },
        syntax,
    )
    for level in range(depth):
        if level % 2:
            whole = encode_item(content, encoding_of(syntax))
            content = data_set({0x0040A730: ("SQ", whole)}, syntax)
        else:
            content = undefined(0x0040A730, content, syntax)
    return content


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize(("terms", "text"), SETS, ids=["+".join(s[0]) for s in SETS])
def test_nested_text_reads_the_same_in_the_wider_set(
    syntax: str, terms: tuple[str, ...], text: str
) -> None:
    """In every set, at every depth, by another reader; and it is taken back to the byte."""
    values: Values = {0x00080005: ("CS", "\\".join(terms).encode())}
    for depth in (1, 2, 5):
        content = nested(text, terms, depth, syntax)
        minimal = b"".join(received(values, syntax).pieces())
        found = read(minimal + content + pixels(syntax), syntax)
        planned = plan(found, (NEW,))
        assert planned.widened
        data = out(found, coercion(NEW))
        theirs = reread(data, syntax)
        for _ in range(depth):
            [theirs] = theirs.ContentSequence
        assert str(theirs.ReferringPhysicianName) == text
        assert theirs.RequestedProcedureDescription == text
        assert theirs.TextValue == text
        assert take_back(data, syntax, planned.absent) == out(found)


def test_an_item_in_its_own_set_keeps_all_that_is_nested_in_it() -> None:
    """Beside one that has none and is said anew."""
    schaedel = "Schädel".encode("latin-1")
    deep = item({0x00321060: ("LO", schaedel)})
    own = item({0x00080005: ("CS", b"ISO_IR 100"), 0x0040A730: ("SQ", deep)})
    none = item({0x0040A730: ("SQ", deep)})
    found = received(LATIN | {0x0040A730: ("SQ", own + none)})
    data = out(found, coercion(NEW))
    assert own in data
    assert none not in data
    for one in reread(data, EXPLICIT).ContentSequence:
        [inner] = one.ContentSequence
        assert inner.RequestedProcedureDescription == "Schädel"
    assert take_back(data, EXPLICIT, plan(found, (NEW,)).absent) == out(found)


@pytest.mark.parametrize("vr", ["UN", ""])
@pytest.mark.parametrize("length", [40, 70_001])
def test_private_text_without_vr_stands_in_the_way_at_any_depth(
    vr: str, length: int
) -> None:
    """It may be text: it is neither said anew nor left to be read wrong."""
    syntax = EXPLICIT if vr else IMPLICIT
    value = b"x" + "张".encode("gbk") * length
    secret: Values = {0x00290010: ("LO", b"ACME"), 0x00291055: ("UN", value)}
    for depth in range(3):
        content = data_set(secret, syntax)
        for _ in range(depth):
            content = data_set({0x0040A730: ("SQ", encode_item(content, LITTLE))}, syntax)
        values: Values = {
            0x00080005: ("CS", b"GBK"),
            0x0040A731: ("SQ", encode_item(content, LITTLE)),
        }
        found = received(values, syntax)
        assert dict(plan(found, (NEW,)).refused) == {"00100010": Refusal.CHARSET}


def test_binary_values_without_vr_do_not_stand_in_the_way() -> None:
    """However long, and whatever beyond ASCII is in them."""
    binary: Values = {
        0x00290010: ("LO", b"ACME"),
        0x00291055: ("UN", b"text \xe4" * 20_000 + b"\1\0"),
    }
    assert plan(received(LATIN | binary), (NEW,)).widened


def test_text_that_cannot_be_read_stands_in_the_way_at_any_depth() -> None:
    """Nothing is replaced by a question mark."""
    deep = item({0x0040A730: ("SQ", item({0x00321060: ("LO", b"Caf\x92")}))})
    found = received(LATIN | {0x0040A730: ("SQ", deep)})
    assert dict(plan(found, (NEW,)).refused) == {"00100010": Refusal.CHARSET}


def test_a_sequence_that_is_listed_and_said_anew_is_copied_as_it_was() -> None:
    """The copy reads in the old (0008,0005) beside it."""
    request = item({0x00321060: ("LO", "Schädel".encode("latin-1"))})
    found = received(LATIN | {0x00400275: ("SQ", request)})
    other = Assign("00400275", element("SQ", {"00321060": element("LO", "Łeb")}))
    data = out(found, coercion(other))
    theirs = reread(data, EXPLICIT)
    [now] = theirs.RequestAttributesSequence
    assert now.RequestedProcedureDescription == "Łeb"
    [modified] = theirs.OriginalAttributesSequence[0].ModifiedAttributesSequence
    [before] = modified.RequestAttributesSequence
    assert before.RequestedProcedureDescription == "Schädel"
    assert take_back(data, EXPLICIT, plan(found, (other,)).absent) == out(found)


def test_raw_bytes_of_earlier_items_are_no_text_and_stay() -> None:
    """A later happening widens: what was kept as OB is not said anew."""
    found = received(LATIN | {0x00100020: ("LO", "ü".encode("latin-1") * 65)})
    first = Assign("00100020", element("LO", "É1"))
    data = out(found, coercion(first), coercion(NEW, after=9))
    before, after = originals(data)
    assert "00080005" not in before
    assert "ü".encode("latin-1") * 65 in data
    assert after["04000550"]["Value"][0]["00080005"] == element("CS", "ISO_IR 100")


def test_foreign_items_stand_in_the_way_only_with_text_beyond_ascii() -> None:
    """They are kept byte for byte, and ASCII reads alike in every set."""
    plain = {0x04000561: ("SQ", encode_item(foreign(b"Old^Name"), LITTLE))}
    found = received(LATIN | plain)
    data = out(found, coercion(NEW))
    assert plain[0x04000561][1] in data
    assert plan(read(data, EXPLICIT), (NEW,)).changes == ()


@pytest.mark.parametrize("declared", [b"ISO_IR 6", b"", None])
@pytest.mark.parametrize(
    ("assumed", "text"),
    [
        ("ISO_IR 100", "Schädel"),
        ("ISO_IR 192", "Schädel"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏ山田"),
    ],
)
def test_what_is_assumed_is_said_and_taken_back(
    declared: bytes | None, assumed: str, text: str
) -> None:
    """Where the default repertoire is declared, in so many words or not at all."""
    said = encode(text, assumed.split("\\"), "LO")
    assert said is not None
    values: Values = {0x00081030: ("LO", said)}
    if declared is not None:
        values[0x00080005] = ("CS", declared)
    request = item({0x00321060: ("LO", said)})
    found = received(values | {0x00400275: ("SQ", request)}, assumed=assumed)
    data = out(found, coercion(NEW))
    theirs = reread(data, EXPLICIT)
    assert theirs.StudyDescription == text
    assert theirs.RequestAttributesSequence[0].RequestedProcedureDescription == text
    absent = plan(found, (NEW,)).absent
    assert take_back(data, EXPLICIT, absent, assumed) == out(found)


def test_a_signature_inside_of_a_sequence_goes_with_the_text_that_it_covers() -> None:
    """One that covers other elements of its item stays byte for byte."""
    signature = item({0x04000005: ("US", b"\1\0"), 0x04000120: ("OB", b"signed")})
    text = {0x00321060: ("LO", "Schädel".encode("latin-1")), 0x00400009: ("SH", b"S1")}
    for covered, stays in ((b"\x32\0\x60\x10", False), (b"\x40\0\x09\0", True)):
        parameters = {0x04000005: ("US", b"\1\0"), 0x04000020: ("AT", covered)}
        signed = item(
            {
                **text,
                0x4FFE0001: ("SQ", item(parameters)),
                0xFFFAFFFA: ("SQ", signature),
            }
        )
        found = received(LATIN | {0x00400275: ("SQ", signed)})
        data = out(found, coercion(NEW))
        [now] = reread(data, EXPLICIT).RequestAttributesSequence
        assert now.RequestedProcedureDescription == "Schädel"
        assert ("DigitalSignaturesSequence" in now) is stays
