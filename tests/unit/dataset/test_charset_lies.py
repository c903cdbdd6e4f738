"""Data sets that declare a character set which they are not in."""

from __future__ import annotations

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.core.attributes import Assign, element, person_name, same
from reconcile.dataset import overlay
from reconcile.dataset.elements import encode_item
from reconcile.dataset.facts import Received, read
from reconcile.dataset.overlay import Refusal, plan, take_back
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LITTLE,
    Values,
    coercion,
    foreign,
    item,
    name,
    originals,
    out,
    patient_id,
    pixels,
    received,
    reread,
)

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN)
# (declared, what is assumed, a name that is in the latter and no text in the former).
CASES = [
    ("ISO_IR 192", "ISO_IR 100", "Müller^Jürgen"),
    ("ISO_IR 192", "GB18030", "张^小东"),
    ("ISO_IR 100", "ISO_IR 192", "Öğüt^Łukasz"),
    ("ISO_IR 144", "ISO_IR 192", "Öğüt^Łukasz"),
    ("ISO_IR 999", "ISO_IR 101", "Wałęsa^Łukasz"),
    ("\\ISO 2022 IR 87", "ISO_IR 192", "山田^太郎"),
]
CODECS = {
    "ISO_IR 192": "utf-8",
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859_2",
    "GB18030": "gb18030",
}


def lying(
    declared: str, assumed: str, text: str, syntax: str = EXPLICIT, more: str = ""
) -> Received:
    """A name, a description and nested text in what is assumed."""
    said = text.encode(CODECS[assumed])
    request = item({0x00321060: ("LO", said), 0x00400009: ("SH", b"S1")}, syntax)
    values: Values = {
        0x00080005: ("CS", declared.encode()),
        0x00100010: ("PN", said),
        0x00080080: ("LO", (more or text).encode(CODECS[assumed])),
        0x00400275: ("SQ", request),
    }
    return received(values, syntax, assumed=assumed, tail=pixels(syntax))


@pytest.mark.parametrize(("declared", "assumed", "text"), CASES)
def test_a_lie_is_read_in_what_is_assumed(declared: str, assumed: str, text: str) -> None:
    """Where the declared set cannot read it and the assumed one can read all of it."""
    found = lying(declared, assumed, text)
    assert found.lies
    assert list(found.declared) == declared.split("\\")
    assert list(found.charsets) == [assumed]
    facts = found.facts()
    assert facts.demographics.name.alphabetic == text
    assert facts.undecodable == frozenset()
    kept = "\\".join(found.charsets)
    again = read(b"".join((*found.pieces(), found.tail)), EXPLICIT, kept)
    assert again.facts() == facts


@pytest.mark.parametrize("assumed", ["", "ISO_IR 13", "ISO_IR 192"])
def test_nothing_is_guessed(assumed: str) -> None:
    """Where no set is configured, or the one that is reads no better."""
    values: Values = {
        0x00080005: ("CS", b"ISO_IR 192"),
        0x00100010: ("PN", b"M\xfcller"),
    }
    found = received(values, assumed=assumed)
    assert not found.lies
    assert found.facts().undecodable == {"PatientName"}


def test_what_can_be_read_as_declared_is_no_lie() -> None:
    """Whatever else it could be."""
    values: Values = {
        0x00080005: ("CS", b"ISO_IR 100"),
        0x00100010: ("PN", "Müller".encode()),
    }
    found = received(values, assumed="ISO_IR 192")
    assert list(found.charsets) == ["ISO_IR 100"]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("declared", "assumed", "text"), CASES)
def test_a_new_name_makes_the_declaration_true(
    declared: str, assumed: str, text: str, syntax: str
) -> None:
    """All text is said in ISO_IR 192, all that is said anew is listed, and taken back."""
    found = lying(declared, assumed, text, syntax)
    new = name("Şahin^Ünal", "王^小東")
    data = out(found, coercion(new))
    theirs = reread(data, syntax)
    assert theirs.SpecificCharacterSet == "ISO_IR 192"
    assert theirs.PatientName == "Şahin^Ünal=王^小東"
    assert theirs.InstitutionName == text
    assert theirs.RequestAttributesSequence[0].RequestedProcedureDescription == text
    planned = plan(found, (new,))
    assert planned.widened is (declared != "ISO_IR 192")
    [only] = originals(data, syntax)
    row = overlay.original_attributes_item(planned, coercion(new))
    assert only["04000551"] == row["04000551"]
    [modified] = only["04000550"]["Value"]
    assert modified["00100010"] == {"vr": "PN"}
    assert modified["00080080"] == {"vr": "LO"}
    raw = found.raw_element(0x00100010)
    assert raw is not None
    kept = {"vr": "OB", "InlineBinary": base64.b64encode(raw.value).decode()}
    assert kept in [fault["04000552"] for fault in only["04000551"]["Value"]]
    assert take_back(data, syntax, planned.absent, assumed) == out(found)
    assert plan(overlay.given(found, [coercion(new)]), (new,)).changes == ()
    assert plan(read(data, syntax, assumed), (new,)).changes == ()


@pytest.mark.parametrize(("declared", "assumed", "text"), CASES)
def test_what_is_ascii_needs_no_other_set(declared: str, assumed: str, text: str) -> None:
    """The rest stays as it came."""
    found = lying(declared, assumed, text)
    data = out(found, coercion(patient_id("E1")))
    planned = plan(found, (patient_id("E1"),))
    assert [change.tag for change in planned.changes] == ["00100020"]
    assert text.encode(CODECS[assumed]) in data
    assert take_back(data, EXPLICIT, planned.absent, assumed) == out(found)


def test_text_in_a_foreign_item_stands_in_the_way_of_the_truth() -> None:
    """It must stay byte for byte and would read otherwise."""
    old = encode_item(foreign("Öğüt".encode()), LITTLE)
    values: Values = {
        0x00080005: ("CS", b"ISO_IR 100"),
        0x00100010: ("PN", "Öğüt^Łukasz".encode()),
        0x04000561: ("SQ", old),
    }
    found = received(values, assumed="ISO_IR 192")
    planned = plan(found, (name("Şahin"), patient_id("E1")))
    assert dict(planned.refused) == {"00100010": Refusal.CHARSET}
    assert [change.tag for change in planned.changes] == ["00100020"]


def test_our_own_earlier_items_keep_what_they_say() -> None:
    """They name what had been declared, and hold raw bytes of what was a lie."""
    found = lying("ISO_IR 100", "ISO_IR 192", "Öğüt^Łukasz")
    request = Assign("00400275", element("SQ", {"00400009": element("SH", "S2")}))
    made = coercion(name("Oguet"), request), coercion(name("Şahin"), after=9)
    data = out(found, *made)
    first, second = originals(data)
    assert [f["00720026"]["Value"] for f in first["04000551"]["Value"]] == [
        ["00100010"],
        ["00321060"],
    ]
    assert "Öğüt^Łukasz".encode() in data
    assert second["04000550"]["Value"][0]["00100010"] == person_name("Oguet")


def test_what_an_earlier_item_says_as_declared_is_no_text_in_the_way() -> None:
    """Among lies it conforms, and reads in the set that the item is made to name."""
    values: Values = {
        0x00080005: ("CS", b"ISO_IR 100"),
        0x00100010: ("PN", "Öğüt^Łukasz".encode()),
        0x00104000: ("LT", "Café".encode("latin-1")),
    }
    found = received(values, assumed="ISO_IR 192")
    comments = Assign("00104000", element("LT", "Cafe"))
    data = out(found, coercion(comments), coercion(name("Şahin"), after=9))
    first, second = reread(data, EXPLICIT).OriginalAttributesSequence
    assert first.SpecificCharacterSet == "ISO_IR 100"
    assert first.ModifiedAttributesSequence[0].PatientComments == "Café"
    assert second.ModifiedAttributesSequence[0].SpecificCharacterSet == "ISO_IR 100"


def test_a_sequence_that_loses_a_signature_by_its_text_is_listed() -> None:
    """So that it can be taken back; one that only reads the same is not."""
    signature = item({0x04000005: ("US", b"\1\0"), 0x04000120: ("OB", b"signed")})
    parameters = {0x04000005: ("US", b"\1\0"), 0x04000020: ("AT", b"\x32\0\x60\x10")}
    text: Values = {0x00321060: ("LO", "Schädel".encode("latin-1"))}
    signed = text | {
        0x4FFE0001: ("SQ", item(parameters)),
        0xFFFAFFFA: ("SQ", signature),
    }
    values: Values = {
        0x00080005: ("CS", b"ISO_IR 100"),
        0x00081032: ("SQ", item(text)),
        0x00400275: ("SQ", item(signed)),
    }
    found = received(values)
    planned = plan(found, (name("Łukasz"),))
    changed = [change.tag for change in planned.changes]
    assert changed == ["00080005", "00100010", "00400275"]
    data = out(found, coercion(name("Łukasz")))
    assert take_back(data, EXPLICIT, planned.absent) == out(found)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(CASES),
    st.sampled_from(SYNTAXES),
    st.sampled_from(["Plain", "Ünal", "Şahin"]),
    st.booleans(),
)
def test_what_a_lie_says_reads_the_same_ever_after(
    case: tuple[str, str, str], syntax: str, new: str, identified: bool
) -> None:
    """Before, after, planned twice and taken back."""
    found = lying(*case, syntax)
    assigns = (name(new), *((patient_id("E1"),) if identified else ()))
    planned = plan(found, assigns)
    data = out(found, coercion(*assigns))
    after = read(data, syntax, case[1])
    assert same(after.element("00100010"), person_name(new))
    assert plan(after, assigns).changes == ()
    assert take_back(data, syntax, planned.absent, case[1]) == out(found)
    if not new.isascii():
        for tag in ("00080080", "00400275"):
            assert same(found.element(tag), after.element(tag))
