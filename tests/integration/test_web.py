"""The HTTP door, over a real server and a real registry."""

from __future__ import annotations

import gc
import json
import logging
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from reconcile.core.facts import Source
from reconcile.db.database import Database
from reconcile.flows.keys import make_key, revoke_key
from reconcile.web.app import make_app
from reconcile.web.parts import Parts
from reconcile.web.serve import run
from tests.support.filled import fill
from tests.support.hospital import CT_A, Hospital
from tests.support.instances import data_offset, instance, part10, with_meta
from tests.support.kept import locations, lose

DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture(scope="module")
def filled(cluster, tmp_path_factory):
    """A filled hospital that nobody changes."""
    with cluster.database() as urls:
        yield fill(urls, tmp_path_factory.mktemp("instances"))


@contextmanager
def served(hospital, *, require_keys=False, **more):
    """A client of a door over this hospital."""
    parts = Parts(
        hospital.database,
        hospital.storage,
        hospital.rules,
        require_keys=require_keys,
        **more,
    )
    opened = socket.create_server(("127.0.0.1", 0))
    stop, ready = threading.Event(), threading.Event()
    app = make_app(parts)
    door = threading.Thread(
        target=run,
        args=(app, {"http": opened}, stop),
        kwargs={"on_ready": ready.set},
    )
    door.start()
    try:
        assert ready.wait(20)
        with httpx.Client(base_url=f"http://127.0.0.1:{opened.getsockname()[1]}") as client:
            yield client
    finally:
        stop.set()
        door.join(30)
        assert not door.is_alive()
        app.state.readings.stop()


@pytest.fixture(scope="module")
def client(filled):
    """A client of the filled hospital, without keys on loopback."""
    with served(filled.hospital) as found:
        yield found


@pytest.fixture
def hospital(database_urls, tmp_path):
    """An empty hospital of the test's own."""
    return Hospital.at(database_urls.writer, tmp_path, database_urls.reader)


def path_of(filled, image):
    return (
        f"/dicom-web/studies/{filled.ordered}/series/{filled.ordered_series}"
        f"/instances/{image.SOPInstanceUID}"
    )


# -- Instances ----------------------------------------------------------------------


def test_dicomweb_client_reads_an_instance_as_given_out(filled, client):
    """
    A client that is not ours parses the multipart answer; the patient is the archive's.
    """
    image = filled.images[0]
    reader = DICOMwebClient(f"{client.base_url}/dicom-web")
    given = reader.retrieve_instance(
        filled.ordered, filled.ordered_series, str(image.SOPInstanceUID)
    )

    assert given.PatientID.startswith("E")
    assert given.IssuerOfPatientID == "E"
    assert given.StudyInstanceUID != filled.ordered
    (item,) = given.OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0].PatientID == "100"
    assert item.ModifiedAttributesSequence[0].StudyInstanceUID == filled.ordered
    assert given.PixelData == image.PixelData


def test_received_is_bit_for_bit(filled, client):
    """
    The data set of a received file is what came off the wire, byte for byte.
    """
    for image in filled.images:
        answer = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/received")
        came = part10(image)
        got = answer.content
        assert got[data_offset(got) :] == came[data_offset(came) :]
        assert answer.headers["content-type"] == "application/dicom"
        assert got[:128] == bytes(128)


def test_assigned_and_received_uids_find_the_same_instance(filled, client):
    """
    Study and series may be named by what was received and by what was assigned.
    """
    image = filled.images[1]
    sop = str(image.SOPInstanceUID)
    assigned = client.get(f"/api/v1/uids/{filled.ordered}").json()["assigned"]
    one = client.get(path_of(filled, image), headers={"Accept": "application/dicom"})
    other = client.get(
        path_of(filled, image).replace(filled.ordered, assigned),
        headers={"Accept": "application/dicom"},
    )
    alone = client.get(f"/api/v1/instances/{sop}/file")

    assert one.content == other.content == alone.content
    assert client.get(path_of(filled, image).replace(sop, "1.2.3")).status_code == 404
    assert (
        client.get(path_of(filled, image).replace(filled.ordered, "1.2")).status_code == 404
    )
    elsewhere = path_of(filled, image).replace(filled.ordered, filled.bare)
    assert client.get(elsewhere).status_code == 404


ASKED = 'multipart/related; type="application/dicom"'
MULTIPART, PROBLEM = "multipart/related", "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("*/*", 200, MULTIPART),
        (MULTIPART, 200, MULTIPART),
        (ASKED, 200, MULTIPART),
        (f"{ASKED}; transfer-syntax=*", 200, MULTIPART),
        (f"{ASKED}; transfer-syntax=1.2.840.10008.1.2.1", 200, MULTIPART),
        ("application/dicom", 200, "application/dicom"),
        ("image/png, application/dicom;q=0.5", 200, "application/dicom"),
        ("image/png", 406, PROBLEM),
        ('multipart/related; type="application/dicom+json"', 406, PROBLEM),
        (f"{ASKED}; transfer-syntax=1.2.840.10008.1.2.4.70", 406, PROBLEM),
    ],
)
def test_accept_is_honoured(filled, client, accept, status, kind):
    """
    An instance goes out in a form that its reader takes, or not at all.
    """
    answer = client.get(path_of(filled, filled.images[0]), headers={"Accept": accept})

    assert answer.status_code == status
    assert answer.headers["content-type"].split(";")[0] == kind


def test_a_deflated_instance_is_given_out_deflated(hospital):
    """
    Coerced and deflated again; received as it came.
    """
    image = with_meta(instance(PatientID="7", IssuerOfPatientID=None), DEFLATED)
    hospital.store(image, CT_A)
    sop = image.SOPInstanceUID
    with served(hospital) as client:
        given = pydicom.dcmread(
            BytesIO(client.get(f"/api/v1/instances/{sop}/file").content)
        )
        received = client.get(f"/api/v1/instances/{sop}/received").content

    came = part10(image)
    assert given.file_meta.TransferSyntaxUID == DEFLATED
    assert (given.PatientID, given.IssuerOfPatientID) == ("7", "A")
    assert given.PixelData == image.PixelData
    assert received[data_offset(received) :] == came[data_offset(came) :]


def test_a_hidden_instance_is_not_given_out(hospital):
    """
    What is held and hidden exists for stewards only; a reader does not learn of it.
    """
    hidden = Hospital(
        hospital.database, hospital.storage, replace(hospital.rules, show="hidden")
    )
    image = instance()
    hidden.store(image, Source("NOWHERE"))
    sop = image.SOPInstanceUID
    keys = {r: make_key(hospital.database, name=r, role=r) for r in ("reader", "steward")}
    with served(hospital) as client:
        answers = {
            (role, what): client.get(
                f"/api/v1/instances/{sop}/{what}",
                headers={"Authorization": f"Bearer {key}"},
            ).status_code
            for role, key in keys.items()
            for what in ("file", "received")
        }

    assert answers == {
        ("reader", "file"): 404,
        ("reader", "received"): 404,
        ("steward", "file"): 404,
        ("steward", "received"): 200,
    }


def test_a_lost_file_is_a_fault_told_without_a_trace(hospital):
    """
    A row without bytes is answered as our fault, before any byte is out.
    """
    image = instance()
    hospital.store(image, CT_A)
    for location in locations(hospital.storage):
        lose(hospital.storage, location)
    with served(hospital) as client:
        answer = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/file")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "The bytes of an instance are missing"


def test_a_reader_that_hangs_up_leaves_nothing_open(hospital):
    """
    A stream that is cut off closes its file; the door goes on serving.
    """
    image = instance(PixelData=bytes(64 << 20), Rows=8192, Columns=4096)
    hospital.store(image, CT_A)
    path = f"/api/v1/instances/{image.SOPInstanceUID}/file"
    with served(hospital) as client:
        with client.stream("GET", path) as answer:
            next(answer.iter_bytes(1024))
        deadline = time.monotonic() + 20
        while _mapped(hospital) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.05)
        assert not _mapped(hospital)
        assert len(client.get(path).content) > 64 << 20


def _mapped(hospital):
    return str(hospital.storage.root) in Path("/proc/self/maps").read_text()


# -- The history --------------------------------------------------------------------


def test_coercions_are_listed_as_the_contract_says(filled, client):
    """
    An event has the fields of the outer face, and every filter is taken.
    """
    answer = client.get(
        "/api/v1/coercions", params={"patient": "100^^^A", "limit": 2}
    ).json()

    assert set(answer) == {"items", "next", "sealed_through"}
    assert answer["sealed_through"] is None
    assert set(answer["items"][0]) >= {
        "id", "number", "recorded_at", "happening", "position", "level", "cause",
        "cause_id", "rule", "rung", "reason", "actor", "sop_instance_uid",
        "series_instance_uid", "study_instance_uid", "received_study_instance_uid",
        "patient", "original_attributes", "new_attributes", "absent", "varies",
        "undone_by", "undoes",
    }  # fmt: skip
    event = answer["items"][0]
    assert event["recorded_at"].endswith("+00:00")
    assert client.get(f"/api/v1/coercions/{event['id']}").json() == event


def test_every_filter_is_a_parameter(filled, client):
    """
    A filter that fits gives the event; one that does not, none; a tag is a keyword too.
    """
    event = client.get("/api/v1/coercions", params={"study": filled.ordered}).json()[
        "items"
    ][0]
    fits = {
        "patient": "100^^^HISA",
        "study": event["received_study_instance_uid"],
        "series": filled.ordered_series,
        "instance": event["sop_instance_uid"],
        "accession": "ACC1",
        "cause": "c-store",
        "cause_id": event["cause_id"],
        "reason": "COERCE",
        "rule": "identity",
        "source": "CT_A",
        "attribute": "00100020",
        "actor": "CT_A",
        "from": event["recorded_at"],
        "to": "2999-01-01T00:00:00Z",
    }
    nothing = {
        "patient": "no^^^A",
        "attribute": "Rows",
        "from": "2999-01-01",
        "to": "2000-01-01",
    }
    for name, value in fits.items():
        found = client.get("/api/v1/coercions", params={name: value}).json()["items"]
        assert event in found, name
        wrong = client.get("/api/v1/coercions", params={name: nothing.get(name, "1.2.3")})
        assert event not in wrong.json()["items"], name


def test_cursor_pages_are_complete(filled, client):
    """
    Following `next` gives every event once.
    """
    seen, cursor = [], ""
    while cursor is not None:
        params = {"limit": 4, "cursor": cursor}
        page = client.get("/api/v1/coercions", params=params).json()
        seen += page["items"]
        cursor = page["next"]

    assert seen == client.get("/api/v1/coercions").json()["items"]
    assert len({event["id"] for event in seen}) == len(seen) == 6


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "cursor=!", "patient=100", "patient=%5E%5E%5EA",
        "from=yesterday", "attribute=NoSuchThing", "study=" + "1" * 600,
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_a_problem_without_its_value(client, query):
    """
    400 with a problem document, which does not repeat what was asked.
    """
    answer = client.get(f"/api/v1/coercions?{query}")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status"} <= set(answer.json())
    assert "yesterday" not in answer.text


def test_lookups_answer(filled, client):
    """
    Every look-up answers, and what is not there is a 404 problem document.
    """
    sop = filled.ordered_instances[0]
    (person,) = client.get("/api/v1/patients?identifier=100^^^A").json()["items"]
    (hold,) = client.get("/api/v1/holds?kind=hold&state=open").json()["items"]
    for path in (
        f"/api/v1/instances/{sop}/history",
        f"/api/v1/instances/{sop}/receipts",
        f"/api/v1/uids/{sop}",
        f"/api/v1/studies/{filled.ordered}/explain",
        f"/api/v1/patients/{person['id']}",
        f"/api/v1/holds/{hold['id']}",
        "/api/v1/messages",
        "/api/v1/orders?accession=ACC1",
        "/openapi.json",
        "/docs",
    ):
        assert client.get(path).status_code == 200, path
    for path in (
        "/api/v1/instances/1.2.3/history",
        "/api/v1/uids/1.2.3",
        "/api/v1/studies/1.2.3/explain",
        "/api/v1/patients/nobody",
        "/api/v1/holds/none",
        "/api/v1/coercions/none",
        "/api/v1/nothing",
        "/nothing",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.post("/api/v1/coercions").status_code == 405


# -- Who may ------------------------------------------------------------------------


def test_keys_open_the_door_by_role(hospital):
    """
    No key 401, a wrong or revoked one 401, a reader's on the inbox 403; probes are open.
    """
    key = make_key(hospital.database, name="viewer", role="reader")
    steward = make_key(hospital.database, name="anna", role="steward")
    with served(hospital, require_keys=True) as client:

        def status(path, presented=""):
            headers = {"Authorization": f"Bearer {presented}"} if presented else {}
            return client.get(path, headers=headers).status_code

        assert status("/api/v1/coercions") == 401
        assert (
            status("/api/v1/coercions", key[:-1] + ("A" if key[-1] != "A" else "B")) == 401
        )
        assert status("/api/v1/coercions", "rk_x") == 401
        assert status("/api/v1/coercions", key) == 200
        assert status("/api/v1/messages", key) == 403
        assert status("/api/v1/messages", steward) == 200
        assert [status(p) for p in ("/healthz", "/readyz")] == [200, 200]
        for path in ("/metrics", "/docs", "/openapi.json", "/nothing"):
            assert status(path) == 401
        revoke_key(hospital.database, key.rpartition("_")[0][:15])
        assert status("/api/v1/coercions", key) == 401
        refused = client.get("/api/v1/coercions")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/problem+json"


def test_the_first_key_closes_an_open_door(hospital):
    """
    Without keys this machine is let in; from the first key on, nobody without one.
    """
    with served(hospital) as client:
        assert client.get("/api/v1/coercions").status_code == 200
        key = make_key(hospital.database, name="viewer", role="reader")
        assert client.get("/api/v1/coercions").status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/api/v1/coercions", headers=headers).status_code == 200


def test_without_keys_only_local_names_are_answered(client):
    """
    A page in a browser cannot reach the archive by a name that it made point here.
    """
    for name in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", ""):
        assert client.get("/api/v1/coercions", headers={"Host": name}).status_code == 401
    assert (
        client.get("/api/v1/coercions", headers={"Host": "localhost:1"}).status_code == 200
    )


def test_authentication_comes_before_the_body(hospital):
    """
    A body is not read from somebody whom nobody knows, and never past its cap.
    """
    with served(hospital, require_keys=True, body_bytes_max=100) as client:
        assert client.post("/api/v1/coercions", content=b"{" * 50).status_code == 401
        assert client.post("/api/v1/coercions", content=b"{" * 101).status_code == 413


# -- Around it ----------------------------------------------------------------------


def test_no_patient_is_logged(filled, client, caplog):
    """
    Neither query strings nor what they ask for reach the log, not even of wrong requests.
    """
    caplog.set_level(logging.DEBUG)
    for query in (
        "patient=SECRET1^^^A",
        "patient=SECRET1",
        "cursor=SECRET1",
        "limit=SECRET1",
    ):
        client.get(f"/api/v1/coercions?{query}")
    client.get("/api/v1/patients?identifier=SECRET1^^^A")

    of_ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert of_ours
    assert not [r for r in of_ours if "SECRET1" in r.getMessage()]


def test_security_headers_are_on_every_answer(client):
    """
    On success, on problems and on probes alike.
    """
    for path in ("/healthz", "/api/v1/coercions", "/api/v1/nothing", "/docs"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_a_target_has_a_cap(client):
    """
    A longer path or query than any of ours is refused before it is looked at.
    """
    assert client.get("/api/v1/coercions?study=" + "1" * 9000).status_code == 414


def test_metrics_name_no_patient_and_no_uid(filled, client):
    """
    Routes are told by their template; open holds are told by code.
    """
    client.get(f"/api/v1/uids/{filled.ordered}")
    text = client.get("/metrics").text

    assert 'route="/api/v1/uids/{uid}"' in text
    assert 'reconcile_open_items{code="DEMOGRAPHIC-CONFLICT",kind="hold"} 1.0' in text
    assert "reconcile_database_up 1.0" in text
    assert filled.ordered not in text


def test_readiness_tells_what_is_wrong(hospital):
    """
    503 while the schema is another one; ready when it is right; healthy all the time.
    """
    findings = ["the schema is at 0001, the program needs 0002"]
    with served(hospital, schema_findings=lambda: list(findings)) as client:
        wrong = client.get("/readyz")
        alive = client.get("/healthz")
        findings.clear()
        right = client.get("/readyz")

    assert (wrong.status_code, alive.status_code, right.status_code) == (503, 200, 200)
    assert wrong.json()["checks"]["schema"] != "ok"
    assert set(right.json()["checks"].values()) == {"ok"}


def test_a_database_that_is_away_is_503(hospital):
    """
    What cannot be asked now is answered with "try again later", never with a trace.
    """
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_size=1)
    broken = Hospital(away, hospital.storage, hospital.rules)
    with served(broken, require_keys=True) as client:
        headers = {"Authorization": f"Bearer rk_{'0' * 12}_{'A' * 43}"}
        answer = client.get("/api/v1/coercions", headers=headers)
        ready = client.get("/readyz")

    assert (answer.status_code, ready.status_code) == (503, 503)
    assert "retry-after" in answer.headers


def test_the_description_is_complete(client):
    """
    Every route of the outer face stands in the description, each with its answers.
    """
    paths = client.get("/openapi.json").json()["paths"]

    assert {
        "/dicom-web/studies/{study}/series/{series}/instances/{instance}",
        "/api/v1/coercions",
        "/api/v1/coercions/{event_id}",
        "/api/v1/instances/{sop_instance_uid}/history",
        "/api/v1/instances/{sop_instance_uid}/received",
        "/api/v1/instances/{sop_instance_uid}/file",
        "/api/v1/studies/{uid}/explain",
        "/api/v1/uids/{uid}",
        "/api/v1/patients",
        "/api/v1/patients/{person_id}",
        "/api/v1/holds",
        "/api/v1/holds/{hold_id}",
        "/api/v1/messages",
        "/api/v1/orders",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(paths)
    assert "patient" in json.dumps(paths["/api/v1/coercions"])
