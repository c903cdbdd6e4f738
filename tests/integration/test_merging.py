"""What messages do that say who is who: the rows of the scenarios, through the flows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from reconcile.core.identity import Demographics, Issuer, PatientIdentifier, PersonName
from reconcile.core.merge import VisitMove
from reconcile.core.order import RequestedProcedure
from reconcile.db import events, links, merges, views_holds, views_patients
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.views import Where
from reconcile.flows.joining import Joining, Teller, Wanted
from tests.support.hospital import (
    ANNA,
    EMPI,
    JANE,
    MR_B,
    RICHARD,
    RIS_A,
    RIS_B,
    Hospital,
    _said,
    clock,
)
from tests.support.instances import instance, uid

STRICT = replace(RIS_A, profile="strict")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNKNOWN = {"PatientName": "UNKNOWN^MALE 3", "PatientBirthDate": "19000101"}
HIM = {"PatientName": "ROE^RICHARD", "PatientBirthDate": "19750506", "PatientSex": "M"}


@pytest.fixture
def hospital(database_urls, tmp_path):
    """P1 (A:100), P2 (A:200, B:555) and P3 (B:100) are known."""
    opened = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    opened.patient(JANE, "100^^^A")
    opened.patient(RICHARD, "200^^^A", "555^^^B", feed=EMPI)
    opened.patient(ANNA, "100^^^B", feed=RIS_B)
    return opened


def person(hospital, identifier):
    value, domain = identifier.split("^^^")
    with hospital.database.read_only() as connection:
        wanted = PatientIdentifier(value, domain)
        [found] = views_patients.by_identifier(connection, wanted)
        return found


def nobody(hospital, identifier):
    value, domain = identifier.split("^^^")
    with hospital.database.read_only() as connection:
        return not views_patients.by_identifier(
            connection, PatientIdentifier(value, domain)
        )


def own_id(hospital, identifier):
    """The archive's own ID of who owns an identifier."""
    found = person(hospital, identifier).identifiers
    return next(each.id for each in found if each.issuer == "E")


def items(hospital, kind):
    """Codes of what is open, and what is told of each."""
    with hospital.database.read_only() as connection:
        page = views_holds.holds(connection, Where(100), kind=kind, state="open")
        return {item.code: item for item in page.items}


def count(hospital, table, *where):
    with hospital.database.read_only() as connection:
        query = select(func.count()).select_from(table).where(*where)
        return connection.execute(query).scalar_one()


def live_edges(hospital):
    return count(hospital, t.merge_edge, func.upper_inf(t.merge_edge.c.recorded))


def given_id(hospital, image):
    """(Patient ID, issuer) that an instance is told to be given out with."""
    with hospital.database.read_only() as connection:
        query = (
            select(h.coercion_value.c.body)
            .join(h.coercion_event, h.coercion_event.c.id == h.coercion_value.c.event_id)
            .where(h.coercion_event.c.sop_instance_uid == str(image.SOPInstanceUID))
            .order_by(h.coercion_event.c.position.desc())
        )
        body = connection.execute(query).scalars().first()

    patient = json.loads(bytes(body))["patient"]
    return patient["id"], patient["issuer"]


def unchanged(hospital, said):
    """Whether a message leaves all persons and edges as they are."""
    before = [person(hospital, each) for each in ("100^^^A", "200^^^A", "100^^^B")]
    outcome = said()
    after = [person(hospital, each) for each in ("100^^^A", "200^^^A", "100^^^B")]
    assert before == after
    assert live_edges(hospital) == 0
    return outcome


# -- Merges ------------------------------------------------------------------------------


def test_a_merge_of_two_known_patients(hospital):
    """35: one person; studies under the survivor; a person looks at what disagrees."""
    survivor, study = own_id(hospital, "100^^^A"), uid()
    hospital.store(instance(StudyInstanceUID=study, PatientID="200", **HIM))
    done = hospital.merge("100^^^A", "200^^^A")

    assert ("applied", "AA") == (done.state, done.acknowledgement)
    assert set(items(hospital, "review")) == {"RISKY-MERGE"}
    assert "CONFLICT" in items(hospital, "review")["RISKY-MERGE"].candidates[0]["reasons"]
    for identifier in ("100^^^A", "200^^^A", "555^^^B"):
        assert own_id(hospital, identifier) == survivor
    [listed] = person(hospital, "100^^^A").studies
    assert listed.study_instance_uid == study
    shown = person(hospital, "200^^^A").demographics
    assert shown["00100010"]["Value"][0]["Alphabetic"] == "DOE^JANE"
    with hospital.database.read_only() as connection:
        received = select(t.identity.c.id_norm).join(
            t.series, t.series.c.identity_id == t.identity.c.id
        )
        assert connection.execute(received).scalar_one() == "200"


def test_the_same_merge_again(hospital):
    """36: `duplicate`, no second edge, one line more in the history."""
    hospital.merge("100^^^A", "200^^^A", at=NOON)
    before = count(hospital, h.happening)
    for at in (NOON, NOON + timedelta(days=1)):
        again = hospital.merge("100^^^A", "200^^^A", at=at)
        assert ("duplicate", "AA") == (again.state, again.acknowledgement)
    assert count(hospital, t.merge_edge) == 1
    assert count(hospital, h.happening) == before + 2


def test_a_merge_of_a_patient_with_themselves(hospital):
    """37."""
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "100^^^A"))
    assert ("refused", "AE", "205") == (done.state, done.acknowledgement, done.fault.code)


def test_a_chain_of_merges_is_kept_as_it_was_said(hospital):
    """38: 200 -> 100, 100 -> 300: everybody is 300's, by edges as said."""
    hospital.patient(JANE, "300^^^A")
    hospital.merge("100^^^A", "200^^^A")
    hospital.merge("300^^^A", "100^^^A")
    assert own_id(hospital, "200^^^A") == own_id(hospital, "300^^^A")
    assert own_id(hospital, "555^^^B") == own_id(hospital, "300^^^A")
    told = {(m.prior, m.surviving) for m in person(hospital, "300^^^A").merges}
    assert len(told) == 2
    assert len({prior for prior, _ in told}) == len({to for _, to in told}) == 2


def test_a_patient_who_is_merged_into_somebody_else_already(hospital):
    """39: listed with both survivors; nobody is moved."""
    hospital.patient(JANE, "300^^^A")
    hospital.merge("100^^^A", "200^^^A")
    done = hospital.merge("300^^^A", "200^^^A")
    assert ("held", "AA") == (done.state, done.acknowledgement)
    told = items(hospital, "message")["SUBSUMED-ELSEWHERE"].candidates
    expected = {str(person(hospital, each).id) for each in ("100^^^A", "300^^^A")}
    assert {each["patient"] for each in told} == expected
    assert own_id(hospital, "200^^^A") == own_id(hospital, "100^^^A")
    careful = replace(RIS_A, held_answer="AE")
    assert hospital.merge("300^^^A", "200^^^A", feed=careful).acknowledgement == "AE"


def test_a_merge_before_anything_else(hospital):
    """40: both are made, and later images of the prior one are the survivor's."""
    done = hospital.merge("701^^^A", "702^^^A", said=JANE)
    assert done.state == "applied"
    assert person(hospital, "701^^^A").state == "provisional"
    assert person(hospital, "702^^^A").id == person(hospital, "701^^^A").id
    late = instance(PatientID="702")
    assert hospital.store(late).held == ""
    assert given_id(hospital, late) == ("701", "A")
    assert len(person(hospital, "701^^^A").studies) == 1
    assert hospital.patient(JANE, "701^^^A").state == "applied"
    again = instance(PatientID="702")
    hospital.store(again)
    assert given_id(hospital, again) == (own_id(hospital, "701^^^A"), "E")


def test_a_sender_without_authority_merges_nobody(hospital):
    """41: RIS_B speaks of A."""
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "200^^^A", feed=RIS_B))
    assert ("held", "AE", "204") == (done.state, done.acknowledgement, done.fault.code)
    assert "NOT-AUTHORITATIVE" in items(hospital, "message")


def test_a_merge_across_domains(hospital):
    """42: by who owns both, or by an E identifier of the sender's beside it."""
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "100^^^B"))
    assert ("held", "AE") == (done.state, done.acknowledgement)
    e3 = own_id(hospital, "100^^^B")
    linked = hospital.merge("100^^^A", f"100^^^B~{e3}^^^E")
    assert linked.state == "applied"
    assert own_id(hospital, "100^^^B") == own_id(hospital, "100^^^A")
    assert hospital.merge("100^^^A", "555^^^B", feed=EMPI).state == "applied"


def test_a_person_who_said_that_two_are_not_one(hospital):
    """43: the exception names who and when."""

    def declare(connection):
        merges.exclude(connection)
        told = events.Happening("not-same", "", "STEWARD", "test", clock())
        happening_id = events.happen(connection, told)
        one, other = (person(hospital, each).id for each in ("100^^^A", "200^^^A"))
        links.declare_not_same(
            connection, one, other, actor="STEWARD", happening_id=happening_id
        )

    hospital.database.run(declare)
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "200^^^A"))
    assert done.state == "held"
    [first, *_] = items(hospital, "message")["VETOED-MERGE"].candidates
    assert first["reasons"] == [
        f"declared not the same by STEWARD on {datetime.now(UTC):%Y-%m-%d}"
    ]


def test_a_test_patient_is_no_real_one(hospital):
    """33."""
    hospital.patient(JANE, "1^^^X", feed=EMPI)
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "1^^^X", feed=EMPI))
    assert ("held", "AE") == (done.state, done.acknowledgement)
    assert "TEST-REAL-MERGE" in items(hospital, "message")


def test_a_careful_feed_has_a_person_look_first(hospital):
    """`risky_merge = "hold"`: what the gate calls two persons waits."""
    careful = replace(RIS_A, risky_merge="hold")
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "200^^^A", feed=careful))
    assert done.state == "held"
    assert "RISKY-MERGE" in items(hospital, "message")


def test_a_strict_feed_speaks_of_patients_who_are_known_and_whole(hospital):
    """ITI-8: unknown, or merged already: refused, and nothing is made."""
    done = unchanged(hospital, lambda: hospital.merge("100^^^A", "777^^^A", feed=STRICT))
    assert ("refused", "AE", "204") == (done.state, done.acknowledgement, done.fault.code)
    assert nobody(hospital, "777^^^A")
    hospital.patient(JANE, "300^^^A")
    hospital.merge("100^^^A", "200^^^A")
    below = hospital.merge("200^^^A", "300^^^A", feed=STRICT)
    assert ("refused", "204") == (below.state, below.fault.code)
    update = hospital.patient(RICHARD, "200^^^A", feed=STRICT)
    assert ("refused", "204") == (update.state, update.fault.code)


def test_an_older_merge_that_comes_late_changes_nothing(hospital):
    """54: of a merge and its inverse the newer stands; `stale` and AA for the other."""
    hospital.merge("100^^^A", "200^^^A", at=NOON)
    older = hospital.merge("200^^^A", "100^^^A", at=NOON - timedelta(hours=1))
    assert ("stale", "AA") == (older.state, older.acknowledgement)
    newer = hospital.merge("200^^^A", "100^^^A", at=NOON + timedelta(hours=1))
    assert newer.state == "applied"
    assert "INVERSE-MERGE" in items(hospital, "review")
    assert live_edges(hospital) == 1
    own = {i.id for i in person(hospital, "100^^^A").identifiers if i.state == "own"}
    assert "200" in own
    third = replace(RIS_A, application="EMPI2")
    cycle = hospital.merge("100^^^A", "200^^^A", at=NOON + timedelta(days=1), feed=third)
    assert ("refused", "205") == (cycle.state, cycle.fault.code)
    assert "CYCLE-ATTEMPT" in items(hospital, "review")


def test_a_merge_that_is_said_again_is_as_new_as_its_last_word(hospital):
    """54: what its sender said between the two does not turn it round."""
    hospital.merge("100^^^A", "200^^^A", at=NOON)
    again = hospital.merge("100^^^A", "200^^^A", at=NOON + timedelta(hours=2))
    assert again.state == "duplicate"
    between = hospital.merge("200^^^A", "100^^^A", at=NOON + timedelta(hours=1))
    assert (between.state, live_edges(hospital)) == ("stale", 1)
    assert own_id(hospital, "200^^^A") == own_id(hospital, "100^^^A")
    other = replace(RIS_A, application="EMPI2")
    later = NOON + timedelta(days=1)
    said = hospital.merge("100^^^A", "200^^^A", at=later, feed=other)
    assert said.state == "duplicate"
    newer = hospital.merge("200^^^A", "100^^^A", at=NOON + timedelta(hours=3))
    assert newer.state == "applied"


@pytest.mark.parametrize("way", ["A37", "A43"])
def test_a_study_of_two_patients_is_a_question(hospital, way):
    """81: after an unmerge or a moved ID both are shown theirs, and it is listed."""
    study = uid()
    hospital.store(instance(StudyInstanceUID=study))
    if way == "A37":
        hospital.merge("100^^^A", "200^^^A")
        late = instance(StudyInstanceUID=study, PatientID="200", **HIM)
    else:
        hospital.patient(JANE, "100^^^A", "101^^^A")
        late = instance(StudyInstanceUID=study, PatientID="101")
    assert hospital.store(late).held == ""
    assert "STUDY-IDENTITY-SPLIT" not in items(hospital, "review")
    if way == "A37":
        feed = replace(RIS_A, a37_unmerges=True)
        hospital.link("100^^^A", "200^^^A", linked=False, feed=feed)
    else:
        hospital.move("200^^^A", "101^^^A")
    told = items(hospital, "review")["STUDY-IDENTITY-SPLIT"].candidates
    both = {str(person(hospital, each).id) for each in ("100^^^A", "200^^^A")}
    assert {each["patient"] for each in told} == both


# -- What comes after a merge ------------------------------------------------------------


def test_an_image_under_the_old_id(hospital):
    """51: it is the survivor's; its series keeps the ID that it came under."""
    hospital.merge("100^^^A", "200^^^A")
    late = instance(PatientID="200", **HIM)
    assert hospital.store(late).held == ""
    assert given_id(hospital, late) == (own_id(hospital, "100^^^A"), "E")


def test_an_order_under_the_old_id(hospital):
    """52: attached to the ID it names, of the survivor."""
    hospital.merge("100^^^A", "200^^^A")
    wanted = RequestedProcedure("RP", uid())
    done = hospital.order(RICHARD, "200^^^A", accession="ACC52", procedures=(wanted,))
    assert done.state == "applied"
    image = instance(PatientID="100", AccessionNumber="ACC52")
    assert hospital.store(image).held == ""
    with hospital.database.read_only() as connection:
        query = select(t.identity.c.id_norm).join(
            t.imaging_order, t.imaging_order.c.identity_id == t.identity.c.id
        )
        assert connection.execute(query).scalar_one() == "200"


def test_an_update_of_the_old_id_does_not_overwrite_the_survivor(hospital):
    """Recorded under the prior identity; a person looks at it."""
    hospital.merge("100^^^A", "200^^^A")
    married = replace(RICHARD, name=PersonName("ROE^RICHARD^JOHN"))
    done = hospital.patient(married, "200^^^A")
    assert ("applied", "AA") == (done.state, done.acknowledgement)
    assert "UPDATE-ON-SUBSUMED" in items(hospital, "review")
    shown = person(hospital, "200^^^A").demographics
    assert shown["00100010"]["Value"][0]["Alphabetic"] == "DOE^JANE"
    assert hospital.patient(married, "200^^^A").state == "already-same"
    unmerging = replace(RIS_A, a37_unmerges=True)
    assert hospital.link("100^^^A", "200^^^A", linked=False, feed=unmerging).state
    shown = person(hospital, "200^^^A").demographics
    assert shown["00100010"]["Value"][0]["Alphabetic"] == "ROE^RICHARD^JOHN"


def test_a_temporary_identity_is_merged_and_then_used_again(hospital):
    """30: the gate is not asked; late images follow; who registers it next is another."""
    source = replace(MR_B, ae_title="CT_T", domain="T")
    early = instance(PatientID="TR-17", **UNKNOWN)
    hospital.store(early, source)
    assert hospital.merge("200^^^A", "TR-17^^^T").state == "applied"
    assert "RISKY-MERGE" not in items(hospital, "review")
    late = instance(
        PatientID="TR-17", StudyInstanceUID=str(early.StudyInstanceUID), **UNKNOWN
    )
    assert hospital.store(late, source).held == ""
    assert given_id(hospital, late) == (own_id(hospital, "200^^^A"), "E")

    other = Demographics(PersonName("UNKNOWN^FEMALE 1"), "19000101", "F")
    assert hospital.patient(other, "TR-17^^^T", event="A08").state == "applied"
    assert person(hospital, "TR-17^^^T").id == person(hospital, "200^^^A").id
    assert hospital.patient(other, "TR-17^^^T", event="A04").state == "applied"
    assert person(hospital, "TR-17^^^T").id != person(hospital, "200^^^A").id
    # what is late of the first patient's study is the first patient's
    last = instance(
        PatientID="TR-17", StudyInstanceUID=str(early.StudyInstanceUID), **UNKNOWN
    )
    assert hospital.store(last, source).held == ""
    assert given_id(hospital, last) == (own_id(hospital, "200^^^A"), "E")
    assert len(person(hospital, "200^^^A").studies) == 1


def test_a_message_that_contradicts_the_images_that_came_first(hospital):
    """50: the images' person stays apart; the message's has the ID from now on."""
    early = instance(PatientID="900")
    hospital.store(early)
    before = person(hospital, "900^^^A")
    assert hospital.patient(RICHARD, "900^^^A", event="A04").acknowledgement == "AA"
    now = person(hospital, "900^^^A")
    assert (before.id != now.id, now.state) == (True, "verified")
    assert now.demographics["00100010"]["Value"][0]["Alphabetic"] == "ROE^RICHARD"
    told = items(hospital, "review")["DEMOGRAPHIC-CONFLICT"].candidates
    assert {each["patient"] for each in told} == {str(before.id), str(now.id)}
    late = instance(PatientID="900", StudyInstanceUID=str(early.StudyInstanceUID))
    assert hospital.store(late).held == ""
    assert given_id(hospital, late) == ("900", "A")
    assert now.studies == person(hospital, "900^^^A").studies == ()
    his = instance(PatientID="900", **HIM)
    assert hospital.store(his).held == ""
    assert given_id(hospital, his) == (own_id(hospital, "900^^^A"), "E")


# -- Identifiers -------------------------------------------------------------------------


def test_an_identifier_is_changed(hospital):
    """31: no edge; what still comes under the old one follows."""
    source = replace(MR_B, ae_title="CT_T", domain="T")
    hospital.store(instance(PatientID="TR-18", **UNKNOWN), source)
    before = person(hospital, "TR-18^^^T").id
    assert hospital.change("600^^^A", "TR-18^^^T", said=JANE).state == "applied"
    assert person(hospital, "600^^^A").id == before
    assert person(hospital, "600^^^A").state == "verified"
    assert live_edges(hospital) == 0
    late = instance(PatientID="TR-18", **UNKNOWN)
    hospital.store(late, source)
    assert given_id(hospital, late) == (own_id(hospital, "600^^^A"), "E")


def test_an_identifier_that_is_taken_is_nobodys_new_one(hospital):
    """31: an exception, or a merge where the feed is set so; an unknown one is no error."""
    done = unchanged(hospital, lambda: hospital.change("100^^^A", "200^^^A"))
    assert ("held", "AE", "205") == (done.state, done.acknowledgement, done.fault.code)
    assert "IDENTITY-CONFLICT" in items(hospital, "message")
    absent = unchanged(hospital, lambda: hospital.change("601^^^A", "602^^^A"))
    assert ("already-same", "AA") == (absent.state, absent.acknowledgement)
    merging = replace(RIS_A, a47_as_merge=True)
    assert hospital.change("100^^^A", "200^^^A", feed=merging).state == "applied"
    assert live_edges(hospital) == 1


def test_an_identifier_is_moved_with_what_came_under_it(hospital):
    """47: the rest stays."""
    assert hospital.patient(JANE, "100^^^A", "101^^^A").state == "applied"
    studies = [uid(), uid()]
    for study, value in zip(studies, ("100", "101"), strict=True):
        hospital.store(instance(StudyInstanceUID=study, PatientID=value))
    assert hospital.move("200^^^A", "101^^^A").state == "applied"
    moved, stayed = (person(hospital, each).studies for each in ("200^^^A", "100^^^A"))
    assert [each.study_instance_uid for each in moved] == [studies[1]]
    assert [each.study_instance_uid for each in stayed] == [studies[0]]
    assert person(hospital, "101^^^A").id == person(hospital, "200^^^A").id
    again = hospital.move("200^^^A", "101^^^A")
    assert ("already-same", "AA") == (again.state, again.acknowledgement)
    assert hospital.move("200^^^A", "100^^^B").fault.code == "204"


@pytest.mark.parametrize("column", ["visit_number", "account_number"])
def test_a_visit_is_moved_with_its_orders_and_studies(hospital, column):
    """48: what was ordered in another visit stays; an unknown one is an exception."""
    studies = [uid(), uid()]
    for number, study in enumerate(studies):
        wanted = (RequestedProcedure("RP", study),)
        hospital.order(JANE, "100^^^A", accession=f"V{number}", procedures=wanted)
        hospital.store(instance(StudyInstanceUID=study, AccessionNumber=f"V{number}"))
    o = t.imaging_order.c
    hospital.database.run(
        lambda c: c.execute(update(t.imaging_order).values(**{column: o.accession_number}))
    )

    def move(number):
        where = {"visits" if column == "visit_number" else "accounts": (number,)}
        to, prior = _said(JANE, ["200^^^A"]), (("100", Issuer("A")),)
        return hospital.identify("A45", VisitMove(to, prior, **where), RIS_A)

    unknown = move("V9")
    assert ("held", "AA") == (unknown.state, unknown.acknowledgement)
    assert "UNKNOWN-VISIT" in items(hospital, "message")
    assert move("V1").state == "applied"
    moved, stayed = (person(hospital, each).studies for each in ("200^^^A", "100^^^A"))
    assert [each.study_instance_uid for each in moved] == [studies[1]]
    assert [each.study_instance_uid for each in stayed] == [studies[0]]
    with hospital.database.read_only() as connection:
        received = select(t.identity.c.id_norm).join(
            t.series, t.series.c.identity_id == t.identity.c.id
        )
        assert set(connection.execute(received).scalars()) == {"100"}


# -- Links, retirement -------------------------------------------------------------------


def test_a_link_moves_nothing(hospital):
    """46: recorded, taken back; of what was never linked nothing changes."""
    never = unchanged(hospital, lambda: hospital.link("100^^^A", "200^^^A", linked=False))
    assert ("already-same", "AA") == (never.state, never.acknowledgement)
    before = person(hospital, "100^^^A")
    linked = hospital.link("100^^^A", "200^^^A", at=NOON)
    assert linked.state == "applied"
    [shown] = person(hospital, "100^^^A").links
    assert (shown.one, shown.other, shown.source) == ("100^^^A", "200^^^A", "RIS_A")
    assert person(hospital, "200^^^A").links == (shown,)
    assert replace(person(hospital, "100^^^A"), links=()) == before
    again = hospital.link("200^^^A", "100^^^A", at=NOON)
    assert again.state == "already-same"
    old = hospital.link("100^^^A", "200^^^A", linked=False, at=NOON - timedelta(hours=1))
    assert (old.state, old.acknowledgement) == ("stale", "AA")
    back = hospital.link("100^^^A", "200^^^A", linked=False, at=NOON)
    assert back.state == "applied"
    live = func.upper_inf(links.identifier_link.c.recorded)
    assert (count(hospital, links.identifier_link), 0) == (
        1,
        count(hospital, links.identifier_link, live),
    )
    assert hospital.link("8^^^A", "9^^^A").state == "applied"
    assert nobody(hospital, "8^^^A")


def test_a_feed_that_means_one_person_by_a_link(hospital):
    """`a24_same_person` and `a37_unmerges`; a merge is taken back by no other A37."""
    merging = replace(RIS_A, a24_same_person=True)
    assert hospital.link("100^^^A", "200^^^A", feed=merging).state == "applied"
    assert own_id(hospital, "200^^^A") == own_id(hospital, "100^^^A")
    stays = hospital.link("100^^^A", "200^^^A", linked=False)
    assert ("already-same", 1) == (stays.state, live_edges(hospital))
    unmerging = replace(RIS_A, a37_unmerges=True)
    done = hospital.link("200^^^A", "100^^^A", linked=False, feed=unmerging)
    assert ("applied", 0) == (done.state, live_edges(hospital))
    assert own_id(hospital, "200^^^A") != own_id(hospital, "100^^^A")


def test_a_deleted_patient_is_kept(hospital):
    """57: retired; what is stored stays, and a person is told of it."""
    assert hospital.retire("200^^^A").state == "already-same"  # B knows them as well
    hospital.store(instance())
    done = hospital.retire("100^^^A")
    assert ("applied", "AA") == (done.state, done.acknowledgement)
    assert person(hospital, "100^^^A").state == "retired"
    assert "RETIRED-PATIENT" in items(hospital, "review")
    late = instance()
    assert hospital.store(late).held == ""
    assert given_id(hospital, late) == (own_id(hospital, "100^^^A"), "E")
    hospital.patient(JANE, "100^^^A", event="A28")
    assert person(hospital, "100^^^A").state == "verified"
    assert hospital.retire("100^^^B").fault.code == "204"
    assert hospital.retire("31^^^A").state == "already-same"


# -- The same steps by a person ----------------------------------------------------------


def test_a_steward_takes_the_same_steps(hospital):
    """Merged and taken back on a connection; told who is concerned, before and after."""
    reached = []

    def hook(connection, happening_id, persons):
        reached.append((happening_id, persons))

    def happen(connection, told):
        return events.happen(
            connection, events.Happening("merge", "", "STEWARD", "test", clock())
        )

    feed = replace(EMPI, application="STEWARD")
    teller = Teller(feed, "STEWARD", clock(), happen)
    joining = Joining(hospital.rules, hook)
    one, other = (person(hospital, each).id for each in ("100^^^A", "200^^^A"))
    prior = (("200", Issuer("A")),)

    def merge(connection):
        merges.exclude(connection)
        wanted = Wanted(prior, _said(JANE, ["100^^^A"]))
        return joining.merge(connection, teller, wanted)

    def unmerge(connection):
        merges.exclude(connection)
        return joining.unmerge(connection, teller, prior, (("100", Issuer("A")),))

    done = hospital.database.run(merge)
    assert (done.outcome.value, done.persons) == ("merged", {one, other})
    back = hospital.database.run(unmerge)
    assert back.persons == {one, other}
    told = [(done.happening_id, done.persons), (back.happening_id, back.persons)]
    assert reached == told
    assert hospital.database.run(unmerge).happening_id is None


def test_an_identifier_of_a_domain_that_uses_them_again(hospital):
    """What came under it before stays with the owner of before."""
    feed = replace(EMPI, application="EMPI")
    source = replace(MR_B, ae_title="CT_R", domain="R")
    hospital.patient(JANE, "1^^^R", feed=feed)
    hospital.store(instance(PatientID="1"), source)
    before = person(hospital, "1^^^R")
    held = hospital.patient(RICHARD, "1^^^R", feed=feed)
    assert held.state == "held"
    assert hospital.patient(RICHARD, "1^^^R", feed=feed, event="A28").state == "applied"
    now = person(hospital, "1^^^R")
    assert (before.id != now.id, now.studies) == (True, ())
    with hospital.database.read_only() as connection:
        kept = views_patients.by_id(connection, str(before.id))
    assert len(kept.studies) == 1


def test_what_a_merge_names_besides_is_theirs_as_well(hospital):
    """MRG-1 holds one that is known, and one that nobody has."""
    assert hospital.merge("100^^^A~102^^^A", "200^^^A~202^^^A").state == "applied"
    for identifier in ("102^^^A", "202^^^A"):
        assert own_id(hospital, identifier) == own_id(hospital, "100^^^A")


def test_two_merges_of_one_message_wait(hospital):
    """MRG-1 names two persons: nobody is merged, both are shown."""
    hospital.patient(JANE, "300^^^A")
    done = unchanged(hospital, lambda: hospital.merge("300^^^A", "100^^^A~200^^^A"))
    assert done.state == "held"
    assert len(items(hospital, "message")["IDENTITY-CONFLICT"].candidates) == 3
