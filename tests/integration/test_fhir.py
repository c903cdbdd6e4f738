"""The history as FHIR R4, checked by a library that is not ours."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.provenance import Provenance

from reconcile.db import views_audit
from reconcile.db.views import Where
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import WrongUse
from reconcile.web import fhir_resources as fhir
from reconcile.web.fhir_search import AUDIT_EVENT, period
from reconcile.web.parts import Parts
from tests.support.archive import http_door, open_door
from tests.support.filled import fill
from tests.support.hospital import CT_A, JANE, Hospital
from tests.support.instances import instance

KINDS = {"AuditEvent": AuditEvent, "Provenance": Provenance}


@pytest.fixture(scope="module")
def filled(cluster, tmp_path_factory):
    """A filled hospital that nobody changes."""
    with cluster.database() as urls:
        yield fill(urls, tmp_path_factory.mktemp("instances"))


@pytest.fixture(scope="module")
def client(filled):
    """A client of its HTTP door."""
    with http_door(filled.hospital) as found:
        yield found


@pytest.fixture(scope="module")
def events(filled):
    """All events, the first one first."""
    with filled.hospital.database.read_only() as connection:
        return views_audit.events(connection, AuditQuery(), Where(1000)).items


def search(client, kind, *parameters, **more):
    """The resources of a search, and the bundle as the library reads it."""
    answer = client.get(f"/fhir/{kind}", params=[*parameters, *more.items()])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == fhir.MEDIA_TYPE
    bundle = Bundle.model_validate(answer.json())
    return [e.resource for e in bundle.entry or () if e.search.mode == "match"], bundle


def ids(resources):
    return [each.id for each in resources]


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_is_a_valid_resource(client, events, kind):
    """
    A search answers each event once, in order, as a resource that the library accepts;
    read by its id it is the same.
    """
    found, bundle = search(client, kind)

    assert ids(found) == [str(event.id) for event in events]
    assert all(isinstance(each, KINDS[kind]) for each in found)
    one = client.get(f"/fhir/{kind}/{found[0].id}").raise_for_status()
    assert KINDS[kind].model_validate(one.json()) == found[0]
    assert [link.relation for link in bundle.link] == ["self"]


def test_an_audit_event_says_who_changed_what_of_whom(client, events, filled):
    """
    The actor asks, the archive acts; patient, study and instance are its entities.
    """
    event = events[0]
    told = client.get(f"/fhir/AuditEvent/{event.id}").json()
    patient, study, instance = told["entity"]

    assert [agent["requestor"] for agent in told["agent"]] == [True, False]
    assert told["agent"][0]["who"]["identifier"]["value"] == "CT_A"
    assert told["recorded"] == event.recorded_at.isoformat(timespec="milliseconds")
    assert patient["what"]["identifier"]["value"] == event.patient["id"]
    assert study["what"]["identifier"]["value"] == f"urn:oid:{event.study_instance_uid}"
    assert instance["what"]["identifier"]["value"].endswith(event.sop_instance_uid)
    details = {each["type"] for each in study["detail"]}
    assert {"received Study Instance UID", "new attributes, DICOM JSON"} <= details


@pytest.mark.parametrize("kind", KINDS)
def test_events_of_a_study_that_were_taken_back_are_valid(database_urls, tmp_path, kind):
    """
    A merge changes a stored study, and an undo takes it back: the resource says so.
    """
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A")
    hospital.patient(JANE, "101^^^A")
    hospital.store(instance(), CT_A)
    hospital.merge("101^^^A", "100^^^A")
    with hospital.database.read_only() as connection:
        found = views_audit.events(connection, AuditQuery(), Where(10)).items
    (wide,) = [event for event in found if event.level == "study"]
    taken_back = replace(wide, undone_by=uuid4())
    erased = replace(wide, patient=None, original_attributes=None, new_attributes=None)
    for event in (wide, taken_back, erased):
        make = {"AuditEvent": fhir.audit_event, "Provenance": fhir.provenance}[kind]
        made = make(event, hospital.rules.domains, "RECONCILE")
        assert KINDS[kind].model_validate(made).id == str(wide.id)
        told = json.dumps(made)
        assert (str(taken_back.undone_by) in told) == (
            event is taken_back and kind == "Provenance"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_pages_follow_their_links(client, events, kind):
    """
    Whoever follows `next` has every event once.
    """
    path, seen = f"/fhir/{kind}?_count=2", []
    while path:
        answer = Bundle.model_validate(client.get(path).raise_for_status().json())
        seen += [entry.resource.id for entry in answer.entry]
        path = next((link.url for link in answer.link if link.relation == "next"), "")
    assert seen == [str(event.id) for event in events]


def test_searches_find_what_a_loop_finds(client, events, filled):
    """
    Patient, entity, target, agent, subtype and time, each against all events.
    """

    def those(which):
        return [str(event.id) for event in events if which(event)]

    mine = those(lambda e: e.study_instance_uid == events[0].study_instance_uid)
    study = f"urn:dicom:uid|urn:oid:{filled.ordered}"
    image = events[1].sop_instance_uid
    middle = events[3].recorded_at
    since, until = f"ge{middle.isoformat()}", f"lt{middle.isoformat()}"
    early = those(lambda e: e.recorded_at < middle)
    late = those(lambda e: e.recorded_at >= middle)
    cases = [
        ("AuditEvent", "patient.identifier", "urn:oid:1.2.3.1|100", None),
        ("AuditEvent", "entity.identifier", study, mine),
        ("AuditEvent", "entity", events[0].study_instance_uid, mine),
        ("Provenance", "target", filled.ordered, mine),
        ("Provenance", "target:identifier", f"urn:oid:{image}", [str(events[1].id)]),
        ("AuditEvent", "agent.identifier", "MR_B", those(lambda e: e.actor == "MR_B")),
        ("AuditEvent", "subtype", "c-store", those(lambda e: True)),
        ("AuditEvent", "type", "110103,110104", those(lambda e: True)),
        ("AuditEvent", "type", "110104", []),
        ("AuditEvent", "action", "D", []),
        ("AuditEvent", "_id", str(events[2].id), [str(events[2].id)]),
        ("AuditEvent", "date", until, early),
        ("Provenance", "recorded", since, late),
        ("AuditEvent", "date", middle.date().isoformat(), those(lambda e: True)),
        ("AuditEvent", "entity", "1.2.3", []),
    ]  # fmt: skip
    for kind, name, value, wanted in cases:
        found, _ = search(client, kind, (name, value))
        if wanted is None:
            wanted = ids(search(client, kind, patient="100^^^A")[0])
            assert wanted
            assert wanted != those(lambda e: True)
        assert ids(found) == wanted, (kind, name)


def test_a_range_of_time_is_said_by_two_dates(client, events):
    """
    ITI-81 asks from one time to another; both ends are in it.
    """
    low, high = events[1].recorded_at, events[3].recorded_at
    found, _ = search(
        client,
        "AuditEvent",
        ("date", f"ge{low.isoformat()}"),
        ("date", f"le{high.isoformat()}"),
    )
    assert ids(found) == [str(event.id) for event in events[1:4]]


def test_what_is_not_searched_by_is_told(client, events):
    """
    An unknown parameter is left out and warned of, or refused on strict handling.
    """
    found, bundle = search(client, "AuditEvent", policy="x")
    assert len(found) == len(events)
    (said,) = [e.resource for e in bundle.entry if e.search.mode == "outcome"]
    assert "policy" in said.issue[0].diagnostics
    assert "policy" not in bundle.link[0].url
    strict = {"Prefer": "handling=strict"}
    refused = client.get("/fhir/AuditEvent", params={"policy": "x"}, headers=strict)
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/fhir/AuditEvent/none", 404, "not-found"),
        ("/fhir/Patient", 404, "not-found"),
        ("/fhir/AuditEvent?date=yesterday", 400, "invalid"),
        ("/fhir/AuditEvent?date=ge2026-13", 400, "invalid"),
        ("/fhir/AuditEvent?patient=100", 400, "invalid"),
        ("/fhir/AuditEvent?entity=x&entity=y", 400, "invalid"),
        ("/fhir/AuditEvent?_count=x", 400, "invalid"),
        ("/fhir/AuditEvent?_cursor=!", 400, "invalid"),
        ("/fhir/Provenance?_format=xml", 406, "not-supported"),
    ],
)
def test_every_error_is_an_operation_outcome(client, path, status, code):
    """
    What cannot be answered is said in FHIR's own form, also by the layers around it.
    """
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == fhir.MEDIA_TYPE
    assert OperationOutcome.model_validate(answer.json()).issue[0].code == code


def test_without_a_key_the_answer_is_an_operation_outcome_too(filled):
    """
    Who is not let in is told so in FHIR's form; other paths answer as before.
    """
    hospital = filled.hospital
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=True)
    with open_door(parts) as client:
        answer = client.get("/fhir/AuditEvent")
        other = client.get("/api/v1/coercions")
    assert answer.status_code == other.status_code == 401
    assert OperationOutcome.model_validate(answer.json()).issue[0].code == "login"
    assert answer.headers["www-authenticate"] == other.headers["www-authenticate"]
    assert other.headers["content-type"] == "application/problem+json"


def test_the_capability_statement_says_what_is_searched_by(client):
    """
    /fhir/metadata lists both resources with the parameters that are acted on.
    """
    told = client.get("/fhir/metadata").raise_for_status().json()
    statement = CapabilityStatement.model_validate(told)
    kinds = {each.type: each for each in statement.rest[0].resource}
    assert set(kinds) == set(KINDS)
    assert {"date", "patient", "entity", "agent"} <= {
        each.name for each in kinds["AuditEvent"].searchParam
    }
    assert statement.fhirVersion == "4.0.1"


def test_the_interface_is_described(client):
    """
    /openapi.json tells of each search its parameters, and that errors are FHIR's own.
    """
    paths = client.get("/openapi.json").json()["paths"]
    search = paths["/fhir/AuditEvent"]["get"]
    assert {each["name"] for each in search["parameters"]} == set(AUDIT_EVENT)
    for path in (each for each in paths if each.startswith("/fhir")):
        for status, said in paths[path]["get"]["responses"].items():
            if status != "422":
                assert set(said["content"]) == {fhir.MEDIA_TYPE}, (path, status)


@pytest.mark.parametrize(
    ("said", "prefix", "length"),
    [
        ("ge2026", "ge", timedelta(days=365)),
        ("2026-12", "eq", timedelta(days=31)),
        ("le2026-11-22", "le", timedelta(days=1)),
        ("lt2026-11-22T20:15Z", "lt", timedelta(minutes=1)),
        ("2026-11-22T20:15:00Z", "eq", timedelta(seconds=1)),
        ("2026-11-22T20:15:00.123 01:00", "eq", timedelta(milliseconds=1)),
    ],
)
def test_a_date_is_as_long_as_it_is_precise(said, prefix, length):
    """
    A date names the period that it does not tell apart.
    """
    found, begin, end = period(said)
    assert found == prefix
    assert end - begin == length


@pytest.mark.parametrize(
    "said", ["", "ge", "ne2026", "2026-02-30", "2026-11-22T25:00Z", "9999"]
)
def test_what_is_no_date_is_refused(said):
    """
    A date that there is none of, or that ends after all time, is wrong use.
    """
    with pytest.raises(WrongUse):
        period(said)
