"""A. Identity and issuer, B. Identifier normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.scenarios.acting import found, studies
from tests.scenarios.seen import (
    COERCED,
    assert_coerced,
    assert_held,
    assert_provisional,
    assigned_id,
    held_messages,
    message,
    person,
    store,
)
from tests.support.database import Cluster
from tests.support.instances import instance
from tests.support.messages import adt, orm
from tests.support.running import HOSPITAL, Archive, code


def item(**attributes: object) -> Sequence:
    """A sequence of one item."""
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return Sequence([found])


# -- A. Identity and issuer --------------------------------------------------------------


def test_row_01_an_id_of_the_sources_domain_becomes_the_archives_own(archive: Archive):
    """1: identifier with its issuer, corroborated: the archive's own ID."""
    image = instance(PatientID="100", IssuerOfPatientID="A")
    seen = store(archive, image)
    assert_coerced(seen, "E1")
    assert seen.rung == seen.events[0]["rung"] == "I+G:CONFIRM"
    assert seen.events[0]["rule"] == "identity@2"
    kept = archive.received(image.SOPInstanceUID)
    assert (kept.PatientID, "OriginalAttributesSequence" in kept) == ("100", False)


def test_row_02_another_sites_bare_id_is_not_this_sites_patient(archive: Archive):
    """2: the ID is another person's in its own domain: held, the right one suggested."""
    seen = store(archive, instance(PatientID="100"), "MR_B")
    assert_held(seen, "DEMOGRAPHIC-CONFLICT")
    first, *others = seen.candidates("DEMOGRAPHIC-CONFLICT")
    assert "100^^^A" in first["identifiers"]
    assert "same identifier in another domain" in first["reasons"]
    assert any("100^^^B" in each["identifiers"] for each in others)


def test_row_03_an_id_without_an_issuer_is_nobodys(archive: Archive):
    """3: no issuer and no default: held, everybody of that ID is shown."""
    seen = store(archive, instance(PatientID="100"), "IMPORT_CD")
    assert_held(seen, "ISSUER-MISSING")
    shown = [set(each["identifiers"]) for each in seen.candidates("ISSUER-MISSING")]
    assert "100^^^A" in shown[0]
    assert any("100^^^B" in each for each in shown)


def test_row_04_one_local_id_in_two_sites_is_two_persons(archive: Archive):
    """4: with issuers there is nothing to ask."""
    jane = store(archive, instance(PatientID="100", IssuerOfPatientID="A"))
    anna = instance(
        PatientID="100",
        IssuerOfPatientID="B",
        PatientName="MEIER^ANNA",
        PatientBirthDate="19900304",
    )
    other = store(archive, anna, "MR_B")
    assert_coerced(jane, "E1")
    assert_coerced(other, "E3")
    assert jane.reviews == other.reviews == set()
    assert person(archive, "100^^^A")["id"] != person(archive, "100^^^B")["id"]
    for title, own, others in (("CT_A", jane, other), ("MR_B", other, jane)):
        answers = found(archive, title, PatientID="100")
        assert {(e.PatientID, str(e.PatientName)) for e in answers} == {
            ("100", str(own.given.PatientName))
        }
        assert str(own.sent.StudyInstanceUID) in studies(answers)
        assert str(others.sent.StudyInstanceUID) not in studies(answers)
    everybody = {each.PatientID for each in found(archive, PatientID="100")}
    assert {"E1", "E3"} <= everybody


def test_row_05_an_oid_and_a_namespace_are_one_domain(archive: Archive):
    """5: the universal ID in the header, the local name in the message."""
    answer = archive.send(adt("A28", "105^^^HISA", "OID^OLGA", "19700101", "F"))
    assert code(answer) == "AA"
    qualifiers = item(UniversalEntityID="1.2.3.1", UniversalEntityIDType="ISO")
    image = instance(
        PatientID="105",
        IssuerOfPatientIDQualifiersSequence=qualifiers,
        PatientName="OID^OLGA",
        PatientBirthDate="19700101",
    )
    seen = store(archive, image, "IMPORT_CD")
    assert_coerced(seen, assigned_id(archive, "105^^^A"))


def test_row_06_an_unknown_issuer_is_a_domain_of_its_own(archive: Archive):
    """6: images are kept under it; a message waits until somebody configures it."""
    image = instance(PatientID="5", IssuerOfPatientID="CLINIC9")
    seen = store(archive, image, "IMPORT_CD")
    assert_provisional(seen, "5", "CLINIC9", coerced=False)
    assert "UNKNOWN-DOMAIN" in seen.reviews
    text = adt("A28", "6^^^CLINIC9", "DOE^JOHN", "19800102", control_id="row-6")
    assert code(archive.send(text)) == "AA"
    told = message(archive, "row-6")
    assert (told["state"], told["acknowledgement"]) == ("held", "AA")
    assert told["id"] in [i["message_id"] for i in held_messages(archive, "UNKNOWN-DOMAIN")]


def test_row_06_a_message_is_replayed_after_its_domain_is_added(
    cluster: Cluster, tmp_path: Path
):
    """6: the archive is started anew with it; the item closes."""
    with cluster.database() as urls, Archive(tmp_path, urls) as own:
        text = adt("A28", "6^^^CLINIC9", "DOE^JOHN", "19800102", control_id="row-6")
        assert code(own.send(text)) == "AA"
        told = message(own, "row-6")
        replay = f"/api/v1/messages/{told['id']}/replay"
        assert own.http.post(replay).json()["state"] == "held"
        own.stop()
        authority = '["A", "E", "T", "CLINIC9"]'
        own.config = HOSPITAL.replace('["A", "E", "T"]', authority)
        own.config += '\n[[domain]]\nname = "CLINIC9"\n'
        own.start()
        assert own.http.post(replay).json()["state"] == "applied"
        assert message(own, "row-6")["state"] == "applied"
        assert held_messages(own, "UNKNOWN-DOMAIN") == []
        assert person(own, "6^^^CLINIC9")["state"] == "verified"
        assert code(own.send(text)) == "AA"


def test_row_07_an_order_names_a_patient_without_an_id(archive: Archive):
    """7: the accession with its issuer, corroborated."""
    order = orm("100^^^A", "DOE^JANE", "19800102", "F", accession="ACC7")
    assert code(archive.send(order)) == "AA"
    seen = store(archive, instance(PatientID="", AccessionNumber="ACC7"))
    assert_coerced(seen, "E1")
    assert seen.rung == "O+G:CONFIRM"


def test_row_08_no_evidence_is_no_patient(archive: Archive):
    """8: neither ID nor accession: held, whatever name and birth date say."""
    assert_held(store(archive, instance(PatientID="")), "NO-IDENTITY")


def test_row_09_another_patient_id_finds_the_person_and_links_nothing(archive: Archive):
    """9: the header's own ID is proposed only; a feed or a person links it."""
    other = item(PatientID="100", IssuerOfPatientID="A", TypeOfPatientID="TEXT")
    seen = store(archive, instance(PatientID="777", OtherPatientIDsSequence=other), "MR_B")
    assert_coerced(seen, "E1")
    assert seen.rung == "X+G:CONFIRM"
    assert seen.reviews == {"NEW-XREF"}
    assert archive.items("/api/v1/patients", identifier="777^^^B") == []


def test_row_10_ids_of_two_persons_are_a_question(archive: Archive):
    """10: an update never merges; both persons stay as they were."""
    before = person(archive, "100^^^A"), person(archive, "555^^^B")
    text = adt("A08", "100^^^A~555^^^B", "DOE^JANE", "19800102", "F", control_id="row-10")
    assert code(archive.send(text)) == "AA"
    told = message(archive, "row-10")
    assert told["state"] == "held"
    [exception] = [
        each
        for each in held_messages(archive, "IDENTITY-CONFLICT")
        if each["message_id"] == told["id"]
    ]
    concerned = {each["patient"] for each in exception["candidates"]}
    assert concerned == {each["id"] for each in before}
    assert before == (person(archive, "100^^^A"), person(archive, "555^^^B"))
    replayed = archive.http.post(f"/api/v1/messages/{told['id']}/replay").json()
    assert (replayed["state"], replayed["released"]) == ("held", 0)
    assert before == (person(archive, "100^^^A"), person(archive, "555^^^B"))


def test_row_10_a_message_is_replayed_when_two_persons_are_one(archive: Archive):
    """10: what mends it is a merge; then the message is acted on."""
    for identifier, sender in (("110^^^A", "RIS_A"), ("510^^^B", "RIS_B")):
        archive.send(adt("A28", identifier, "TWO^TESS", "19800102", "F", sender=sender))
    both = adt("A08", "110^^^A~510^^^B", "TWO^TESS", "19800102", "F", control_id="row-10b")
    assert code(archive.send(both)) == "AA"
    told = message(archive, "row-10b")
    merge = adt("A40", "110^^^A", "TWO^TESS", "19800102", "F", sender="EMPI")
    assert code(archive.send(merge + "MRG|510^^^B\r")) == "AA"
    replayed = archive.http.post(f"/api/v1/messages/{told['id']}/replay").json()
    assert replayed["message"]["state"] in ("applied", "already-same")
    open_ones = [i["message_id"] for i in held_messages(archive, "IDENTITY-CONFLICT")]
    assert told["id"] not in open_ones


# -- B. Identifier normalisation ---------------------------------------------------------


@pytest.mark.parametrize("raw", ["100 ", " 100", "100\0"])
def test_row_11_padding_is_no_part_of_an_id(archive: Archive, raw: str):
    """11: the ID is the same, and the bytes stay as they came."""
    image = instance(PatientID=raw)
    seen = store(archive, image)
    assert_coerced(seen, "E1")
    kept = archive.received(image.SOPInstanceUID).get_item("PatientID")
    assert kept.value == raw.encode().ljust(4)


def test_row_12_leading_zeros_are_part_of_an_id(archive: Archive):
    """12: unless its domain says otherwise: a person of its own, and a hint."""
    seen = store(archive, instance(PatientID="000100"))
    assert_provisional(seen, "000100", "A", coerced=True)
    [first, *_] = seen.candidates("NEAR-MISS", "review")
    assert "100^^^A" in first["identifiers"]
    assert "identifier differs only by leading zeros" in first["reasons"]


def test_row_13_case_matters_unless_the_domain_folds_it(archive: Archive):
    """13: Z folds and has one person, A does not and has two, with a hint."""
    lower, upper = (
        instance(PatientID=value, IssuerOfPatientID="Z") for value in ("ab12", "AB12")
    )
    store(archive, lower, "IMPORT_CD")
    folded = store(archive, upper, "IMPORT_CD")
    assert (folded.outcome, folded.reviews) == ("provisional", set())
    assert person(archive, "ab12^^^Z")["id"] == person(archive, "AB12^^^Z")["id"]
    store(archive, instance(PatientID="ab12"))
    other = store(archive, instance(PatientID="AB12"))
    assert person(archive, "ab12^^^A")["id"] != person(archive, "AB12^^^A")["id"]
    reasons = [
        reason
        for each in other.candidates("NEAR-MISS", "review")
        for reason in each["reasons"]
    ]
    assert "identifier differs only in case" in reasons


@pytest.mark.parametrize("raw", ["100^^^A", "100^^^HISA&1.2.3.1&ISO"])
def test_row_14_hl7_components_are_read_only_where_the_source_writes_them(
    archive: Archive, raw: str
):
    """14: with `cx_in_patient_id` an ID and its issuer; else a literal, with a hint."""
    read = store(archive, instance(PatientID=raw), "CT_CX")
    assert_coerced(read, "E1")
    [other] = read.given.OtherPatientIDsSequence
    assert (other.PatientID, other.IssuerOfPatientID) == ("100", "A")
    seen = store(archive, instance(PatientID=raw))
    assert_provisional(seen, raw, "A", coerced=True)
    [first, *_] = seen.candidates("NEAR-MISS", "review")
    assert "100^^^A" in first["identifiers"]
    assert "identifier has HL7 components behind it" in first["reasons"]


def test_row_14_a_second_value_is_part_of_the_literal(archive: Archive):
    """14: a backslash is none of ours to read: a person of its own, with a hint."""
    seen = store(archive, instance(PatientID="100\\200"))
    assert seen.outcome == "provisional"
    assert seen.given.PatientID == ["100", "200"]
    [first, *_] = seen.candidates("NEAR-MISS", "review")
    assert "100^^^A" in first["identifiers"]
    assert "identifier has a second value behind it" in first["reasons"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("raw", ["1" * 65, "10\t0", "100\r"])
def test_row_15_an_id_that_is_none_is_never_cut_to_fit(archive: Archive, raw: str):
    """15: too long or with control characters: kept as it came, and held."""
    image = instance(PatientID=raw)
    assert_held(store(archive, image), "INVALID-ID")
    assert archive.received(image.SOPInstanceUID).PatientID == image.PatientID


def test_row_16_an_id_that_suddenly_is_somebody_else_is_not_believed(archive: Archive):
    """16: where the domain does not reuse IDs; from a placeholder on it is no conflict."""
    archive.send(adt("A28", "116^^^A", "FIRST^FIONA", "19610203", "F"))
    before = person(archive, "116^^^A")
    other = adt("A28", "116^^^A", "OTHER^OTTO", "19991231", "M", control_id="row-16")
    assert code(archive.send(other)) == "AA"
    told = message(archive, "row-16")
    assert told["state"] == "held"
    waiting = [each["message_id"] for each in held_messages(archive, "SUSPECTED-OVERLAY")]
    assert told["id"] in waiting
    assert person(archive, "116^^^A") == before
    archive.send(adt("A28", "117^^^A", "UNKNOWN^MALE", "19000101", "M"))
    real = adt("A28", "117^^^A", "REAL^RALPH", "19770707", "M", control_id="row-16-real")
    archive.send(real)
    assert message(archive, "row-16-real")["state"] == "applied"
    known = person(archive, "117^^^A")["demographics"]
    assert known["00100010"]["Value"] == [{"Alphabetic": "REAL^RALPH"}]


@pytest.mark.parametrize("magic", ["0", "999", "UNKNOWN", "TEST", "W/I"])
def test_row_17_an_id_that_everybody_has_is_nobodys(archive: Archive, magic: str):
    """17: denied in its domain, it counts as no ID at all."""
    seen = store(archive, instance(PatientID=magic))
    assert_held(seen, "NO-IDENTITY")
    assert seen.code == COERCED
    assert archive.items("/api/v1/patients", identifier=f"{magic}^^^A") == []
