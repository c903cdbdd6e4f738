"""H. Study level, J. studies, orders, duplicates, corrections."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from tests.scenarios.acting import found, resolve, studies
from tests.scenarios.seen import (
    COERCED,
    SUCCESS,
    Seen,
    assert_coerced,
    assert_held,
    assigned_id,
    look,
    person,
    store,
    unnumbered,
)
from tests.scenarios.test_identity import item
from tests.support.instances import instance, uid
from tests.support.messages import Ordered, adt, orm
from tests.support.running import Archive, code
from tests.support.transcoded import NATIVE, transcoded

JANE = ("100^^^A", "DOE^JANE", "19800102", "F")


def order(archive: Archive, *procedures: Ordered, **said: Any) -> None:
    """An order for P1 that is taken."""
    assert code(archive.send(orm(*JANE, *procedures, **said))) == "AA"


def linked(archive: Archive, accession: str) -> list[str]:
    """Studies that are linked to the orders of an accession number."""
    found = archive.items("/api/v1/orders", accession=accession)
    return [study for each in found for study in each["studies"]]


def study_of(seen: Seen) -> str:
    return str(seen.given.StudyInstanceUID)


# -- H. Study level ----------------------------------------------------------------------


def test_row_58_an_accession_is_unique_only_with_its_issuer(archive: Archive):
    """58: said, or the source's own, it names one order; without, nobody's."""
    order(archive, accession="ACC58")
    richard = ("555^^^B", "ROE^RICHARD", "19750506", "M")
    assert code(archive.send(orm(*richard, accession="ACC58", sender="RIS_B"))) == "AA"
    by_source = store(archive, instance(PatientID="", AccessionNumber="ACC58"))
    assert_coerced(by_source, "E1")
    said = instance(
        PatientID="",
        PatientName="ROE^RICHARD",
        PatientBirthDate="19750506",
        PatientSex="M",
        AccessionNumber="ACC58",
        IssuerOfAccessionNumberSequence=item(LocalNamespaceEntityID="HISB"),
    )
    assert_coerced(store(archive, said), "E2")
    nobodys = instance(PatientID="", AccessionNumber="ACC58")
    held = store(archive, nobodys, "CT_NOACC")
    assert_held(held, "ACCESSION-AMBIGUOUS")
    shown = {
        each for c in held.candidates("ACCESSION-AMBIGUOUS") for each in c["identifiers"]
    }
    assert {"100^^^A", "200^^^A"} <= shown


# -- J. Studies, orders, duplicates, corrections -----------------------------------------


def test_row_66_images_with_yesterdays_name_are_todays_patient(archive: Archive):
    """66: compared with every name the person had; given out with the last."""
    archive.send(adt("A28", "166^^^A", "BEFORE^BETTY", "19790605", "F"))
    archive.send(adt("A08", "166^^^A", "AFTER^BETTY", "19790605", "F"))
    image = instance(
        PatientID="166", PatientName="BEFORE^BETTY", PatientBirthDate="19790605"
    )
    seen = store(archive, image)
    assert_coerced(seen, assigned_id(archive, "166^^^A"))
    assert (seen.rung, seen.reviews) == ("I+G:CONFIRM", set())
    assert seen.given.PatientName == "AFTER^BETTY"


def test_rows_67_68_the_orders_study_uid_is_given_to_one_study(archive: Archive):
    """67: mapped, late images too, found by either UID. 68: a second one keeps its own."""
    ordered = uid()
    order(archive, Ordered(study_uid=ordered), accession="ACC67")
    first, late = (
        instance(StudyInstanceUID=study, AccessionNumber="ACC67") for study in [uid()] * 2
    )
    for image in (first, late):
        seen = store(archive, image)
        assert_coerced(seen, "E1")
        assert "StudyInstanceUID" in seen.offending
        assert study_of(seen) == ordered
        assert seen.original.StudyInstanceUID == image.StudyInstanceUID
    for known in (first.StudyInstanceUID, ordered):
        both = archive.get(f"/api/v1/uids/{known}")
        assert (both["assigned"], both["received"]) == (ordered, [first.StudyInstanceUID])
        path = (known, first.SeriesInstanceUID, first.SOPInstanceUID)
        assert archive.retrieve(*path).status_code == 200
        assert studies(found(archive, StudyInstanceUID=known)) == {ordered}
    other = store(archive, instance(AccessionNumber="ACC67"))
    assert_coerced(other, "E1")
    assert other.reviews == {"SECOND-STUDY"}
    assert study_of(other) == other.sent.StudyInstanceUID
    assert linked(archive, "ACC67") == [ordered, study_of(other)]


def test_row_69_one_of_two_procedures_is_not_guessed(archive: Archive):
    """69: linked to the order; the modality's UID stays."""
    procedures = (
        Ordered("RP69A", study_uid=uid()),
        Ordered("RP69B", description="CT HEAD", study_uid=uid()),
    )
    order(archive, *procedures, accession="ACC69")
    seen = store(archive, instance(AccessionNumber="ACC69"))
    assert_coerced(seen, "E1")
    assert study_of(seen) == seen.sent.StudyInstanceUID
    assert linked(archive, "ACC69") == [study_of(seen)]
    request = item(RequestedProcedureID="RP69B")
    named = instance(AccessionNumber="ACC69", RequestAttributesSequence=request)
    assert study_of(store(archive, named)) == procedures[1].study_uid


def test_row_70_one_acquisition_for_two_orders_is_linked_to_both(archive: Archive):
    """70: the group case: neither accession nor Study UID is coerced."""
    requests = Sequence()
    for accession in ("ACC70A", "ACC70B"):
        order(archive, Ordered(study_uid=uid()), accession=accession)
        request = Dataset()
        request.AccessionNumber, request.RequestedProcedureID = accession, "RP1"
        requests.append(request)
    seen = store(archive, instance(RequestAttributesSequence=requests))
    assert_coerced(seen, "E1")
    assert study_of(seen) == seen.sent.StudyInstanceUID
    assert seen.given.AccessionNumber == ""
    for accession in ("ACC70A", "ACC70B"):
        assert linked(archive, accession) == [study_of(seen)]
        assert studies(found(archive, AccessionNumber=accession)) == {study_of(seen)}
        events = archive.items("/api/v1/coercions", accession=accession)
        assert unnumbered(events) == seen.events


def test_row_73_an_order_without_a_uid_adopts_the_modalitys(archive: Archive):
    """73: the study keeps its UID, and its later images find the order."""
    study = uid()
    named = {"AccessionNumber": "ACC73", "StudyInstanceUID": study}
    early = store(archive, instance(**named))
    order(archive, accession="ACC73")
    late = store(archive, instance(**named))
    assert study_of(early) == study_of(late) == study
    assert linked(archive, "ACC73") == [study]


def test_row_75_a_cancelled_order_keeps_its_study(archive: Archive):
    """75: what was acquired stays; what still comes is flagged."""
    order(archive, accession="ACC75")
    seen = store(archive, instance(AccessionNumber="ACC75"))
    order(archive, accession="ACC75", control="CA")
    [found] = archive.items("/api/v1/orders", accession="ACC75")
    assert (found["state"], found["studies"]) == ("cancelled", [study_of(seen)])
    late = instance(AccessionNumber="ACC75", StudyInstanceUID=study_of(seen))
    after = store(archive, late)
    assert_coerced(after, "E1")
    assert "ORDER-CLOSED" in after.reviews


@pytest.mark.parametrize("patient_id", ["100", ""])
def test_row_76_the_same_again_is_the_same(archive: Archive, patient_id: str):
    """76: the answer of the first time, and nothing happens; held or not."""
    image = instance(PatientID=patient_id)
    first = store(archive, image)
    again = store(archive, image)
    assert first.code == again.code == COERCED
    assert first.offending == again.offending
    assert (first.events, first.explained) == (again.events, again.explained)
    assert first.given == again.given


def test_row_77_our_own_export_is_known_when_it_comes_back(archive: Archive):
    """77: what was retrieved from us, coerced, is sent to us: no event, no second item."""
    image = instance()
    first = store(archive, image)
    again = look(archive, image, archive.store(first.given))
    assert (first.code, again.code) == (COERCED, SUCCESS)
    assert (first.events, first.explained) == (again.events, again.explained)
    assert 1 == len(again.given.OriginalAttributesSequence)
    assert first.given == again.given


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=lambda s: s.name)
def test_row_78_another_transfer_syntax_is_the_same_instance(archive: Archive, syntax: Any):
    """78: answered as the first time; the first is kept, and the second a receipt."""
    image = instance()
    first = store(archive, image)
    again = look(archive, image, archive.store(transcoded(image, syntax)))
    assert (again.code, again.offending) == (first.code, first.offending)
    assert (first.events, first.explained) == (again.events, again.explained)
    assert first.given == again.given
    known = receipts(archive, image)
    assert [r["outcome"] for r in known] == ["coerce", "already-stored"]
    assert [r["current"] for r in known] == [True, False]


@pytest.mark.parametrize(
    "changed", [{"SeriesDescription": "right"}, {"PixelData": bytes(32)}]
)
def test_rows_79_80_other_content_under_a_taken_uid_is_held(
    archive: Archive, changed: dict[str, Any]
):
    """79, 80: another header, or other pixels: the first one is given out until decided."""
    image = instance()
    first = store(archive, image)
    second = store(archive, other_content(image, changed))
    assert second.holds == {"DUPLICATE-DIFFERS"}
    assert (second.given, second.events) == (first.given, first.events)


def test_row_79_the_correction_is_given_out_when_a_person_says_so(archive: Archive):
    """79: `replace`: the new version under the same identity; the old one is kept."""
    image = instance()
    first = store(archive, image)
    corrected = other_content(image, {"SeriesDescription": "right"})
    held = store(archive, corrected).items("hold")["DUPLICATE-DIFFERS"]
    answer = resolve(archive, held, "replace")
    assert answer.status_code == 201
    now = look(archive, corrected, first.status)
    assert now.given.SeriesDescription == "right"
    assert now.patient == first.patient == ("E1", "E")
    assert [each["cause"] for each in now.events] == ["c-store", "resolve"]
    assert now.events[1:] == answer.json()["events"]
    assert (now.holds, answer.json()["hold"]["closed_by"]) == (set(), "local")
    old, new = receipts(archive, image)
    assert (old["current"], new["current"]) == (False, True)
    path = f"/api/v1/instances/{image.SOPInstanceUID}/received"
    kept = archive.http.get(path, params={"receipt": old["id"]}).content
    assert "SeriesDescription" not in pydicom.dcmread(BytesIO(kept))
    late = resolve(archive, held, "reject")
    assert late.status_code == 409
    assert late.json()["detail"].startswith("resolved by local at ")


def test_row_80_other_pixels_are_never_given_out_by_themselves(archive: Archive):
    """80: `reject`: the first one stays, and the same content is not asked about again."""
    image = instance()
    first = store(archive, image)
    other = other_content(image, {"PixelData": bytes(32)})
    held = store(archive, other).items("hold")["DUPLICATE-DIFFERS"]
    assert resolve(archive, held, "reject").json()["events"] == []
    again = look(archive, image, archive.store(other))
    assert (again.code, again.holds) == (SUCCESS, set())
    assert (first.given, first.events) == (again.given, again.events)


def other_content(image: Dataset, changed: dict[str, Any]) -> Dataset:
    """Another content under the same SOP Instance UID."""
    return instance(**{each.keyword: each.value for each in image} | changed)


def receipts(archive: Archive, image: Dataset) -> list[Any]:
    """Every arrival of an instance, the first one first."""
    return archive.items(f"/api/v1/instances/{image.SOPInstanceUID}/receipts")


def test_row_82_removed_identity_is_kept_apart(archive: Archive):
    """82: matched to nobody, its UIDs its own, found in the de-identified domain."""
    order(archive, Ordered(study_uid=uid()), accession="ACC82")
    image = instance(
        PatientID="SUBJ82", PatientIdentityRemoved="YES", AccessionNumber="ACC82"
    )
    seen = store(archive, image)
    assert seen.patient == ("SUBJ82", "D")
    assert seen.outcome == "deidentified"
    assert study_of(seen) == image.StudyInstanceUID
    owner = person(archive, "SUBJ82^^^D")
    assert [each["study_instance_uid"] for each in owner["studies"]] == [study_of(seen)]
    assert linked(archive, "ACC82") == []
    assert archive.items("/api/v1/patients", identifier="SUBJ82^^^A") == []


def test_row_83_a_trusted_node_says_whose_result_it_is(archive: Archive):
    """83: deidentified = "trust-source": matched like any other."""
    seen = store(archive, instance(PatientIdentityRemoved="YES"), "AI_NODE")
    assert_coerced(seen, "E1")


def test_row_86_an_accession_that_does_not_fit_is_not_cut(archive: Archive):
    """86: SH has 16 characters: kept as received, and flagged."""
    ordered, accession = uid(), "ACC-86-THAT-IS-LONG-"
    order(archive, Ordered(study_uid=ordered), accession=accession)
    image = instance(StudyInstanceUID=ordered, AccessionNumber="LOCAL86")
    seen = store(archive, image)
    assert_coerced(seen, "E1")
    assert seen.given.AccessionNumber == "LOCAL86"
    assert seen.reviews == {"TOO-LONG"}
    assert linked(archive, accession) == [ordered]


def test_row_87_a_name_that_cannot_be_said_is_kept_or_the_set_is_widened(archive: Archive):
    """87: never where private text would change its meaning."""
    archive.send(adt("A28", "187^^^A", "ŁUKASIK^ŁUCJA", "19660606", "F"))
    known = {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientID": "187",
        "PatientName": "LUKASIK^LUCJA",
        "PatientBirthDate": "19660606",
    }
    widened = store(archive, instance(**known))
    assert_coerced(widened, assigned_id(archive, "187^^^A"))
    assert widened.given.PatientName == "ŁUKASIK^ŁUCJA"
    assert widened.given.SpecificCharacterSet == "ISO_IR 192"
    assert widened.original.SpecificCharacterSet == "ISO_IR 100"
    private = instance(**known)
    block = private.private_block(0x0029, "MAKER", create=True)
    block.add_new(0x10, "UN", "Größe".encode("latin-1") + b" ")
    kept = store(archive, private)
    assert_coerced(kept, assigned_id(archive, "187^^^A"))
    assert kept.given.PatientName == "LUKASIK^LUCJA"
    assert kept.given.SpecificCharacterSet == "ISO_IR 100"
    assert kept.reviews == {"CHARSET"}


def test_row_88_a_held_emergency_study_is_found_at_once(archive: Archive):
    """88: under its own ID in domain H, with its name and date, by accession and UID."""
    image = instance(PatientBirthDate="19990102", AccessionNumber="ER88")
    seen = store(archive, image)
    assert_held(seen, "DEMOGRAPHIC-CONFLICT")
    assert (seen.given.AccessionNumber, seen.given.PatientName) == ("ER88", "DOE^JANE")
    assert seen.original.PatientID == "100"
    uids = archive.get(f"/api/v1/uids/{image.StudyInstanceUID}")
    assert uids["assigned"] == image.StudyInstanceUID
    listed = archive.items("/api/v1/holds", kind="hold", code="DEMOGRAPHIC-CONFLICT")
    [waiting] = [i for i in listed if i["study_instance_uid"] == study_of(seen)]
    assert waiting["sop_instance_uids"] == [image.SOPInstanceUID]
    assert waiting["received"]["00100020"]["Value"] == ["100"]
    second = store(archive, instance(**{**known_of(image), "InstanceNumber": 2}))
    assert second.patient == seen.patient


def known_of(image: Dataset) -> dict[str, Any]:
    """What two images of one series have in common."""
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "PatientBirthDate")
    return {keyword: image.get(keyword) for keyword in keywords}
