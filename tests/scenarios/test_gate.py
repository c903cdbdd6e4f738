"""C. The demographic gate on an ID hit, D. newborn, temporary and test patients."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.scenarios.acting import found, reviews, studies
from tests.scenarios.seen import (
    COERCED,
    assert_coerced,
    assert_held,
    assert_provisional,
    assigned_id,
    message,
    person,
    store,
)
from tests.scenarios.test_identity import item
from tests.support.instances import instance, part10
from tests.support.messages import adt, orm
from tests.support.running import Archive, code


def raw(image: Dataset, **written: bytes) -> Dataset:
    """The instance with these bytes as values, whatever character set they are in."""
    file = part10(image)
    for keyword, value in written.items():
        old = str(image.get(keyword)).encode("ascii")
        assert len(old) == len(value)
        assert file.count(old) == 1
        file = file.replace(old, value)
    return pydicom.dcmread(BytesIO(file))


# -- C. The gate -------------------------------------------------------------------------


def test_row_18_exchanged_name_components_are_the_same_name(archive: Archive):
    """18: JANE^DOE confirms DOE^JANE."""
    seen = store(archive, instance(PatientName="JANE^DOE"))
    assert_coerced(seen, "E1")
    assert seen.rung == "I+G:CONFIRM"
    assert (seen.given.PatientName, seen.reviews) == ("DOE^JANE", set())


def test_row_19_day_and_month_exchanged_is_a_slip(archive: Archive):
    """19: confirmed, and flagged."""
    seen = store(archive, instance(PatientBirthDate="19800201"))
    assert_coerced(seen, "E1")
    assert (seen.rung, seen.reviews) == ("I+G:CONFIRM", {"DOB-TRANSPOSED"})
    assert seen.given.PatientBirthDate == "19800102"


def test_row_20_a_new_family_name_is_a_marriage(archive: Archive):
    """20: birth date, given name and sex are equal: the registry's name, flagged."""
    seen = store(archive, instance(PatientName="SMITH^JANE"))
    assert_coerced(seen, "E1")
    assert (seen.rung, seen.reviews) == ("I+G:DRIFT", {"NAME-CHANGE"})
    assert seen.given.PatientName == "DOE^JANE"
    assert seen.original.PatientName == "SMITH^JANE"


def test_row_21_the_same_name_born_elsewhen_is_a_namesake(archive: Archive):
    """21: mother or junior: held."""
    seen = store(archive, instance(PatientBirthDate="19520102"))
    assert_held(seen, "DEMOGRAPHIC-CONFLICT")
    assert seen.rung == "I+G:JUNIOR?"


@pytest.mark.parametrize(
    ("sex", "reviews"), [("M", {"SEX-MISMATCH"}), ("O", set()), ("", set())]
)
def test_row_22_sex_decides_nothing_alone(archive: Archive, sex: str, reviews: set[str]):
    """22: another sex is flagged; other and unknown are no evidence."""
    seen = store(archive, instance(PatientSex=sex))
    assert_coerced(seen, "E1")
    assert (seen.reviews, seen.given.PatientSex) == (reviews, "F")


def test_row_23_an_initial_without_a_birth_date_confirms_weakly(archive: Archive):
    """23: what is there agrees, and nothing speaks against it."""
    seen = store(archive, instance(PatientName="DOE^J", PatientBirthDate=""))
    assert_coerced(seen, "E1")
    assert (seen.given.PatientName, seen.given.PatientBirthDate) == ("DOE^JANE", "19800102")


def test_row_24_placeholders_are_no_information(archive: Archive):
    """24: a bare ID is enough where the source may send such, or an order agrees."""
    bare = {"PatientName": "ANONYMIZED", "PatientBirthDate": "19000101", "PatientSex": ""}
    held = store(archive, instance(**bare), "CT_HOLD")
    assert_held(held, "UNCORROBORATED")
    assert held.rung == "I+G:NOINFO"
    assert_coerced(store(archive, instance(**bare)), "E1")
    order = orm("100^^^A", "DOE^JANE", "19800102", "F", accession="ACC24")
    assert code(archive.send(order)) == "AA"
    issuer = item(LocalNamespaceEntityID="A")
    named = instance(
        AccessionNumber="ACC24", IssuerOfAccessionNumberSequence=issuer, **bare
    )
    ordered = store(archive, named, "CT_HOLD")
    assert_coerced(ordered, "E1")
    assert ordered.rung == "O+I+G:NOINFO"


# -- 25: character sets ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "charset", "name"),
    [
        ("MÜLLER^JÜRGEN", "ISO_IR 100", "MÜLLER^JÜRGEN"),
        ("MÜLLER^JÜRGEN", None, "MUELLER^JUERGEN"),
        ("NOWAK^ŁUKASZ", "ISO_IR 101", "NOWAK^ŁUKASZ"),
        ("NOWAK^ŁUKASZ", None, "NOWAK^LUKASZ"),
        (
            "YAMADA^TAROU^^^^^L^A~山田^太郎^^^^^L^I",
            ["", "ISO 2022 IR 87"],
            "YAMADA^TAROU=山田^太郎",
        ),
        ("WANG^XIAODONG^^^^^L^A~王^小东^^^^^L^I", "GB18030", "WANG^XIAODONG=王^小东"),
    ],
)
def test_row_25_a_name_is_read_in_its_own_character_set(
    archive: Archive, known: str, charset: object, name: str
):
    """25: decoded by (0008,0005), and transliterations known to the gate: confirmed."""
    local = f"25{abs(hash((known, name))) % 10**8}"
    answer = archive.send(adt("A28", f"{local}^^^A", known, "19690708", "M"))
    assert code(answer) == "AA"
    image = instance(
        SpecificCharacterSet=charset,
        PatientID=local,
        PatientName=name,
        PatientBirthDate="19690708",
        PatientSex="M",
    )
    seen = store(archive, image)
    assert_coerced(seen, assigned_id(archive, f"{local}^^^A"))
    assert (seen.rung, seen.reviews) == ("I+G:CONFIRM", set())
    groups = [each.split("^^")[0] for each in known.split("~")]
    assert str(seen.given.PatientName).split("=") == groups


def test_row_25_undeclared_text_is_read_as_its_source_writes_it(archive: Archive):
    """25: beyond ASCII without (0008,0005): in the source's `charset`."""
    archive.send(adt("A28", "2501^^^A", "MÜLLER^ÄNNE", "19690708", "F"))
    image = instance(
        PatientID="2501", PatientName="M_LLER^_NNE", PatientBirthDate="19690708"
    )
    seen = store(archive, raw(image, PatientName=b"M\xdcLLER^\xc4NNE"))
    assert_coerced(seen, assigned_id(archive, "2501^^^A"))
    assert seen.given.PatientName == "MÜLLER^ÄNNE"


def test_row_25_an_undecodable_name_is_no_information(archive: Archive):
    """25: the ID decides, and it is flagged."""
    image = instance(SpecificCharacterSet="ISO_IR 192", PatientName="XXXX^XXXX")
    seen = store(archive, raw(image, PatientName=b"\xff\x90XX^XXXX"))
    assert_coerced(seen, "E1")
    assert seen.reviews == {"CHARSET"}
    assert seen.given.PatientName == "DOE^JANE"


def test_row_25_an_undecodable_id_is_held(archive: Archive):
    """25: only then is there nothing to go by."""
    image = instance(SpecificCharacterSet="ISO_IR 192", PatientID="XY99")
    seen = store(archive, raw(image, PatientID=b"\xff\x9099"))
    assert_held(seen, "CHARSET")


def test_row_26_a_study_after_death_is_flagged(archive: Archive):
    """26: wrongly declared dead, or post mortem; what came before it is normal."""
    died = adt("A28", "126^^^A", "LATE^LARS", "19400506", "M", died="20200101")
    assert code(archive.send(died)) == "AA"
    known = {"PatientID": "126", "PatientName": "LATE^LARS"}
    known |= {"PatientBirthDate": "19400506", "PatientSex": "M"}
    after = store(archive, instance(StudyDate="20240301", **known))
    before = store(archive, instance(StudyDate="20191231", **known))
    for seen, flags in ((after, {"AFTER-DEATH"}), (before, set())):
        assert_coerced(seen, assigned_id(archive, "126^^^A"))
        assert seen.reviews == flags


# -- D. Newborn, temporary, test ---------------------------------------------------------


def test_row_27_a_newborn_is_given_a_name(archive: Archive):
    """27: a given name of a placeholder is none; images of either name are the child's."""
    archive.send(adt("A28", "403^^^A", "KOCH^BABY GIRL A", "20260228", "F"))
    known = {"PatientID": "403", "PatientBirthDate": "20260228"}
    first = store(archive, instance(PatientName="KOCH^BABY GIRL A", **known))
    named = adt("A08", "403^^^A", "KOCH^MIA", "20260228", "F", control_id="row-27")
    assert code(archive.send(named)) == "AA"
    assert message(archive, "row-27")["state"] == "applied"
    late = store(archive, instance(PatientName="KOCH^BABY GIRL A", **known))
    assert_coerced(late, first.patient[0])
    assert (late.given.PatientName, late.reviews) == ("KOCH^MIA", set())


def test_row_28_newborns_are_told_apart_by_their_ids(archive: Archive):
    """28: without an ID both are shown, and neither stands before the other."""
    born = {"PatientName": "SMITH^BABY BOY", "PatientBirthDate": "20260227"}
    born |= {"PatientSex": "M"}
    for local in ("501", "502"):
        archive.send(adt("A28", f"{local}^^^A", "SMITH^BABY BOY", "20260227", "M"))
        seen = store(archive, instance(PatientID=local, **born))
        assert_coerced(seen, assigned_id(archive, f"{local}^^^A"))
    held = store(archive, instance(PatientID="", **born))
    assert_held(held, "NO-IDENTITY")
    one, other = held.candidates("NO-IDENTITY")
    assert one["bits"] == other["bits"]
    assert {one["identifiers"][0], other["identifiers"][0]} == {"501^^^A", "502^^^A"}


def test_row_29_a_trauma_patient_is_given_out_under_the_temporary_id(archive: Archive):
    """29: images first, no message: a provisional person of the temporary domain."""
    image = instance(
        PatientID="TR-17",
        IssuerOfPatientID="T",
        PatientName="UNKNOWN^MALE 3",
        PatientBirthDate="19000101",
        PatientSex="M",
    )
    seen = store(archive, image)
    assert_provisional(seen, "TR-17", "T", coerced=False)
    assert person(archive, "TR-17^^^T")["state"] == "provisional"
    [answer] = found(archive, PatientID="TR-17^^^T")
    assert answer.StudyInstanceUID == seen.sent.StudyInstanceUID
    other = store(archive, instance(PatientID="2900"))
    listed = {each["study_instance_uid"] for each in reviews(archive, "PROVISIONAL")}
    assert other.sent.StudyInstanceUID in listed
    assert seen.sent.StudyInstanceUID not in listed  # for a day


def test_row_32_a_test_patient_is_never_a_real_one(archive: Archive):
    """32: kept apart, and suggested to nobody."""
    phantom = {"PatientName": "ZZTEST^PHANTOM", "PatientBirthDate": "19111111"}
    named = [
        store(archive, instance(PatientID="1", IssuerOfPatientID="X", **phantom)),
        store(archive, instance(PatientID="QC-2024", **phantom)),
    ]
    held = store(archive, instance(PatientID="", **phantom))
    assert_held(held, "NO-IDENTITY")
    assert held.candidates("NO-IDENTITY") == []
    near = store(archive, instance(PatientID="1", IssuerOfPatientID="Z"), "IMPORT_CD")
    shown = [each["identifiers"] for each in near.candidates("PROVISIONAL", "review")]
    assert ["1^^^X"] not in shown
    of_the_day = studies(found(archive, PatientName="ZZTEST*"))
    assert of_the_day == {held.sent.StudyInstanceUID}
    for seen, identifier in zip(named, ("1^^^X", "QC-2024^^^A"), strict=True):
        assert (seen.outcome, seen.reviews) == ("test", set())
        assert person(archive, identifier)["state"] == "test"
        asked = studies(found(archive, PatientID=identifier))
        assert asked == {seen.sent.StudyInstanceUID}


def test_row_34_a_domain_may_do_without_the_gate(archive: Archive):
    """34: veterinary or research: its identifiers decide alone, and that is told."""
    archive.send(adt("A28", "9^^^V", "DOG^REX", "20200101", "M", sender="EMPI"))
    seen = store(archive, instance(PatientID="9", IssuerOfPatientID="V"), "IMPORT_CD")
    assert_coerced(seen, assigned_id(archive, "9^^^V"))
    assert seen.rung == "I+G:OFF"
    assert any("not compared" in each for each in seen.explained["sentences"])
    assert seen.code == COERCED
