"""Questions to the history, each filter against a plain loop over all events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from reconcile.core.identity import Demographics, PatientIdentifier, PersonName
from reconcile.db import tables as t
from reconcile.db import (
    views_audit,
    views_checks,
    views_holds,
    views_instances,
    views_orders,
    views_patients,
    views_studies,
)
from reconcile.db.views import Where, plain
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.doctor import Doctor
from tests.support.filled import fill
from tests.support.kept import locations, lose, put


@pytest.fixture(scope="module")
def filled(cluster, tmp_path_factory):
    """A filled hospital that nobody changes."""
    with cluster.database() as urls:
        yield fill(urls, tmp_path_factory.mktemp("instances"))


@pytest.fixture
def fresh(database_urls, tmp_path):
    """A filled hospital of the test's own."""
    return fill(database_urls, tmp_path)


def ask(filled, view, *arguments, **named):
    with filled.hospital.database.read_only() as connection:
        return view(connection, *arguments, **named)


def found(filled, query, limit=1000):
    return list(ask(filled, views_audit.events, query, Where(limit)).items)


def test_every_filter_alone_finds_what_a_loop_finds(filled):
    """
    Each filter of the history answers exactly the events that it describes.
    """
    everything = found(filled, AuditQuery())
    assert len(everything) == 6
    event = everything[0]
    assigned = event.study_instance_uid
    assert assigned != filled.ordered
    middle = everything[3].recorded_at
    jane = found(filled, AuditQuery(patient=PatientIdentifier("100", "A")))[0].patient

    questions = [
        (AuditQuery(patient=PatientIdentifier("100", "A")), lambda e: e.patient == jane),
        (AuditQuery(patient=PatientIdentifier("no", "A")), lambda e: False),
        (AuditQuery(study=filled.ordered), lambda e: e.study_instance_uid == assigned),
        (AuditQuery(study=assigned), lambda e: e.study_instance_uid == assigned),
        (
            AuditQuery(series=filled.ordered_series),
            lambda e: e.series_instance_uid == event.series_instance_uid,
        ),
        (
            AuditQuery(instance=filled.ordered_instances[1]),
            lambda e: e.sop_instance_uid == filled.ordered_instances[1],
        ),
        (AuditQuery(accession="ACC1"), lambda e: e.study_instance_uid == assigned),
        (AuditQuery(cause="c-store"), lambda e: e.cause == "c-store"),
        (AuditQuery(cause="import"), lambda e: False),
        (AuditQuery(cause_id=event.cause_id), lambda e: e.cause_id == event.cause_id),
        (AuditQuery(reason="COERCE"), lambda e: e.reason == "COERCE"),
        (AuditQuery(reason="CORRECT"), lambda e: e.reason == "CORRECT"),
        (AuditQuery(rule="identity"), lambda e: e.rule.startswith("identity@")),
        (AuditQuery(rule=event.rule), lambda e: e.rule == event.rule),
        (AuditQuery(rule=event.rung), lambda e: e.rung == event.rung),
        (AuditQuery(source="MR_B"), lambda e: e.source == "MR_B"),
        (
            AuditQuery(attribute="AccessionNumber"),
            lambda e: "AccessionNumber" in e.attributes,
        ),
        (AuditQuery(attribute="PatientID"), lambda e: "PatientID" in e.attributes),
        (AuditQuery(actor="CT_A"), lambda e: e.actor == "CT_A"),
        (AuditQuery(since=middle), lambda e: e.recorded_at >= middle),
        (AuditQuery(until=middle), lambda e: e.recorded_at < middle),
    ]
    for query, holds in questions:
        assert found(filled, query) == [e for e in everything if holds(e)], query


def test_filters_together_must_all_hold(filled):
    """
    Two filters answer what both of them answer.
    """
    both = AuditQuery(study=filled.ordered, instance=filled.ordered_instances[0])

    assert [e.sop_instance_uid for e in found(filled, both)] == filled.ordered_instances[:1]
    assert found(filled, AuditQuery(study=filled.bare, source="MR_B")) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7])
def test_pages_are_complete_and_without_repeats(filled, limit):
    """
    Following the cursor answers every event once, whatever the size of a page.
    """
    seen, cursor = [], ""
    while cursor is not None:
        page = ask(filled, views_audit.events, AuditQuery(), Where(limit, cursor))
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next

    assert seen == found(filled, AuditQuery())


@pytest.mark.parametrize("cursor", ["x", "!!", "a" * 200, "ÄÖ", "MQ=="[:1]])
def test_a_cursor_of_somebody_else_is_refused(filled, cursor):
    """
    What is no cursor of ours is a wrong parameter, and no fault of the archive.
    """
    with pytest.raises(WrongUse):
        ask(filled, views_audit.events, AuditQuery(), Where(10, cursor))


def test_an_event_tells_what_was_and_what_became(filled):
    """
    The item holds the previous values whole; what had been absent is told apart.
    """
    event = found(filled, AuditQuery(study=filled.ordered))[0]
    previous = event.original_attributes["04000550"]["Value"][0]

    assert previous["00100020"]["Value"] == ["100"]
    assert event.new_attributes["00100020"]["Value"] == [event.patient["id"]]
    assert previous["0020000D"]["Value"] == [filled.ordered]
    assert event.received_study_instance_uid == filled.ordered
    assert "00100021" in event.absent
    assert set(event.original_attributes) >= {
        "04000562",
        "04000563",
        "04000564",
        "04000565",
    }
    assert event == ask(filled, views_audit.event, str(event.id))


def test_what_is_not_there_is_not_found(filled):
    """
    Ids and UIDs that nobody has are NotFound, also those that are none.
    """
    for view in (views_audit.event, views_holds.hold, views_patients.by_id):
        for wrong in ("nobody", "00000000-0000-0000-0000-000000000000"):
            with pytest.raises(NotFound):
                ask(filled, view, wrong)
    for by_uid in (
        views_audit.history,
        views_studies.uids,
        views_studies.study_explained,
        views_instances.arrivals,
        views_instances.holding,
        views_instances.received,
    ):
        with pytest.raises(NotFound):
            ask(filled, by_uid, "1.2.3.999")


def test_history_of_an_instance_is_its_own(filled):
    """
    An instance's history has its events and no other's.
    """
    for sop_instance_uid in filled.ordered_instances:
        events = ask(filled, views_audit.history, sop_instance_uid)
        assert [e.sop_instance_uid for e in events] == [sop_instance_uid]


def test_uids_are_found_by_either_name(filled):
    """
    A received and an assigned UID answer the same.
    """
    by_received = ask(filled, views_studies.uids, filled.ordered)
    assert by_received == ask(filled, views_studies.uids, by_received.assigned)
    assert (by_received.level, by_received.received) == ("study", (filled.ordered,))
    assert ask(filled, views_studies.uids, filled.ordered_series).level == "series"
    assert plain(ask(filled, views_studies.uids, filled.ordered_instances[0])) == {
        "level": "instance",
        "received": [filled.ordered_instances[0]],
        "assigned": filled.ordered_instances[0],
        "others": [],
    }


def test_explain_tells_the_rung_and_the_order(filled):
    """
    A coerced study names the rungs that decided, its order and its person.
    """
    told = ask(filled, views_studies.study_explained, filled.ordered)

    assert sum(d.instances for d in told.decisions) == 3
    assert {d.outcome for d in told.decisions} == {"coerce"}
    assert told.decisions[0].rung.startswith("O+I")
    assert {e["rung"] for e in told.decisions[0].evidence} >= {"O", "I", "G"}
    assert told.decisions[0].study_rule == "order-uid"
    assert [order.accession_number for order in told.orders] == ["ACC1"]
    assert told.received == (filled.ordered,)
    assert "100^^^A" in told.persons[str(told.decisions[0].person)]
    assert any("Study Instance UID of its order" in s for s in told.sentences)
    assert told == ask(filled, views_studies.study_explained, told.study_instance_uid)


def test_explain_tells_why_a_study_is_held(filled):
    """
    A held study names what contradicts it, what waits, and what would change it.
    """
    told = ask(filled, views_studies.study_explained, filled.held)

    assert told.decisions[0].outcome == "DEMOGRAPHIC-CONFLICT"
    assert told.decisions[0].person is None
    assert {"I", "G"} <= {e["rung"] for e in told.decisions[0].lost}
    assert [item.code for item in told.open_items if item.kind == "hold"] == [
        "DEMOGRAPHIC-CONFLICT"
    ]
    assert "ADT" in told.decisions[0].would_change


def test_a_person_is_found_by_any_identifier(filled):
    """
    Identifiers, demographics and studies of the person who owns an identifier.
    """
    (jane,) = ask(filled, views_patients.by_identifier, PatientIdentifier("100", "A"))

    assert jane.state == "verified"
    assert jane.demographics["00100010"]["Value"] == [{"Alphabetic": "DOE^JANE"}]
    assert {i.issuer for i in jane.identifiers} >= {"A", "E"}
    assert len(jane.studies) == 2
    assert filled.held not in {s.study_instance_uid for s in jane.studies}
    assert ask(filled, views_patients.by_id, str(jane.id)) == jane
    assert not ask(filled, views_patients.by_identifier, PatientIdentifier("?", "A"))


def test_what_was_known_then_is_answered_as_it_was(fresh):
    """
    as_of answers from what had been recorded, not from what is.
    """
    hospital = fresh.hospital
    identifier = PatientIdentifier("100", "A")
    before = datetime.now(UTC)
    married = Demographics(PersonName("SMITH^JANE"), "19800102", "F")
    hospital.patient(married, "100^^^A")

    def name(as_of=None):
        (person,) = ask(fresh, views_patients.by_identifier, identifier, as_of)
        return person.demographics["00100010"]["Value"][0]["Alphabetic"]

    assert name() == "SMITH^JANE"
    assert name(before) == "DOE^JANE"
    early = fresh.began - timedelta(days=1)
    assert ask(fresh, views_patients.by_identifier, identifier, early) == ()


def test_orders_tell_their_steps_and_studies(filled):
    """
    An order is found by its accession, with the study that was acquired for it.
    """
    (order,) = ask(filled, views_orders.orders, "ACC1", Where()).items
    told = ask(filled, views_studies.uids, filled.ordered)

    assert order.studies == (told.assigned,)
    assert order.procedures[0].rp_id == "RP1"
    assert "100^^^A" in order.identifiers
    assert ask(filled, views_orders.orders, "no", Where()).items == ()


def test_holds_and_messages_are_listed(filled):
    """
    The worklist tells codes and instances; the inbox tells what messages did.
    """
    (hold,) = ask(filled, views_holds.holds, Where(), kind="hold", state="open").items
    assert hold.code == "DEMOGRAPHIC-CONFLICT"
    assert hold.instances == len(hold.sop_instance_uids) == 1
    assert hold.received["00100020"]["Value"] == ["200"]
    assert ask(filled, views_holds.hold, str(hold.id)) == hold

    messages = ask(filled, views_holds.messages, Where()).items
    assert [m.event for m in messages] == ["ORM^O01", "ADT^A08", "ADT^A08"]
    assert {m.state for m in messages} == {"applied"}


def test_doctor_finds_nothing_where_nothing_is_wrong(filled):
    """
    A registry that only the flows have written to agrees with itself.
    """
    hospital = filled.hospital
    doctor = Doctor(hospital.database, hospital.storage, lambda: datetime.now(UTC))

    assert list(doctor.findings()) == []
    assert ask(filled, views_checks.counts)["coercion_events"] == 6


def test_doctor_finds_files_without_rows_and_rows_without_files(fresh):
    """
    A file that no receipt names and a receipt that names no file are both told.
    """
    storage = fresh.hospital.storage
    *_, lost = locations(storage)  # what stands behind a broken member is not found
    lose(storage, lost)
    stray = "ab" * 32
    put(storage, stray, b"stray")
    doctor = Doctor(fresh.hospital.database, storage, lambda: datetime.now(UTC))

    assert {(f.code, f.subject) for f in doctor.findings()} == {
        ("row-without-bytes", lost.digest),
        ("bytes-without-row", stray),
    }


def test_doctor_finds_a_state_that_is_not_the_fold(fresh):
    """
    An assignment that the history does not tell of is a finding.
    """
    victim = fresh.ordered_instances[0]
    change = update(t.instance).where(t.instance.c.sop_instance_uid == victim)
    with fresh.hospital.database.writer.begin() as connection:
        connection.execute(change.values(assignment_id=None))
    doctor = Doctor(
        fresh.hospital.database, fresh.hospital.storage, lambda: datetime.now(UTC)
    )

    assert [(f.code, f.subject) for f in doctor.findings()] == [("state-not-fold", victim)]


def test_old_holds_are_a_finding(filled):
    """
    A held study that nobody decides for days is told, by code and age; and what nobody
    has sealed.
    """
    later = datetime.now(UTC) + timedelta(days=10)
    doctor = Doctor(filled.hospital.database, filled.hospital.storage, lambda: later)

    assert [f.code for f in doctor.findings()] == ["open-hold", "unsealed-events"]
