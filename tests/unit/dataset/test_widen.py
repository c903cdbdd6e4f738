"""An instance whose text must be said in a wider character set, or must not be."""

from __future__ import annotations

import pytest

from reconcile.core.attributes import element, person_name
from reconcile.dataset.elements import encode_item
from reconcile.dataset.facts import read
from reconcile.dataset.overlay import Refusal, given, plan, take_back
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LATIN,
    LITTLE,
    MINIMAL,
    Values,
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


def test_a_value_that_fits_does_not_widen() -> None:
    """Latin-1 says Żółć not, but Café it does."""
    planned = plan(received(LATIN), (name("Café"),))
    assert not planned.widened
    assert [change.tag for change in planned.changes] == ["00100010"]
    data = out(received(LATIN), coercion(name("Café")))
    assert "Café".encode("latin-1") in data


def test_a_value_that_does_not_fit_widens() -> None:
    """All text of the header is said in UTF-8; previous values keep their old set."""
    request = item({0x00321060: ("LO", "Schädel".encode("latin-1"))})
    found = received(LATIN | {0x00400275: ("SQ", request)})
    made = coercion(name("Łukasz^Ñ", "王^小東"))
    planned = plan(found, made.assigns)
    assert planned.widened
    assert planned.original["00080005"] == element("CS", "ISO_IR 100")
    theirs = reread(out(found, made), EXPLICIT)
    assert theirs.SpecificCharacterSet == "ISO_IR 192"
    assert theirs.PatientName == "Łukasz^Ñ=王^小東"
    assert theirs.RequestAttributesSequence[0].RequestedProcedureDescription == "Schädel"
    before = theirs.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert before.SpecificCharacterSet == "ISO_IR 100"
    assert before.PatientName == "Müller^Jürgen"
    assert LATIN[0x00100010][1] in out(found, made)


def test_the_old_default_is_said_as_nothing() -> None:
    """Where no set was declared (0008,0005) is of no length in the item."""
    data = out(received(), coercion(name("Müller")))
    before = originals(data)[0]["04000550"]["Value"][0]
    assert before["00080005"] == {"vr": "CS"}
    assert "00080005" in plan(received(), (name("Müller"),)).absent


def test_text_that_declared_nothing_is_transcoded_as_its_source_says() -> None:
    """What a reader sees declared decides what can be said, not what we assume."""
    values: Values = {0x00081030: ("LO", "Schädel".encode("latin-1"))}
    found = received(values, assumed="ISO_IR 100")
    theirs = reread(out(found, coercion(name("Müller"))), EXPLICIT)
    assert (theirs.PatientName, theirs.StudyDescription) == ("Müller", "Schädel")


def test_an_item_with_its_own_set_is_left_alone() -> None:
    """It already says what it is in, and so does all that is nested in it."""
    own = item(
        {0x00080005: ("CS", b"ISO_IR 144"), 0x00321060: ("LO", "Люк".encode("iso8859_5"))}
    )
    found = received(LATIN | {0x00400275: ("SQ", own)})
    data = out(found, coercion(name("Łukasz")))
    assert own in data
    theirs = reread(data, EXPLICIT)
    assert theirs.RequestAttributesSequence[0].RequestedProcedureDescription == "Люк"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_ascii_stays_as_it_came(syntax: str) -> None:
    """Widening rewrites only what reads otherwise, undefined lengths included."""
    sequence = undefined(
        0x00081115, data_set({0x00081030: ("LO", b"plain")}, syntax), syntax
    )
    found = read(sequence + data_set(MINIMAL, syntax), syntax)
    data = out(found, coercion(name("Łukasz")))
    assert sequence in data
    assert take_back(data, syntax, plan(found, (name("Łukasz"),)).absent) == out(found)


IN_THE_WAY: dict[str, Values] = {
    "private UN": {0x00290010: ("LO", b"ACME"), 0x00291055: ("UN", b"Sch\xe4del")},
    "undecodable": {0x00081030: ("LO", b"Caf\x92")},
    "broken sequence": {0x00081115: ("SQ", b"nothing")},
    "foreign original": {0x04000561: ("SQ", encode_item(foreign(b"M\xfcller"), LITTLE))},
    "deep": {0x00081115: ("SQ", item({0x00291055: ("UN", b"\xe4\xe4")}))},
}


@pytest.mark.parametrize("values", IN_THE_WAY.values(), ids=IN_THE_WAY.keys())
def test_what_stands_in_the_way_keeps_the_value_as_received(values: Values) -> None:
    """SCENARIOS 87: refused and said so; what fits is still assigned."""
    found = received(LATIN | values)
    planned = plan(found, (name("Łukasz"), patient_id("E1")))
    assert dict(planned.refused) == {"00100010": Refusal.CHARSET}
    assert planned.changes == (patient_id("E1"),)
    data = out(found, coercion(name("Łukasz"), patient_id("E1")))
    assert read(data, EXPLICIT).element("00100010") == person_name("Müller^Jürgen")


def test_text_behind_pixel_data_stands_in_the_way() -> None:
    """The tail is never rewritten."""
    behind = data_set({0x7FE10010: ("LO", b"ACME"), 0x7FE11001: ("LO", b"Sch\xe4del")})
    found = received(LATIN, tail=pixels() + behind)
    assert dict(plan(found, (name("Łukasz"),)).refused) == {"00100010": Refusal.CHARSET}
    plain = data_set({0x7FE10010: ("LO", b"ACME")})
    assert plan(received(LATIN, tail=pixels() + plain), (name("Łukasz"),)).widened


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00291055, "UN", b"plain"),
        (0x00291055, "UN", b"\0\1\2\xff" * 8),
        (0x00291055, "OB", b"Sch\xe4del"),
        (0x00291055, "LO", b"Sch\xe4del"),
        (0x00081030, "UN", b"Sch\xe4del"),
        (0x00100010, "PN", b"Caf\x92"),
    ],
)
def test_what_is_no_text_or_can_be_read_does_not(tag: int, vr: str, value: bytes) -> None:
    """Binary, text with a VR, what the dictionary knows, what is replaced anyway."""
    found = received(LATIN | {0x00290010: ("LO", b"ACME"), tag: (vr, value)})
    planned = plan(found, (name("Łukasz"),))
    assert planned.widened
    if value == b"Sch\xe4del" and vr != "OB":
        raw = given(found, [coercion(name("Łukasz"))]).raw(f"{tag:08X}")
        assert raw is not None
        assert raw.rstrip(b"\0 ").decode() == "Schädel"


def test_our_own_earlier_items_keep_reading_right() -> None:
    """A later happening widens: the item before it then names the old set itself."""
    found = received(LATIN)
    data = out(found, coercion(name("Meier^Jürgen")), coercion(name("Łukasz"), after=60))
    theirs = reread(data, EXPLICIT)
    first, second = theirs.OriginalAttributesSequence
    assert first.SpecificCharacterSet == "ISO_IR 100"
    assert first.ModifiedAttributesSequence[0].PatientName == "Müller^Jürgen"
    assert second.ModifiedAttributesSequence[0].PatientName == "Meier^Jürgen"
    assert LATIN[0x00100010][1] in data


def test_what_has_no_vr_is_left_alone_both_ways() -> None:
    """Bytes that are no text in the old set but would be in the new one."""
    found = received({0x00290010: ("LO", b"ACME"), 0x00291055: ("UN", "Ä".encode())})
    planned = plan(found, (name("Łukasz"),))
    assert planned.widened
    data = out(found, coercion(name("Łukasz")))
    assert take_back(data, EXPLICIT, planned.absent) == out(found)


def test_what_is_taken_back_from_a_wider_set_is_as_it_was() -> None:
    """Other text is said in the old set again."""
    request = item({0x00321060: ("LO", "Schädel".encode("latin-1"))})
    found = received(LATIN | {0x00400275: ("SQ", request)}, tail=pixels())
    data = out(found, coercion(name("Łukasz")))
    assert take_back(data, EXPLICIT, plan(found, (name("Łukasz"),)).absent) == out(found)
