"""An audit repository is told of everything, in order, at least once, over TLS."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from reconcile.cli import wiring
from reconcile.cli.work_jobs import auditing as auditing_of
from reconcile.db import auditing
from reconcile.flows.auditing import LOG_USED, QUERY, AuditFlow, Heard
from reconcile.flows.doctor import Doctor
from reconcile.flows.spooling import Spooler
from reconcile.settings import load
from reconcile.web.parts import Parts
from reconcile.web.syslog import repository as told_to
from tests.support.archive import open_door
from tests.support.certificates import server_and_client
from tests.support.hospital import CT_A, JANE, Hospital, clock
from tests.support.instances import instance, uid
from tests.support.repository import repository

STUDY_FIND, IMPLICIT = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.2"
STOP = threading.Event()
CONFIGURATION = """
[audit]
repository = "127.0.0.1:{port}"
ca = "certificate.pem"
certificate = "certificate.pem"
key = "certificate.pem"
site = "Here"
"""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """TLS of the repository and of the archive."""
    server, client, _ = server_and_client(tmp_path_factory.mktemp("tls"))
    return server, client


@pytest.fixture
def hospital(database_urls, tmp_path):
    """An empty hospital of the test's own."""
    return Hospital.at(database_urls.writer, tmp_path, database_urls.reader)


@contextmanager
def reporting(hospital, contexts):
    """A repository, and a flow that tells it; the clock of the flow is a minute ahead."""
    server, client = contexts
    with repository(server) as there:
        yield there, flow_to(hospital, there.port, client)


def flow_to(hospital, port, client):
    flow = AuditFlow(
        hospital.database,
        "RECONCILE",
        told_to(("127.0.0.1", port), client, "RECONCILE", "Here"),
        clock,
    )
    flow.start()
    flow.clock = lambda: datetime.now(UTC) + timedelta(minutes=1)
    return flow


def tell(flow):
    """Tell of what there is up to now, as when the stretch has passed."""
    # nobody else is on this database: all that is below the clock has happened
    while flow.round(STOP):
        pass


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """No waiting: what is to be told has been committed before it is asked for."""
    monkeypatch.setattr("reconcile.db.telling.seen", lambda connection, now: now)


def images(study, number):
    return [
        instance(StudyInstanceUID=study, SeriesInstanceUID=uid()) for _ in range(number)
    ]


def test_stores_corrections_merges_queries_and_readings_are_told(hospital, contexts):
    """
    One message for what came of a study; a merge is two; each is valid, in its order.
    """
    hospital.patient(JANE, "100^^^A")
    hospital.patient(JANE, "101^^^A")
    with reporting(hospital, contexts) as (there, flow):
        study = uid()
        stored = images(study, 3)
        for image in stored:
            hospital.store(image, CT_A)
        hospital.store(stored[0], CT_A)
        hospital.merge("101^^^A", "100^^^A")
        spooler = Spooler(hospital.database, clock)
        spooler.note(Heard(QUERY, "VIEWER", "10.0.0.2", STUDY_FIND, b"\x08\0", IMPLICIT))
        spooler.note(
            Heard(LOG_USED, "auditor", "10.0.0.3", "/api/v1/coercions", b"study=1")
        )
        spooler.stop()
        tell(flow)
        told = there.logged
        tell(flow)

        assert there.logged == told or len(there.logged) == len(told)
    kinds = [(each.event, each.action) for each in told]
    assert kinds[0] == ("110104", "C")
    assert ("110104", "R") in kinds
    first = told[0]
    (described,) = first.root.iter("SOPClass")
    assert described.get("NumberOfInstances") == "3"
    assert first.details["received StudyInstanceUID"] == study
    assert first.details["received PatientID"] == "100^^^A"
    (given,) = first.ids("2")
    assert given.endswith("^^^E")
    merged = [each for each in told if each.event == "110110"]
    assert [(each.action, *each.ids("2")) for each in merged] == [
        ("D", "100^^^A"),
        ("U", "101^^^A"),
    ]
    assert all(each.details["MSH-10"] for each in merged)
    assert kinds[-2:] == [("110112", "E"), ("110101", "R")]
    assert told[-1].ids("12") == ["/api/v1/coercions"]
    times = [each.at for each in told]
    assert times == sorted(times)


def test_no_value_of_a_stranger_stops_it(hospital, contexts):
    """
    A NUL in a name, in what is told of an instance or of who asks, is told or replaced.
    """
    with reporting(hospital, contexts) as (there, flow):
        hospital.store(instance(PatientID="1\0", StudyDescription="a\0<&>"), CT_A)
        spooler = Spooler(hospital.database, clock)
        spooler.note(Heard(QUERY, "V\0", "", "/x\0", b"\0", ""))
        spooler.stop()
        tell(flow)
        assert [each.event for each in there.logged] == ["110104", "110112"]


def test_a_correction_of_what_is_stored_is_told(hospital, contexts):
    """
    A merge that changes stored studies is told of each study too: before and after.
    """
    hospital.patient(JANE, "100^^^A")
    hospital.patient(JANE, "101^^^A")
    hospital.store(instance(), CT_A)
    with reporting(hospital, contexts) as (there, flow):
        hospital.merge("101^^^A", "100^^^A")
        tell(flow)
        told = there.logged
    corrections = [each for each in told if each.event == "110103"]
    assert [each.action for each in corrections] == ["U"]
    assert corrections[0].details["cause"] == "adt-a40"
    assert "PatientID" in corrections[0].details["attributes"]
    assert corrections[0].ids("110180")[0]


def test_nothing_is_lost_while_the_repository_is_away(hospital, contexts):
    """
    What happens while nobody listens waits in its rows, also over a restart, and is told
    when the repository is there again.
    """
    with repository(contexts[0]) as gone:
        port = gone.port
    flow = flow_to(hospital, port, contexts[1])
    hospital.store(instance(), CT_A)
    assert not flow.round(STOP)
    assert flow.failures == 1
    assert flow.wait_until is not None

    with repository(contexts[0]) as there:
        again = flow_to(hospital, there.port, contexts[1])
        tell(again)
        assert [each.event for each in there.logged] == ["110104"]
        tell(again)
        assert len(there.logged) == 1


def test_the_doctor_sees_a_repository_that_takes_nothing(hospital, contexts):
    """
    What waits to be told for long is a finding, until it is told.
    """

    def codes(minutes):
        later = datetime.now(UTC) + timedelta(minutes=minutes)
        doctor = Doctor(hospital.database, hospital.storage, lambda: later, reports=True)
        found = [finding.code for finding in doctor.findings()]
        return [code for code in found if code != "unsealed-events"]

    with reporting(hospital, contexts) as (_, flow):
        hospital.store(instance(), CT_A)
        assert codes(5) == []
        assert codes(20) == ["audit-repository"]
        tell(flow)
    assert codes(20) == []


def test_what_broke_off_is_told_again(hospital, contexts):
    """
    A connection that breaks before the repository has closed it counts for nothing.
    """
    with reporting(hospital, contexts) as (there, flow):
        for image in images(uid(), 2):
            hospital.store(image, CT_A)
        there.cut_after = 10
        tell(flow)
        assert flow.failures == 1
        assert there.logged == []
        flow.wait_until = None
        tell(flow)
        assert [each.event for each in there.logged] == ["110104"]
        assert flow.failures == 0


def test_a_repository_that_is_not_ours_is_told_nothing(hospital, contexts, tmp_path):
    """
    A server whose certificate the authority has not made gets no message.
    """
    stranger, _, _ = server_and_client(tmp_path)
    with repository(stranger) as there:
        flow = flow_to(hospital, there.port, contexts[1])
        hospital.store(instance(), CT_A)
        tell(flow)
        assert flow.failures == 1
        assert there.streams == []


def test_the_configured_repository_is_told(database_urls, tmp_path, hospital):
    """
    [audit] says where it is and who we are; without it nobody remembers what was asked.
    """
    server, _, _ = server_and_client(tmp_path)
    file = tmp_path / "reconcile.toml"
    with repository(server) as there:
        file.write_text(CONFIGURATION.format(port=there.port))
        parts = parts_of(file, tmp_path, database_urls)
        flow, spooler = auditing_of(parts), wiring.spooling(parts)
        assert flow is not None
        assert spooler is not None
        flow.start()
        flow.clock = lambda: datetime.now(UTC) + timedelta(minutes=1)
        spooler.note(Heard(QUERY, "V", "", "1.2", b"", "1.2"))
        spooler.stop()
        wiring.note_reading(parts, "audit list")
        tell(flow)
        told = there.logged
        parts.database.close()
    assert [each.event for each in told] == ["110112", "110101"]
    assert told[1].ids("12") == ["reconcile audit list"]
    source = told[0].root.find("AuditSourceIdentification")
    assert source is not None
    assert source.get("AuditEnterpriseSiteID") == "Here"
    file.write_text("")
    nobody = parts_of(file, tmp_path, database_urls)
    assert auditing_of(nobody) is None
    assert wiring.spooling(nobody) is None


def parts_of(file, folder, urls):
    return wiring.parts(load(file, folder, {}), urls.writer, urls.reader, pool_size=4)


def test_the_spool_is_bounded(hospital, monkeypatch, caplog):
    """
    What there is no room for is lost and counted, and nobody waits.
    """
    monkeypatch.setattr(auditing, "SPOOL_MAX", 3)
    spooler = Spooler(hospital.database, clock)
    for number in range(5):
        spooler.note(Heard(QUERY, "V", "", f"1.{number}", b"", "1.2"))
    spooler.stop()
    waiting = hospital.database.run(lambda c: c.execute(auditing.spool.select()).all())
    assert [row.asked["object_id"] for row in waiting] == ["1.0", "1.1", "1.2"]
    assert "lost=2" in caplog.text


def test_the_http_door_takes_note_of_queries_and_readings(hospital):
    """
    What was answered is noted with who asked; what was refused, and anything else, is not.
    """
    hospital.store(instance(), CT_A)
    noted: list[Heard] = []
    parts = Parts(
        hospital.database,
        hospital.storage,
        hospital.rules,
        require_keys=False,
        heard=noted.append,
    )
    with open_door(parts) as client:
        for path in (
            "/dicom-web/studies?PatientID=100",
            "/api/v1/coercions",
            "/api/v1/coercions.csv",
            "/fhir/AuditEvent",
            "/fhir/metadata",
            "/fhir/AuditEvent?date=x",
            "/api/v1/holds",
        ):
            answer: httpx.Response = client.get(path)
            assert answer.status_code in (200, 400)
    assert [(each.what, each.object_id) for each in noted] == [
        (QUERY, "/dicom-web/studies"),
        (LOG_USED, "/api/v1/coercions"),
        (LOG_USED, "/api/v1/coercions.csv"),
        (LOG_USED, "/fhir/AuditEvent"),
    ]
    assert noted[0].query == b"PatientID=100"
    assert {each.actor for each in noted} == {"local"}
