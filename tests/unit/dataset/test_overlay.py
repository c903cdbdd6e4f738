"""What an instance is given out as, and what its Original Attributes items say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from reconcile.core.attributes import Assign, element, same
from reconcile.dataset.dicom_json import to_json
from reconcile.dataset.elements import encode_element, encode_item, encoding_of, items, scan
from reconcile.dataset.facts import read
from reconcile.dataset.overlay import (
    Coercion,
    Refusal,
    give_out,
    given,
    given_header,
    original_attributes_item,
    plan,
    take_back,
)
from reconcile.errors import CannotUnderstand
from tests.unit.dataset.made import (
    AT,
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LATIN,
    LITTLE,
    MINIMAL,
    NINE,
    SYNTAXES,
    coercion,
    data_set,
    foreign,
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

# -- Planning -------------------------------------------------------------------------


def test_only_what_differs_is_a_change() -> None:
    """Padding and an equal name make none; taking away what is absent is nothing."""
    found = received({0x00100020: ("LO", b"100 "), 0x00100040: ("CS", b"F")})
    assigns = (
        patient_id("100"),
        name("Doe^Jane^^"),
        Assign("00100040", element("CS", "F")),
        Assign("00101000", None),
    )
    planned = plan(found, assigns)
    assert planned.changes == ()
    assert (dict(planned.original), planned.absent, dict(planned.new)) == ({}, (), {})
    assert out(found, coercion(*assigns)) == out(found)


def test_an_empty_attribute_is_not_an_absent_one() -> None:
    """Setting one to empty adds it; taking an empty one away removes it."""
    empty = Assign("00100021", element("LO"))
    gone = Assign("00100021", None)
    assert plan(received(), (empty,)).changes == (empty,)
    assert plan(received({0x00100021: ("LO", b"")}), (gone,)).changes == (gone,)
    assert "00100021" not in plan(received({0x00100021: ("LO", b"")}), (gone,)).new


def test_the_plan_says_what_was_there_and_what_was_not() -> None:
    """Absent is told from empty (CONTRACT: `absent`), which the item cannot do."""
    planned = plan(received({0x00100021: ("LO", b"")}), (patient_id("E1"),))
    assert planned.changes == (patient_id("E1"),)
    assert dict(planned.new) == {"00100020": element("LO", "E1")}
    assert dict(planned.original) == {
        "00080015": {"vr": "DT"},
        "00100020": element("LO", "100"),
        "00100021": {"vr": "LO"},
        "00100024": {"vr": "SQ"},
    }
    assert planned.absent == ("00080015", "00100024")


def test_the_issuer_stands_beside_a_previous_patient_id() -> None:
    """Changed or not, absent or not (PS3.3 C.12.1.1.9.1)."""
    found = received({0x00100021: ("LO", b"A")})
    assert plan(found, (patient_id("E1"),)).original["00100021"] == element("LO", "A")
    assert "00100021" not in plan(found, (name("Roe^Jane"),)).original


def test_of_two_assignments_of_one_tag_the_last_holds() -> None:
    """As of two elements with one tag."""
    planned = plan(received(), (patient_id("1"), patient_id("2")))
    assert planned.changes == (patient_id("2"),)
    assert plan(received(), (patient_id("1"), patient_id("100"))).changes == ()


@pytest.mark.parametrize(
    ("assign", "why"),
    [
        (Assign("00080050", element("SH", "A" * 17)), Refusal.TOO_LONG),
        (patient_id("1" * 65), Refusal.TOO_LONG),
        (name("x" * 65), Refusal.TOO_LONG),
        (
            Assign("00101002", element("SQ", {"00100020": element("LO", "1" * 65)})),
            Refusal.TOO_LONG,
        ),
        (patient_id("1\\2"), Refusal.VALUE),
        (patient_id("1\x1b$B"), Refusal.VALUE),
        (patient_id("\ud800"), Refusal.VALUE),
        (Assign("0020000D", element("UI", "1.2.x")), Refusal.VALUE),
        (Assign("00100040", element("CS", "é")), Refusal.VALUE),
        (Assign("00080005", element("CS", "ISO_IR 101")), Refusal.TAG),
        (Assign("00080018", element("UI", "1.2")), Refusal.TAG),
        (Assign("04000561", None), Refusal.TAG),
        (Assign("00100000", element("UL", 1)), Refusal.TAG),
        (Assign("7FE00010", {"vr": "OW", "InlineBinary": "AAA="}), Refusal.TAG),
        (Assign("00020010", element("UI", "1.2")), Refusal.TAG),
    ],
)
def test_what_cannot_be_assigned_is_kept_as_received(assign: Assign, why: Refusal) -> None:
    """Nothing is truncated into an identity; the rest of the assignments still hold."""
    found = received(LATIN | {0x04000561: ("SQ", b"")}, tail=pixels())
    planned = plan(found, (assign, Assign("00100021", element("LO", "E"))))
    assert dict(planned.refused) == {assign.tag: why}
    assert [change.tag for change in planned.changes] == ["00100021"]


def test_nothing_and_an_empty_string_are_the_same_value() -> None:
    """[""] is written as no value and must read as assigned when planned again."""
    assigns = (
        Assign("00100021", element("LO", "")),
        Assign("00080050", element("SH", "A ")),
    )
    planned = plan(received(), assigns)
    assert planned.new == {"00100021": element("LO"), "00080050": element("SH", "A")}
    state = given(received(), [coercion(*assigns)])
    assert plan(state, assigns).changes == ()


# -- The item -------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_given_out_is_what_was_assigned(syntax: str) -> None:
    """Read by pydicom: nine attributes, one item, the same tail."""
    tail = pixels(syntax)
    found = received({}, syntax, tail=tail)
    data = out(found, coercion(*NINE))
    theirs = reread(data, syntax)
    assert (theirs.PatientID, theirs.PatientName) == ("E1", "Okafor^Ada^Ngozi")
    assert theirs.StudyInstanceUID == "2.25.99"
    assert theirs.InstanceCoercionDateTime == "20261122201500.123456+0000"
    [only] = theirs.OriginalAttributesSequence
    assert only.AttributeModificationDateTime == "20261122201500.123456+0000"
    assert (only.ModifyingSystem, only.SourceOfPreviousValues) == ("RECONCILE", "CT_A")
    assert only.ReasonForTheAttributeModification == "COERCE"
    [before] = only.ModifiedAttributesSequence
    assert (before.PatientID, before.PatientName) == ("100", "Doe^Jane")
    assert before.AccessionNumber == ""
    assert len(before.IssuerOfPatientIDQualifiersSequence) == 0
    assert data.endswith(tail)
    tags = [span.tag for span in scan(data, encoding_of(syntax)).elements]
    assert tags == sorted(set(tags))


def test_the_row_and_the_data_set_hold_the_same_item() -> None:
    """The audit row's JSON is what the item in the data set reads as."""
    found = received(LATIN)
    for assigns in (NINE, (name("Łukasz"),), (Assign("00100010", None),)):
        made = coercion(*assigns)
        said = original_attributes_item(plan(found, assigns), made)
        [held] = originals(out(found, made))
        assert held == said


def test_the_source_is_named_even_if_nobody_is() -> None:
    """(0400,0564) is Type 2: present, perhaps empty."""
    made = coercion(patient_id("E1"), source="")
    [held] = originals(out(received(), made))
    assert held["04000564"] == {"vr": "LO"}
    assert original_attributes_item(plan(received(), made.assigns), made)["04000564"] == {
        "vr": "LO"
    }


def test_the_offset_is_always_written() -> None:
    """Whatever the zone; a time without one is our bug."""
    zone = timezone(timedelta(hours=-3, minutes=-30))
    made = Coercion((patient_id("E1"),), AT.astimezone(zone), "RECONCILE", "", "CORRECT")
    [held] = originals(out(received(), made))
    assert held["04000562"] == element("DT", "20261122164500.123456-0330")
    assert held["04000565"] == element("CS", "CORRECT")
    with pytest.raises(AssertionError):
        out(received(), Coercion(made.assigns, datetime(2026, 1, 1), "", ""))  # noqa: DTZ001


def test_each_happening_has_an_item_of_its_own() -> None:
    """In their order, each with the values that the one before gave."""
    data = out(received(), coercion(patient_id("E1")), coercion(patient_id("E2"), after=60))
    first, second = originals(data)
    before = [i["04000550"]["Value"][0] for i in (first, second)]
    assert [b["00100020"]["Value"] for b in before] == [["100"], ["E1"]]
    assert before[1]["00080015"] == element("DT", "20261122201500.123456+0000")
    assert read(data, EXPLICIT).element("00080015") == element(
        "DT", "20261122201600.123456+0000"
    )


def test_a_happening_that_changes_nothing_has_none() -> None:
    """Nor does it move Instance Coercion DateTime."""
    once = out(received(), coercion(patient_id("E1")))
    assert once == out(
        received(), coercion(patient_id("E1")), coercion(patient_id("E1"), after=60)
    )


def test_a_change_inside_a_sequence_keeps_the_whole_sequence() -> None:
    """Byte for byte, of undefined length too (PS3.3 C.12.1.1.9.1)."""
    sequence = undefined(0x00101002, data_set({0x00100020: ("LO", b"7")}))
    values = data_set({k: v for k, v in MINIMAL.items() if k < 0x00101002})
    rest = data_set({k: v for k, v in MINIMAL.items() if k > 0x00101002})
    found = read(values + sequence + rest, EXPLICIT)
    other = element("SQ", {"00100020": element("LO", "8")})
    data = out(found, coercion(Assign("00101002", other)))
    assert sequence in data
    assert read(data, EXPLICIT).element("00101002") == other
    assert originals(data)[0]["04000550"]["Value"][0]["00101002"] == found.element(
        "00101002"
    )


def test_a_sequence_that_says_the_same_is_no_change() -> None:
    """However it is written."""
    sequence = undefined(0x00081115, data_set({0x00100020: ("LO", b"7 ")}))
    found = read(data_set(MINIMAL)[:0] + sequence, EXPLICIT)
    said = element("SQ", {"00100020": element("LO", "7")})
    assert same(found.element("00081115"), said)
    assert plan(found, (Assign("00081115", said),)).changes == ()


def test_private_attributes_keep_their_creator() -> None:
    """So that a previous value can be told whose it was (PS3.5 section 7.8)."""
    found = received({0x00290010: ("LO", b"ACME"), 0x00291055: ("LO", b"x")})
    data = out(found, coercion(Assign("00291055", element("LO", "y"))))
    before = originals(data)[0]["04000550"]["Value"][0]
    assert before["00290010"] == element("LO", "ACME")
    assert before["00291055"] == element("LO", "x")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("endless", [True, False])
def test_foreign_items_are_kept_byte_for_byte(syntax: str, endless: bool) -> None:
    """Ours is appended; their sequence keeps its form."""
    content = foreign(b"Old^Name", syntax)
    encoding = encoding_of(syntax)
    if endless:
        whole = undefined(0x04000561, content, syntax)
    else:
        item_bytes = encode_item(content, encoding)
        whole = bytes(encode_element(0x04000561, "SQ", item_bytes, encoding).whole)
    tail = pixels(syntax)
    found = read(data_set(MINIMAL, syntax) + whole + tail, syntax)
    data = out(found, coercion(*NINE))
    raw = read(data, syntax).raw_element(0x04000561)
    theirs = found.raw_element(0x04000561)
    assert raw is not None
    assert theirs is not None
    kept, ours = items(raw.value, encoding)
    assert bytes(kept.whole) == bytes(theirs.value)
    assert raw.undefined is endless
    assert len(reread(data, syntax).OriginalAttributesSequence) == 2
    assert take_back(data, syntax, plan(found, NINE).absent) == out(found)
    assert bytes(ours.content).startswith(
        b"\x00\x04\x50\x05" if encoding.little else b"\4\0"
    )


def test_a_foreign_sequence_of_vr_un_stays_one() -> None:
    """Items in it are implicit, ours too (PS3.5 section 6.2.2)."""
    item_bytes = encode_item(foreign(b"Old^Name", IMPLICIT), LITTLE)
    other = item({0x00100020: ("LO", b"7")})
    found = received({0x04000561: ("UN", item_bytes), 0x00101002: ("SQ", other)})
    changed = Assign("00101002", element("SQ", {"00100020": element("LO", "8")}))
    data = out(found, coercion(*NINE, changed))
    theirs, ours = originals(data)
    assert theirs["04000563"] == element("LO", "ELSEWHERE")
    before = ours["04000550"]["Value"][0]
    assert before["00100020"] == element("LO", "100")
    assert before["00101002"] == element("SQ", {"00100020": element("LO", "7")})
    assert take_back(data, EXPLICIT, plan(found, NINE).absent)


# -- Framing --------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_group_lengths_stay_right(syntax: str) -> None:
    """Of groups that change; (0008,0015) and an accession are added to group 0008."""
    order = "little" if encoding_of(syntax).little else "big"
    group = {tag: value for tag, value in MINIMAL.items() if tag >> 16 == 8}
    length = len(data_set(group, syntax)).to_bytes(4, order)  # type: ignore[arg-type]
    found = received({0x00080000: ("UL", length)}, syntax)
    data = out(found, coercion(*NINE))
    header = scan(data, encoding_of(syntax))
    said = header.raw(0x00080000)
    assert said is not None
    counted = sum(s.end - s.start for s in header.elements if s.tag >> 16 == 8) - len(
        said.whole
    )
    assert int.from_bytes(said.value, order) == counted  # type: ignore[arg-type]
    assert take_back(data, syntax, plan(found, NINE).absent) == out(found)


def test_doubled_elements_become_one() -> None:
    """An old identity must not be left in a double that some reader takes for it."""
    twice = data_set(MINIMAL) + data_set({0x00100020: ("LO", b"old2")})
    data = out(read(twice, EXPLICIT), coercion(patient_id("E1")))
    tags = [span.tag for span in scan(data, LITTLE).elements]
    assert tags.count(0x00100020) == 1
    assert read(data, EXPLICIT).raw("00100020") == b"E1"


def test_elements_out_of_order_stay_out_of_order() -> None:
    """What is added stands before the first greater tag."""
    crooked = data_set({0x00200010: ("SH", b"1")}) + data_set(MINIMAL)
    found = read(crooked, EXPLICIT)
    data = out(found, coercion(*NINE))
    assert reread(data, EXPLICIT).PatientID == "E1"
    assert reread(data, EXPLICIT).AccessionNumber == "A20261122099"
    assert plan(read(data, EXPLICIT), NINE).changes == ()


def test_pieces_are_small_and_the_tail_is_not_copied() -> None:
    """4 GB pass through in pieces of at most 1 MiB, which are views."""
    found = received({}, tail=pixels(size=5_000_000))
    pieces = list(give_out(found, [coercion(*NINE)]))
    assert max(map(len, pieces)) <= 1024 * 1024
    assert sum(isinstance(piece, memoryview) for piece in pieces) >= 5
    assert b"".join(pieces) == given_header(found, [coercion(*NINE)]) + found.tail


def test_what_was_let_go_of_can_be_unmapped() -> None:
    """`close` releases the buffer."""
    buffer = bytearray(data_set(MINIMAL))
    found = read(buffer, EXPLICIT)
    found.facts()
    found.close()
    buffer.clear()


# -- Taking back ----------------------------------------------------------------------


def test_without_an_item_there_is_nothing_to_take_back() -> None:
    """Nor from an item that holds no previous values."""
    with pytest.raises(CannotUnderstand):
        take_back(data_set(MINIMAL), EXPLICIT, ())
    hollow = item({0x04000563: ("LO", b"X")})
    with pytest.raises(CannotUnderstand):
        take_back(data_set({**MINIMAL, 0x04000561: ("SQ", hollow)}), EXPLICIT, ())


def test_only_the_newest_item_is_taken_back() -> None:
    """The one before it stays."""
    found = received()
    first, second = coercion(patient_id("E1")), coercion(*NINE[:5], name("Z"), after=9)
    absent = plan(given(found, [first]), second.assigns).absent
    assert take_back(out(found, first, second), EXPLICIT, absent) == out(found, first)


def test_an_item_without_vr_in_an_explicit_data_set_is_framed_anew() -> None:
    """One element written implicit among explicit ones can still be listed."""
    crooked = bytes(encode_element(0x00100020, "LO", b"100", encoding_of(IMPLICIT)).whole)
    start = data_set({k: v for k, v in MINIMAL.items() if k < 0x00100020})
    rest = data_set({k: v for k, v in MINIMAL.items() if k > 0x00100020})
    data = out(read(start + crooked + rest, EXPLICIT), coercion(patient_id("E1")))
    assert originals(data)[0]["04000550"]["Value"][0]["00100020"] == element("LO", "100")
    raw = read(data, EXPLICIT).raw("04000561")
    assert raw is not None
    assert to_json(raw, "SQ", (), LITTLE)["Value"] == originals(data)
