"""What is read of a data set, and what is refused."""

from __future__ import annotations

import pytest

from reconcile.core.attributes import element, person_name
from reconcile.core.facts import RequestItem
from reconcile.core.identity import Demographics, Issuer, PersonName
from reconcile.dataset.facts import ASSIGNABLE, read
from reconcile.errors import CannotUnderstand, InvalidUID, LimitExceeded, MissingUID
from tests.unit.dataset.made import (
    CT,
    EXPLICIT,
    MINIMAL,
    SYNTAXES,
    Values,
    data_set,
    item,
    received,
)

HANGING_PROTOCOL = b"1.2.840.10008.5.1.4.38.1"


def entity(syntax: str, namespace: bytes, universal: bytes = b"") -> bytes:
    return item(
        {
            0x00400031: ("UT", namespace),
            0x00400032: ("UT", universal),
            0x00400033: ("CS", b"ISO" if universal else b""),
        },
        syntax,
    )


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_everything_a_decision_needs_is_read(syntax: str) -> None:
    """In every encoding."""
    request = item(
        {
            0x00080050: ("SH", b"A2"),
            0x00080051: ("SQ", entity(syntax, b"RIS")),
            0x0020000D: ("UI", b"1.2.9"),
            0x00400009: ("SH", b"SPS1"),
            0x00401001: ("SH", b"RP1"),
        },
        syntax,
    )
    other = item(
        {0x00100020: ("LO", b"7"), 0x00100021: ("LO", b"B"), 0x00100022: ("CS", b"TEXT")},
        syntax,
    )
    facts = received(
        {
            0x00080020: ("DA", b"20261122"),
            0x00080050: ("SH", b"A1"),
            0x00080051: ("SQ", entity(syntax, b"RIS", b"1.2.7")),
            0x00080060: ("CS", b"CT"),
            0x00100010: ("PN", b"Doe^Jane"),
            0x00100020: ("LO", b" 100 "),
            0x00100021: ("LO", b"A"),
            0x00100024: ("SQ", entity(syntax, b"", b"1.2.3.1")),
            0x00100030: ("DA", b"19800102"),
            0x00100040: ("CS", b"F"),
            0x00101002: ("SQ", other),
            0x00120062: ("CS", b"YES"),
            0x00400275: ("SQ", request),
        },
        syntax,
    ).facts()
    assert (facts.sop_class_uid, facts.sop_instance_uid) == (CT, "1.2.3")
    assert (facts.study_instance_uid, facts.series_instance_uid) == ("1.2.3.1", "1.2.3.2")
    assert facts.patient_id == " 100  "
    assert facts.issuer == Issuer("A", "1.2.3.1", "ISO")
    assert facts.other_ids == (("7", Issuer("B")),)
    assert facts.demographics == Demographics(PersonName("Doe^Jane"), "19800102", "F")
    assert (facts.accession_number, facts.accession_issuer) == (
        "A1",
        Issuer("RIS", "1.2.7", "ISO"),
    )
    assert facts.requests == (RequestItem("A2", Issuer("RIS"), "1.2.9", "RP1", "SPS1"),)
    assert (facts.rp_id, facts.sps_id) == ("RP1", "SPS1")
    assert (facts.study_date, facts.modality) == ("20261122", "CT")
    assert facts.identity_removed
    assert facts.undecodable == frozenset()
    assert set(facts.present) <= set(ASSIGNABLE)
    assert facts.present["00100020"] == element("LO", " 100")
    assert "00081030" not in facts.present


def test_more_than_one_request_names_no_step() -> None:
    """The group case: which of them is meant is not for the reader to say."""
    two = item({0x00401001: ("SH", b"RP1")}) + item({0x00401001: ("SH", b"RP2")})
    facts = received({0x00400275: ("SQ", two)}).facts()
    assert [request.rp_id for request in facts.requests] == ["RP1", "RP2"]
    assert facts.rp_id == facts.sps_id == ""


def test_present_and_empty_is_not_absent() -> None:
    """Only what stands in the data set is in `present`."""
    facts = received({0x00100021: ("LO", b"")}).facts()
    assert facts.present["00100021"] == {"vr": "LO"}
    assert "00100024" not in facts.present


def test_all_three_groups_of_a_name_are_read() -> None:
    """In the declared character set."""
    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B=\x1b$B$d$^$@\x1b(B"
    facts = received(
        {0x00080005: ("CS", b"\\ISO 2022 IR 87"), 0x00100010: ("PN", raw)}
    ).facts()
    assert facts.demographics.name == PersonName("Yamada^Tarou", "山田", "やまだ")


def test_text_that_declares_nothing_is_read_as_its_source_says() -> None:
    """And is undecodable where the source says nothing either."""
    values: Values = {0x00100010: ("PN", b"M\xfcller")}
    assumed = received(values, assumed="ISO_IR 100")
    assert assumed.facts().demographics.name.alphabetic == "Müller"
    assert not assumed.declared_charset
    assert list(assumed.charsets) == ["ISO_IR 100"]
    bare = received(values).facts()
    assert bare.demographics.name == PersonName()
    assert bare.undecodable == {"PatientName"}


def test_what_is_declared_is_not_overruled() -> None:
    """Nothing is guessed where no set is assumed of the source, or it reads no better."""
    values: Values = {0x00080005: ("CS", b"ISO_IR 192"), 0x00100020: ("LO", b"M\xfcller")}
    found = received(values, assumed="")
    assert found.declared_charset
    assert found.facts().undecodable == {"PatientID"}
    found = received(values, assumed="ISO_IR 13")
    assert not found.lies
    assert found.facts().undecodable == {"PatientID"}
    assert found.facts().patient_id == ""


@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D, 0x0020000E])
@pytest.mark.parametrize("value", [None, b"", b"\0"])
def test_an_instance_without_its_uids_cannot_be_filed(
    tag: int, value: bytes | None
) -> None:
    """Absent and empty alike."""
    values = {k: v for k, v in MINIMAL.items() if k != tag}
    if value is not None:
        values[tag] = ("UI", value)
    with pytest.raises(MissingUID):
        read(data_set(values), EXPLICIT).facts()


@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D, 0x0020000E])
@pytest.mark.parametrize(
    "value",
    [b"1.2.x", b"../etc/passwd", b"1.2..3", b"1." * 32 + b"11", b"1.2\\1.3", b"\xb2"],
)
def test_a_uid_is_digits_and_dots(tag: int, value: bytes) -> None:
    """PS3.5 section 9.1; the message does not repeat it."""
    with pytest.raises(InvalidUID) as caught:
        received({tag: ("UI", value)}).facts()
    assert value.decode("latin-1") not in str(caught.value)


def test_uids_are_taken_as_they_came() -> None:
    """Leading zeros are illegal and kept; NUL and space at the end are padding."""
    facts = received(
        {0x0020000D: ("UI", b"1.02.3 "), 0x0020000E: ("UI", b"1.2.4\0")}
    ).facts()
    assert (facts.study_instance_uid, facts.series_instance_uid) == ("1.02.3", "1.2.4")


def test_classes_without_a_patient_have_no_study() -> None:
    """Even where an instance of them names one."""
    values = {tag: MINIMAL[tag] for tag in (0x00080018,)}
    values[0x00080016] = ("UI", HANGING_PROTOCOL)
    assert not read(data_set(values), EXPLICIT).facts().patient_scoped
    assert not received({0x00080016: ("UI", HANGING_PROTOCOL)}).facts().patient_scoped


def test_unknown_classes_belong_to_a_study_if_they_name_one() -> None:
    """And then need a series too."""
    private = {0x00080016: ("UI", b"1.2.3.4"), 0x00080018: ("UI", b"1.2.5")}
    assert not read(data_set(private), EXPLICIT).facts().patient_scoped
    assert received({0x00080016: ("UI", b"1.2.3.4")}).facts().patient_scoped
    with pytest.raises(MissingUID):
        read(data_set({**private, 0x0020000D: ("UI", b"1.2")}), EXPLICIT).facts()


def test_attributes_written_as_un_are_read_by_the_dictionary() -> None:
    """What passed through a system that knew no VRs (PS3.5 section 6.2.2)."""
    other = item({0x00100020: ("LO", b"7")}, "1.2.840.10008.1.2")
    facts = received({0x00100020: ("UN", b"100"), 0x00101002: ("UN", other)}).facts()
    assert facts.patient_id.strip("\0") == "100"
    assert facts.other_ids == (("7", Issuer()),)
    assert facts.present["00100020"] == element("LO", "100")


def test_the_last_of_two_is_read() -> None:
    """As pydicom does."""
    twice = data_set(MINIMAL) + data_set({0x00100010: ("PN", b"Last^One")})
    assert read(twice, EXPLICIT).element("00100010") == person_name("Last^One")


def test_broken_sequences_that_must_be_read_are_refused() -> None:
    """At the door, before anything is decided on them."""
    with pytest.raises(CannotUnderstand):
        received({0x00400275: ("SQ", b"no items")}).facts()
    with pytest.raises(CannotUnderstand):
        received({0x04000561: ("SQ", b"no items")})


def test_a_value_that_must_be_read_is_bounded() -> None:
    """A Patient ID of 5 MB is no Patient ID."""
    with pytest.raises(LimitExceeded):
        received({0x00100020: ("UN", b" " * (5 * 1024 * 1024))}).facts()
