"""Previous values that break a rule: where an item keeps them, and taking them back."""

from __future__ import annotations

import base64

import pytest

from reconcile.core.attributes import Assign, Element, element
from reconcile.dataset.elements import encode_element, encode_item, encoding_of, items
from reconcile.dataset.facts import Received, read
from reconcile.dataset.overlay import original_attributes_item, plan, take_back
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LATIN,
    LITTLE,
    MINIMAL,
    SYNTAXES,
    Values,
    coercion,
    data_set,
    foreign,
    head,
    item,
    name,
    originals,
    out,
    patient_id,
    pixels,
    received,
    reread,
    undefined,
)

BIRTH = Assign("00100030", element("DA", "19420815"))
UID = Assign("0020000D", element("UI", "2.25.99"))

# (tag, VR, a value that breaks a rule, what is assigned instead).
BROKEN: dict[str, tuple[int, str, bytes, Assign]] = {
    "form": (0x00100030, "DA", b"Aug 15, 1942", BIRTH),
    "ACR-NEMA": (0x00100030, "DA", b"1942.08.15", BIRTH),
    "too long": (0x00100020, "LO", b"1" * 80, patient_id("E1")),
    "leading zero": (0x0020000D, "UI", b"1.2.0840.1\0\0", UID),
    "undeclared": (0x00100010, "PN", "Müllers ".encode("latin-1"), name("Mueller")),
    "values": (0x00100020, "LO", b"1\\22", patient_id("E1")),
}


def said(data: bytes, syntax: str) -> tuple[dict[str, Element], list[dict[str, Element]]]:
    """The previous values of the newest item, and those that do not conform."""
    newest = originals(data, syntax)[-1]
    [modified] = newest["04000550"]["Value"]
    return modified, list(newest.get("04000551", {}).get("Value", []))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_value_that_breaks_a_rule_stands_as_raw_bytes(
    syntax: str, case: tuple[int, str, bytes, Assign]
) -> None:
    """PS3.3 C.12.1.1.9: listed without value, kept in (0400,0551), and taken back."""
    tag, vr, value, assign = case
    found = received({tag: (vr, value)}, syntax, tail=pixels(syntax))
    data = out(found, coercion(assign))
    modified, faults = said(data, syntax)
    assert modified[f"{tag:08X}"] == {"vr": vr}
    raw = base64.b64encode(value).decode()
    assert {
        "00720026": element("AT", f"{tag:08X}"),
        "00720028": element("US", 1),
        "04000552": {"vr": "OB", "InlineBinary": raw},
    } in faults
    planned = plan(found, (assign,))
    assert original_attributes_item(planned, coercion(assign)) == originals(data, syntax)[0]
    assert take_back(data, syntax, planned.absent) == out(found)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_another_reader_finds_the_raw_bytes(syntax: str) -> None:
    """By pydicom, with the VRs of PS3.6."""
    found = received({0x00100030: ("DA", b"Aug 15, 1942")}, syntax)
    theirs = reread(out(found, coercion(BIRTH)), syntax)
    [only] = theirs.OriginalAttributesSequence
    [fault] = only.NonconformingModifiedAttributesSequence
    assert fault.SelectorAttribute == 0x00100030
    assert fault.SelectorValueNumber == 1
    assert fault.NonconformingDataElementValue == b"Aug 15, 1942"
    [before] = only.ModifiedAttributesSequence
    assert before.PatientBirthDate == ""


def test_what_conforms_is_listed_with_its_value_and_nothing_besides() -> None:
    """(0400,0551) is Type 3: absent where there is nothing for it."""
    found = received(LATIN)
    modified, faults = said(out(found, coercion(name("Meier"), patient_id("E1"))), EXPLICIT)
    assert faults == []
    assert modified["00100020"] == element("LO", "100")
    assert "04000551" not in originals(out(found, coercion(name("Meier"))))[0]


def spliced(tag: int, whole: bytes, syntax: str = EXPLICIT) -> Received:
    """A minimal data set around one element that is written as it is."""
    before = data_set({k: v for k, v in MINIMAL.items() if k < tag}, syntax)
    after = data_set({k: v for k, v in MINIMAL.items() if k > tag}, syntax)
    return read(before + whole + after, syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("value", [b"1" * 65, b"1" * 65 + b"\0", b"1" * 65 + b" ", b"12\\"])
def test_length_and_padding_come_back_as_they_were(syntax: str, value: bytes) -> None:
    """A byte that was added to make OB even is taken away again, one that came is not."""
    whole = head(0x00100020, "LO", len(value), encoding_of(syntax)) + value
    found = spliced(0x00100020, whole, syntax)
    data = out(found, coercion(patient_id("E1")))
    planned = plan(found, (patient_id("E1"),))
    assert take_back(data, syntax, planned.absent) == out(found)
    _, faults = said(data, syntax)
    assert len(faults) == 1
    theirs = reread(data, syntax).OriginalAttributesSequence[0]
    [fault] = theirs.NonconformingModifiedAttributesSequence
    assert fault.NonconformingDataElementValue.rstrip(b"\0") == value.rstrip(b"\0")
    assert len(fault.NonconformingDataElementValue) % 2 == 0


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_what_is_of_odd_length_is_not_copied_into_an_item(syntax: str) -> None:
    """Items are of even length (PS3.5 section 7.5): it would break what follows."""
    odd = head(0x00100020, "LO", 3, encoding_of(syntax)) + b"100"
    found = spliced(0x00100020, odd, syntax)
    sequence = spliced(0x00101002, undefined(0x00101002, odd, syntax), syntax)
    other = Assign("00101002", element("SQ", {"00100020": element("LO", "8")}))
    for came, assign in ((found, patient_id("E1")), (sequence, other)):
        data = out(came, coercion(assign))
        modified, faults = said(data, syntax)
        assert len(faults) == 1
        assert "Value" not in modified[assign.tag]
        absent = plan(came, (assign,)).absent
        assert take_back(data, syntax, absent) == out(came)


@pytest.mark.parametrize("vr", ["SH", "UT", "OB", "UN"])
def test_a_foreign_vr_comes_back_with_its_header(vr: str) -> None:
    """The header of the attribute is the one that it came with; UN is no fault."""
    found = received({0x00100020: (vr, b"100 ")})
    data = out(found, coercion(patient_id("E1")))
    _, faults = said(data, EXPLICIT)
    assert len(faults) == (vr != "UN")
    assert take_back(data, EXPLICIT, plan(found, (patient_id("E1"),)).absent) == out(found)


def test_a_sequence_where_none_belongs_comes_back_whole() -> None:
    """Even one of undefined length."""
    whole = undefined(0x00100020, data_set({0x00100010: ("PN", b"Doe")}))
    found = spliced(0x00100020, whole)
    data = out(found, coercion(patient_id("E1")))
    _, faults = said(data, EXPLICIT)
    assert len(faults) == 1
    assert take_back(data, EXPLICIT, plan(found, (patient_id("E1"),)).absent) == out(found)


def test_numbers_in_big_endian_stand_as_they_came() -> None:
    """OB is no number: its bytes are not turned."""
    found = received({0x00280010: ("US", b"\1\2\3\4")}, BIG_ENDIAN)
    rows = Assign("00280010", element("US", 7))
    data = out(found, coercion(rows))
    _, [fault] = said(data, BIG_ENDIAN)
    raw = base64.b64encode(b"\1\2\3\4").decode()
    assert fault["04000552"] == {"vr": "OB", "InlineBinary": raw}
    assert take_back(data, BIG_ENDIAN, plan(found, (rows,)).absent) == out(found)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_sequences_are_copied_whole_and_their_faults_named(syntax: str) -> None:
    """A nested value stays in the copy; (0400,0551) says where it is."""
    request = {
        0x00321060: ("LO", "Schädel".encode("latin-1")),
        0x00400009: ("SH", b"S1"),
    }
    values: Values = {0x00400275: ("SQ", item({}, syntax) + item(request, syntax))}
    other = Assign("00400275", element("SQ", {"00400009": element("SH", "S2")}))
    found = received(values, syntax, tail=pixels(syntax))
    data = out(found, coercion(other))
    raw = found.raw_element(0x00400275)
    assert raw is not None
    assert bytes(raw.whole) in data
    _, [fault] = said(data, syntax)
    assert fault["00720026"] == element("AT", "00321060")
    assert fault["00720052"] == element("AT", "00400275")
    assert fault["00741057"] == element("IS", "2")
    planned = plan(found, (other,))
    assert original_attributes_item(planned, coercion(other)) == originals(data, syntax)[0]
    assert take_back(data, syntax, planned.absent) == out(found)


def test_a_private_value_stands_with_its_creator() -> None:
    """In both sequences (PS3.5 section 7.8)."""
    found = received({0x00290010: ("LO", b"ACME"), 0x00291055: ("DA", b"never ")})
    assign = Assign("00291055", element("DA", "20260101"))
    data = out(found, coercion(assign))
    modified, [fault] = said(data, EXPLICIT)
    assert modified["00290010"] == element("LO", "ACME")
    assert fault["00720056"] == element("LO", "ACME")
    assert take_back(data, EXPLICIT, plan(found, (assign,)).absent) == out(found)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
def test_in_a_foreign_sequence_of_vr_un_nothing_is_lost(syntax: str) -> None:
    """Its items are implicit and little endian; what is taken back is not."""
    theirs = encode_item(foreign(b"Old^Name", IMPLICIT), LITTLE)
    inner = item({0x00280010: ("US", b"\0\2"), 0x00100020: ("LO", b"7")}, syntax)
    values: Values = {
        0x00100030: ("DA", b"Aug 15, 194"),
        0x00101002: ("SQ", inner),
        0x00280010: ("US", b"\0\2"),
        0x00280030: ("DS", b"1"),
        0x04000561: ("UN", theirs),
    }
    changed = (
        BIRTH,
        Assign("00101002", element("SQ", {"00100020": element("LO", "8")})),
        Assign("00280010", element("US", 5)),
        Assign("00280030", element("DS", "1", "1")),
    )
    found = received(values, syntax, tail=pixels(syntax))
    data = out(found, coercion(*changed))
    modified, faults = said(data, syntax)
    assert modified["00280010"] == found.element("00280010")
    assert modified["00101002"] == found.element("00101002")
    assert [f["00720026"] for f in faults] == [
        element("AT", "00100030"),
        element("AT", "00280030"),
    ]
    assert take_back(data, syntax, plan(found, changed).absent) == out(found)


def test_foreign_items_with_such_values_are_kept_byte_for_byte() -> None:
    """Whatever they hold in (0400,0551)."""
    fault = item({0x00720026: ("AT", b"\x10\0\x30\0"), 0x04000552: ("OB", b"never")})
    foreign_item = encode_item(
        foreign(b"Old^Name") + data_set({0x04000551: ("SQ", fault)}), LITTLE
    )
    found = received({0x04000561: ("SQ", foreign_item)})
    data = out(found, coercion(patient_id("E1")), coercion(name("Roe"), after=1))
    raw = read(data, EXPLICIT).raw_element(0x04000561)
    assert raw is not None
    kept, *ours = items(raw.value, LITTLE)
    assert bytes(kept.whole) == foreign_item
    assert len(ours) == 2


def test_one_item_stands_for_each_happening_and_reason() -> None:
    """Two coercions of one instance are two items, each with its own faults."""
    found = received({0x00100030: ("DA", b"Aug 15, 1942"), 0x00100020: ("LO", b"1" * 70)})
    data = out(found, coercion(BIRTH), coercion(patient_id("E1"), after=60))
    faults = [one["04000551"]["Value"] for one in originals(data)]
    assert [[f["00720026"]["Value"] for f in each] for each in faults] == [
        [["00100030"]],
        [["00100020"]],
    ]


def test_text_that_declares_nothing_is_kept_as_it_came() -> None:
    """Read in the set of its source, and beyond the one that is declared."""
    value = "Müller".encode("latin-1")
    found = received({0x00100010: ("PN", value)}, assumed="ISO_IR 100")
    assert found.facts().demographics.name.alphabetic == "Müller"
    data = out(found, coercion(name("Łukasz")))
    modified, [fault] = said(data, EXPLICIT)
    assert modified["00080005"] == {"vr": "CS"}
    assert modified["00100010"] == {"vr": "PN"}
    raw = base64.b64encode(value).decode()
    assert fault["04000552"] == {"vr": "OB", "InlineBinary": raw}
    absent = plan(found, (name("Łukasz"),)).absent
    assert take_back(data, EXPLICIT, absent, "ISO_IR 100") == out(found)


def test_what_is_too_long_for_a_row_is_named_there_and_kept_in_the_data_set() -> None:
    """The audit row has digest and length; the item has the bytes."""
    value = b"x" * 70_000
    whole = bytes(encode_element(0x00081190, "UT", value, LITTLE).whole)
    found = spliced(0x00081190, whole)
    assign = Assign("00081190", element("UR", "https://a.example"))
    planned = plan(found, (assign,))
    row = original_attributes_item(planned, coercion(assign))
    assert "BulkDataURI" in row["04000551"]["Value"][0]["04000552"]
    data = out(found, coercion(assign))
    assert value in data
    assert take_back(data, EXPLICIT, planned.absent) == out(found)


def test_a_nested_fault_is_not_taken_for_the_attribute_of_the_same_tag() -> None:
    """What has a pointer stands in the copy of its sequence."""
    other_ids = item({0x00100020: ("LO", b"7" * 66)})
    found = received({0x00101002: ("SQ", other_ids)})
    assigns = (patient_id("E1"), Assign("00101002", None))
    data = out(found, coercion(*assigns))
    modified, [fault] = said(data, EXPLICIT)
    assert modified["00100020"] == element("LO", "100")
    assert fault["00720052"] == element("AT", "00101002")
    assert take_back(data, EXPLICIT, plan(found, assigns).absent) == out(found)
