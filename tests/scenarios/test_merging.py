"""D, E, F. Who is who: merges, changes and moves of identifiers, links, visits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.scenarios.acting import (
    Patient,
    found,
    post,
    reviewed,
    reviews,
    same,
    shown,
    studies,
    waiting,
)
from tests.scenarios.seen import (
    assert_coerced,
    assigned_id,
    look,
    message,
    person,
    store,
)
from tests.support.instances import instance, uid
from tests.support.messages import Ordered, adt, joined, linked
from tests.support.running import Archive, code

NAMES = ("ALDER^AMY", "BIRCH^BEN", "CEDAR^CORA")
BORN = ("19800102", "19750506", "19660708")
SEXES = "FMF"
UNKNOWN = {"PatientName": "UNKNOWN^MALE 3", "PatientBirthDate": "19000101"}


def patients(archive: Archive, row: int, count: int = 2) -> tuple[Patient, ...]:
    """Patients of a row who have nothing in common: A:3501, A:3502, ..."""
    made = tuple(
        Patient(f"{row}0{n + 1}^^^A~{row}0{n + 1}^^^B", NAMES[n], BORN[n], SEXES[n])
        for n in range(count)
    )
    for each in made:
        each.told(archive)
    return made


def merge(
    archive: Archive, surviving: str, prior: str, event: str = "A40", **said: str
) -> str:
    """MSA-1 of what a merge is answered."""
    return code(archive.send(joined(event, surviving, prior, **said)))


# -- D. Temporary and test patients ------------------------------------------------------


def test_row_30_a_temporary_identity_is_the_real_patients(archive: Archive):
    """30: the gate is not asked; all studies follow, late ones too; both names are told."""
    [real] = patients(archive, 30, 1)
    trauma = {"PatientID": "TR-30", "IssuerOfPatientID": "T", **UNKNOWN, "PatientSex": "M"}
    early = store(archive, instance(**trauma))
    assert early.patient == ("TR-30", "T")
    assert merge(archive, real.first, "TR-30^^^T", control_id="row-30") == "AA"
    assert message(archive, "row-30")["id"] not in [
        each["message_id"] for each in reviews(archive, "RISKY-MERGE")
    ]
    now = look(archive, early.sent, early.status)
    assert now.patient == (assigned_id(archive, real.first), "E")
    assert now.given.PatientName == real.name
    [event] = now.events
    assert (event["level"], event["cause"]) == ("study", "adt-a40")
    assert "UNKNOWN^MALE 3" in str(event["original_attributes"])
    assert event["new_attributes"]["00100010"]["Value"] == [{"Alphabetic": real.name}]
    late = store(archive, instance(**trauma))
    assert_coerced(late, now.patient[0])


def test_row_31_a_changed_identifier_is_no_merge(archive: Archive):
    """31: the same person, by another ID; late images of the old one are theirs too."""
    trauma = {"PatientID": "TR-31", "IssuerOfPatientID": "T", **UNKNOWN}
    store(archive, instance(**trauma))
    before = person(archive, "TR-31^^^T")
    said = joined("A47", "3101^^^A", "TR-31^^^T", "DOE^JOHN", "19700101", "M")
    assert code(archive.send(said)) == "AA"
    now = person(archive, "3101^^^A")
    assert (now["id"], now["merges"]) == (before["id"], [])
    assert (now["state"], shown(now)) == ("verified", "DOE^JOHN")
    late = store(archive, instance(**trauma))
    assert_coerced(late, assigned_id(archive, "3101^^^A"))


def test_row_31_an_identifier_that_is_taken_is_a_question(archive: Archive):
    """31: or a merge, where the feed is set so."""
    one, other = patients(archive, 31)
    before = person(archive, one.first), person(archive, other.first)
    assert merge(archive, one.first, other.first, "A47", control_id="row-31") == "AE"
    item = waiting(archive, "IDENTITY-CONFLICT", "row-31")
    assert {each["patient"] for each in item["candidates"]} == {p["id"] for p in before}
    assert before == (person(archive, one.first), person(archive, other.first))
    assert merge(archive, one.first, other.first, "A47", sender="EMPI_1") == "AA"
    assert same(archive, one.first, other.first)


def test_row_33_a_test_patient_is_merged_with_nobody_real(archive: Archive):
    """33: AE, and a person is told."""
    [real] = patients(archive, 33, 1)
    Patient("33^^^X", "ZZTEST^PHANTOM", "19111111", "O").told(archive)
    said = {"sender": "EMPI", "control_id": "row-33"}
    assert merge(archive, real.first, "33^^^X", **said) == "AE"
    assert waiting(archive, "TEST-REAL-MERGE", "row-33")["kind"] == "message"
    assert not same(archive, real.first, "33^^^X")


# -- E. Merge ----------------------------------------------------------------------------


def test_row_35_two_patients_are_one_at_every_door(archive: Archive):
    """35: found by every ID, given out under the survivor's, received as it came."""
    one, other = patients(archive, 35)
    images = [
        store(archive, one.image()),
        store(archive, other.image()),
        store(archive, other.image(), "MR_B"),
    ]
    assigned = assigned_id(archive, one.first)
    persons = {person(archive, each.first)["id"] for each in (one, other)}
    said = {"sender": "EMPI", "control_id": "row-35"}
    assert merge(archive, one.first, other.first, **said) == "AA"
    assert reviewed(archive, "RISKY-MERGE", "row-35") == persons
    for identifier in ("3501^^^A", "3502^^^A", "3502^^^B", f"{assigned}^^^E"):
        answers = found(archive, PatientID=identifier)
        assert studies(answers) == {str(e.sent.StudyInstanceUID) for e in images}
        assert {each.PatientID for each in answers} == {assigned}
        assert {str(each.PatientName) for each in answers} == {one.name}
        listed = person(archive, identifier)["studies"]
        assert {e["study_instance_uid"] for e in listed} == studies(answers)
    for seen in images:
        now = look(archive, seen.sent, seen.status)
        assert (now.patient, now.given.PatientName) == ((assigned, "E"), one.name)
        assert archive.received(seen.sent.SOPInstanceUID).PatientID == seen.sent.PatientID
        assert now.events[: len(seen.events)] == seen.events
    assert [e["cause"] for e in now.events] == ["c-store", "adt-a40"]


def test_row_36_the_same_merge_again_is_a_duplicate(archive: Archive):
    """36: with the same MSH-10 or a new one: AA, no second edge, one line each."""
    one, other = patients(archive, 36)
    seen = store(archive, other.image())
    assert merge(archive, one.first, other.first, control_id="row-36") == "AA"
    known = person(archive, one.first)
    events = look(archive, seen.sent, seen.status).events
    for control_id in ("row-36", "row-36-again"):
        assert merge(archive, one.first, other.first, control_id=control_id) == "AA"
    assert message(archive, "row-36")["state"] == "applied"
    again = message(archive, "row-36-again")
    assert again["state"] == "duplicate"
    assert again["happening"]
    assert person(archive, one.first) == known
    assert len(known["merges"]) == 1
    assert look(archive, seen.sent, seen.status).events == events


def test_row_37_nobody_is_merged_with_themselves(archive: Archive):
    """37: AE, ERR-3 205, no change."""
    [one] = patients(archive, 37, 1)
    before = person(archive, one.first)
    answer = archive.send(joined("A40", one.first, one.first))
    assert code(answer) == "AE"
    assert str(answer["ERR.F3"]).startswith("205")
    assert person(archive, one.first) == before


def test_row_38_a_chain_of_merges_is_kept_as_it_was_said(archive: Archive):
    """38: 2 -> 1, 1 -> 3: everything is 3's, by the edges that were said."""
    one, two, three = patients(archive, 38, 3)
    ids = {each: person(archive, each.first)["id"] for each in (one, two, three)}
    seen = store(archive, two.image())
    assert merge(archive, one.first, two.first) == "AA"
    assert merge(archive, three.first, one.first) == "AA"
    assert same(archive, one.first, two.first, three.first)
    now = look(archive, seen.sent, seen.status)
    assert now.patient == (assigned_id(archive, three.first), "E")
    edges = person(archive, two.first)["merges"]
    assert {(each["prior"], each["surviving"]) for each in edges} == {
        (ids[two], ids[one]),
        (ids[one], ids[three]),
    }


def test_row_39_who_is_merged_elsewhere_is_not_moved(archive: Archive):
    """39: kept for a person, who may move the ID, or merge both survivors."""
    one, two, three = patients(archive, 39, 3)
    assert merge(archive, one.first, two.first) == "AA"
    assert merge(archive, three.first, two.first, control_id="row-39") == "AA"
    item = waiting(archive, "SUBSUMED-ELSEWHERE", "row-39")
    offered = {each["patient"] for each in item["candidates"]}
    assert offered == {person(archive, each.first)["id"] for each in (one, three)}
    assert same(archive, one.first, two.first)
    assert not same(archive, two.first, three.first)


def test_row_39_both_ways_out_are_a_stewards(archive: Archive):
    """39: "move 2 to 3", or "3 = 1 too", each with a dry run that changes nothing."""
    one, two, three = patients(archive, 390, 3)
    assert merge(archive, one.first, two.first) == "AA"
    move = {"identifier": two.first, "to": three.first}
    join = {"surviving": three.first, "prior": one.first}
    for path, said in (("move", move), ("merge", join)):
        tried = post(archive, f"/api/v1/patients/{path}", **said, dry_run=True)
        assert tried.is_success, tried.text
        assert not same(archive, two.first, three.first)
    assert post(archive, "/api/v1/patients/move", **move).status_code == 201
    assert same(archive, two.first, three.first)
    assert not same(archive, one.first, two.first)


def test_row_40_a_merge_before_anything_else(archive: Archive):
    """40: both IDs are somebody's, and an image of the prior one is the survivor's."""
    said = joined("A40", "4001^^^A", "4002^^^A", "EARLY^EVE", "19880808", "F")
    assert code(archive.send(said)) == "AA"
    assert person(archive, "4001^^^A")["state"] == "provisional"
    assert same(archive, "4001^^^A", "4002^^^A")
    [edge] = person(archive, "4001^^^A")["merges"]
    assert edge["prior"] != edge["surviving"]
    eve = Patient("4002^^^A", "EARLY^EVE", "19880808", "F")
    late = store(archive, eve.image())
    assert (late.patient, late.holds) == (("4001", "A"), set())
    eve._replace(identifiers="4001^^^A").told(archive)
    now = look(archive, late.sent, late.status)
    assert now.patient == (assigned_id(archive, "4002^^^A"), "E")


def test_row_41_who_does_not_own_a_domain_merges_nobody_of_it(archive: Archive):
    """41: AE, and a person is told."""
    one, other = patients(archive, 41)
    before = person(archive, one.first), person(archive, other.first)
    said = {"sender": "RIS_B", "control_id": "row-41"}
    assert merge(archive, one.first, other.first, **said) == "AE"
    assert waiting(archive, "NOT-AUTHORITATIVE", "row-41")
    assert before == (person(archive, one.first), person(archive, other.first))


def test_row_42_a_merge_across_domains_needs_both(archive: Archive):
    """42: authority over both, or an E identifier that the sender owns beside it."""
    Patient("4201^^^A", *(said[0] for said in (NAMES, BORN, SEXES))).told(archive)
    for number, sender in (("4202", ""), ("4203", "EMPI")):
        Patient(f"{number}^^^B", "BIRCH^BEN", "19750506", "M").told(archive)
        prior = f"{number}^^^B"
        said = {"sender": "RIS_A", "control_id": f"row-{number}"}
        assert merge(archive, "4201^^^A", prior, **said) == "AE"
        assert waiting(archive, "NOT-AUTHORITATIVE", f"row-{number}")
        if not sender:
            prior += f"~{assigned_id(archive, prior)}^^^E"
        assert merge(archive, "4201^^^A", prior, sender=sender or "RIS_A") == "AA"
        assert same(archive, "4201^^^A", f"{number}^^^B")


@pytest.mark.parametrize("event", ["A18", "A34", "A30", "A39"])
def test_row_44_older_merges_are_merges_where_they_say_who(archive: Archive, event: str):
    """44: A18 and A34 by PID-3 and MRG-1; A30 and A39 by PID-2 and MRG-4."""
    number = 4400 + int(event[1:]) * 10
    one, two = (Patient(f"{number + n}^^^A", NAMES[n], BORN[n], SEXES[n]) for n in range(2))
    for each in (one, two):
        each.told(archive)
    text = joined(event, one.first, two.first)
    if event in ("A30", "A39"):  # what PID-3 and MRG-1 say is not looked at then
        text = text.replace(f"PID|||{one.first}", f"PID||{one.first}|{one.first}")
        text = text.replace(f"MRG|{two.first}|||", f"MRG|{two.first}|||{two.first}")
    assert code(archive.send(text)) == "AA"
    assert same(archive, one.first, two.first)


def test_row_54_a_merge_and_its_inverse_at_once(archive: Archive):
    """54: the newer of one sender wins, whichever is acted on first."""
    one, other = patients(archive, 54)
    for turn in range(4):
        said = [
            joined("A40", one.first, other.first, at=f"202603011{turn}0000"),
            joined("A40", other.first, one.first, at=f"202603011{turn}3000"),
        ]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(archive.send, said[:: 1 - 2 * (turn % 2)]))
        assert [code(answer) for answer in answers] == ["AA", "AA"]
        ids = {each["id"]: each for each in person(archive, one.first)["identifiers"]}
        assert ids[other.local_id]["state"] == "own"
        live = [each for each in person(archive, one.first)["merges"] if is_live(each)]
        assert len(live) == 1


def is_live(merged: dict[str, object]) -> bool:
    return not merged.get("ended_at")


# -- F. Unmerge, move, split -------------------------------------------------------------


def test_row_46_an_unlink_of_what_was_never_linked(archive: Archive):
    """46: AA, and nothing changes; also where the feed may unmerge."""
    one, other = patients(archive, 46)
    before = person(archive, one.first), person(archive, other.first)
    for sender in ("RIS_A", "EMPI_1"):
        said = linked("A37", one.first, other.first, sender=sender)
        assert code(archive.send(said)) == "AA"
    assert before == (person(archive, one.first), person(archive, other.first))


def test_row_47_an_identifier_moves_with_its_studies(archive: Archive):
    """47: what came under the others stays."""
    moving = Patient("4701^^^A~4702^^^A", NAMES[0], BORN[0], "F")
    other = Patient("4703^^^A", NAMES[1], BORN[1], "M")
    moving.told(archive)
    other.told(archive)
    stays, goes = (store(archive, moving.image(PatientID=i)) for i in ("4701", "4702"))
    assert merge(archive, other.first, "4702^^^A", "A43") == "AA"
    assert same(archive, "4702^^^A", "4703^^^A")
    assert not same(archive, "4701^^^A", "4702^^^A")
    now = [look(archive, seen.sent, seen.status) for seen in (stays, goes)]
    assert now[0].given == stays.given
    assert now[1].patient == (assigned_id(archive, "4703^^^A"), "E")
    assert now[1].given.PatientName == other.name
    assert studies(found(archive, PatientID="4703^^^A")) == {goes.sent.StudyInstanceUID}


@pytest.mark.parametrize(("event", "number"), [("A45", "visit"), ("A44", "account")])
def test_row_48_a_visit_moves_with_what_was_ordered_in_it(
    archive: Archive, event: str, number: str
):
    """48: its studies follow, others stay; an unknown one is a question."""
    one, other = patients(archive, 48 if event == "A45" else 480)
    seen = []
    for name in ("GOES", "STAYS"):
        said = {"accession": f"{event}{name}", number: f"{event}{name}"}
        one.ordered(archive, Ordered(study_uid=uid()), **said)
        seen.append(store(archive, one.image(AccessionNumber=f"{event}{name}")))
    unknown = {number: "NEVER", "control_id": f"row-48-{event}"}
    assert merge(archive, other.first, one.first, event, **unknown) == "AA"
    assert waiting(archive, "UNKNOWN-VISIT", f"row-48-{event}")
    assert merge(archive, other.first, one.first, event, **{number: f"{event}GOES"}) == "AA"
    goes, stays = (look(archive, each.sent, each.status) for each in seen)
    assert goes.patient == (assigned_id(archive, other.first), "E")
    assert stays.given == seen[1].given
    [order] = archive.items("/api/v1/orders", accession=f"{event}GOES")
    assert order["person"] == person(archive, other.first)["id"]


# -- G. What comes after a merge ---------------------------------------------------------


def test_row_51_an_image_under_the_old_id_is_the_survivors(archive: Archive):
    """51: and it was received under the old one."""
    one, other = patients(archive, 51)
    assert merge(archive, one.first, other.first) == "AA"
    late = store(archive, other.image())
    assert_coerced(late, assigned_id(archive, one.first))
    assert late.given.PatientName == one.name
    assert archive.received(late.sent.SOPInstanceUID).PatientID == other.local_id


def test_row_52_an_order_for_the_subsumed_id_is_the_survivors(archive: Archive):
    """52: attached to the ID that it names, shown under who survived."""
    one, other = patients(archive, 52)
    assert merge(archive, one.first, other.first) == "AA"
    other.ordered(archive, accession="ACC52B")
    [order] = archive.items("/api/v1/orders", accession="ACC52B")
    assert order["person"] == person(archive, one.first)["id"]
    seen = store(archive, one.image(PatientID="", AccessionNumber="ACC52B"))
    assert_coerced(seen, assigned_id(archive, one.first))


def test_row_57_a_deleted_patient_is_retired(archive: Archive):
    """57: nothing is deleted, and where there are studies a person is told."""
    [one] = patients(archive, 57, 1)
    seen = store(archive, one.image())
    said = adt("A29", one.identifiers, "", sender="EMPI", control_id="row-57")
    assert code(archive.send(said)) == "AA"
    known = person(archive, one.first)
    assert known["state"] == "retired"
    assert reviewed(archive, "RETIRED-PATIENT", "row-57") == {known["id"]}
    assert look(archive, seen.sent, seen.status).given == seen.given
    assert studies(found(archive, PatientID=one.first)) == {seen.sent.StudyInstanceUID}


def test_row_81_what_was_appended_under_the_old_id_goes_back_with_it(archive: Archive):
    """81: after the unmerge the study has series of both, for a person to decide."""
    one, other = patients(archive, 81)
    study = uid()
    first = store(archive, one.image(StudyInstanceUID=study))
    assert merge(archive, one.first, other.first, sender="EMPI_1") == "AA"
    late = store(archive, other.image(StudyInstanceUID=study))
    assert late.patient == (assigned_id(archive, one.first), "E")
    unmerged = linked("A37", one.first, other.first, sender="EMPI_1")
    assert code(archive.send(unmerged)) == "AA"
    now = [look(archive, seen.sent, seen.status) for seen in (first, late)]
    expected = [(assigned_id(archive, each.first), "E") for each in (one, other)]
    assert [each.patient for each in now] == expected
    assert [str(each.given.PatientName) for each in now] == [one.name, other.name]
    assert "STUDY-IDENTITY-SPLIT" in now[0].holds | now[0].reviews
