"""A protected patient is shown to who may see them, and to nobody else over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconcile.db.embedded import Urls
from reconcile.flows.keys import make_key
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.hospital import JANE, NOBODY, RICHARD, Hospital
from tests.support.instances import instance, uid

STUDY, SERIES, INSTANCE, OTHER = (uid() for _ in range(4))
#: What tells who Jane is: none of it may stand in an answer.
SECRETS = ("DOE", "JANE", "19800102", '"100"', "100^^^A", '"E1"', "E1^^^E")
LISTS = (
    "/api/v1/coercions",
    "/api/v1/patients?identifier=100^^^A",
    "/api/v1/orders?accession=ACC1",
    "/api/v1/holds",
    "/api/v1/suggestions",
    "/dicom-web/studies",
    "/dicom-web/instances",
    "/api/v1/coercions.ndjson",
    "/api/v1/coercions.csv",
    "/fhir/AuditEvent",
    "/fhir/Provenance",
    "/audit",
    "/audit/export?patient=100^^^A",
    "/worklist?kind=hold",
    "/orders?accession=ACC1",
)
NAMED = (
    f"/api/v1/studies/{STUDY}/explain",
    f"/api/v1/uids/{STUDY}",
    f"/api/v1/uids/{SERIES}",
    f"/api/v1/instances/{INSTANCE}/history",
    f"/api/v1/instances/{INSTANCE}/file",
    f"/api/v1/instances/{INSTANCE}/received",
    f"/api/v1/instances/{INSTANCE}/receipts",
    f"/api/v1/instances/{INSTANCE}/check",
    f"/studies/{STUDY}",
    f"/instances/{INSTANCE}",
    "/find?q=100^^^A",
    f"/dicom-web/studies/{STUDY}",
    f"/dicom-web/studies/{STUDY}/metadata",
    f"/dicom-web/studies/{STUDY}/series",
    f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}",
    f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1",
)


@dataclass
class Ward:
    """A hospital with Jane, who is to be protected, and Richard, whom all may see."""

    hospital: Hospital
    steward: httpx.Client
    reader: httpx.Client

    def protect(self, said: bool) -> None:
        """Let the RIS say so (PD1-12)."""
        told = self.hospital.patient(JANE, "100^^^A", protected=said)
        assert told.acknowledgement == "AA"

    def read(self, path: str) -> str:
        """What a reader is answered."""
        return self.reader.get(path).raise_for_status().text


@pytest.fixture
def ward(database_urls: Urls, tmp_path: Path) -> Iterator[Ward]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    hospital.order(JANE, "100^^^A", accession="ACC1")
    named = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
    hospital.store(instance(SOPInstanceUID=INSTANCE, **named))
    hospital.store(instance(PatientName="SMITH^BOB", PatientBirthDate="19501231"))
    richard = {"PatientID": "200", "PatientName": "ROE^RICHARD", "PatientSex": "M"}
    richard |= {"PatientBirthDate": "19750506", "StudyInstanceUID": OTHER}
    hospital.store(instance(**richard))
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=True)
    parts = replace(parts, protected_roles=("steward", "auditor"))
    with open_door(parts) as door, ExitStack() as stack:

        def of(role: str) -> httpx.Client:
            key = make_key(hospital.database, name=role, role=role)
            headers = {"Authorization": f"Bearer {key}"}
            client = httpx.Client(base_url=door.base_url, headers=headers, timeout=60)
            return stack.enter_context(client)

        yield Ward(hospital, of("steward"), of("reader"))
    hospital.database.close()


def tells(text: str) -> list[str]:
    """What of Jane stands in an answer, beside the example of a form."""
    said = re.sub(r'placeholder="[^"]*"', "", text)
    return [each for each in SECRETS if each in said]


def test_who_may_not_see_them_is_told_nothing_of_them(ward: Ward) -> None:
    """No list says who it is, nothing is given out; the others are as they were."""
    before = {path: ward.read(path) for path in LISTS}
    assert any(tells(text) for text in before.values())
    ward.protect(True)
    for path in LISTS:
        assert not tells(ward.read(path)), path
    for path in NAMED:
        assert ward.reader.get(path).status_code == 403, path
    assert "ROE^RICHARD" in ward.read("/dicom-web/studies")
    assert "ROE^RICHARD" in ward.read("/api/v1/patients?identifier=200^^^A")
    assert ward.read(f"/api/v1/studies/{OTHER}/explain")


def test_who_may_see_them_sees_them(ward: Ward) -> None:
    """Nothing is changed for a role that may."""
    told = [path for path in (*LISTS, *NAMED[:2]) if path.startswith(("/api", "/dicom"))]
    before = {path: ward.steward.get(path).text for path in told}
    ward.protect(True)
    for path, text in before.items():
        assert ward.steward.get(path).text == text
    for path in (*LISTS, *NAMED):
        assert ward.steward.get(path, follow_redirects=True).status_code == 200, path


def test_a_list_keeps_its_items(ward: Ward) -> None:
    """Which attributes changed is told, and that there is somebody; no value."""
    events = ward.reader.get("/api/v1/coercions").json()["items"]
    ward.protect(True)
    masked = ward.reader.get("/api/v1/coercions").json()["items"]
    assert [each["id"] for each in masked] == [each["id"] for each in events]
    [hidden] = [e for e in masked if e["sop_instance_uid"] == INSTANCE]
    assert hidden["patient"] is None
    assert "PatientID" in hidden["attributes"]
    assert hidden["new_attributes"]["00100020"] == {"vr": "LO"}
    [somebody] = ward.reader.get("/api/v1/patients?identifier=100^^^A").json()["items"]
    assert somebody["state"] == "protected"
    alone = ward.reader.get(f"/api/v1/patients/{somebody['id']}").json()
    assert alone == somebody


def test_protection_follows_a_merge_and_its_end(ward: Ward) -> None:
    """Whoever survives for somebody protected is protected, as long as they are one."""
    ward.protect(True)
    assert ward.hospital.merge("200^^^A", "100^^^A").acknowledgement == "AA"
    assert ward.reader.get(f"/api/v1/studies/{OTHER}/explain").status_code == 403
    pair = {"surviving": "200^^^A", "prior": "100^^^A", "reason": "not one"}
    done = ward.steward.post("/api/v1/patients/unmerge", json=pair)
    assert done.status_code == 201
    assert ward.reader.get(f"/api/v1/studies/{OTHER}/explain").status_code == 200
    assert ward.reader.get(f"/api/v1/studies/{STUDY}/explain").status_code == 403


def test_a_message_that_says_nothing_of_it_changes_nothing(ward: Ward) -> None:
    """Said again it is no news; `N` lets all see them again."""
    ward.protect(True)
    ward.protect(True)
    ward.hospital.patient(NOBODY, "100^^^A")
    assert ward.reader.get(f"/api/v1/uids/{STUDY}").status_code == 403
    ward.protect(False)
    assert ward.reader.get(f"/api/v1/uids/{STUDY}").status_code == 200


def test_a_steward_protects_and_takes_it_back(ward: Ward) -> None:
    """With a reason, undoable; a dry run changes nothing; a reader may not."""
    path = "/api/v1/patients/protect"
    said: dict[str, Any] = {"patient": "100^^^A", "reason": "one of us"}
    assert ward.reader.post(path, json=said).status_code == 403
    tried = ward.steward.post(path, json=said, params={"dry_run": "true"})
    assert tried.status_code == 200
    assert ward.reader.get(f"/api/v1/uids/{STUDY}").status_code == 200
    done = ward.steward.post(path, json=said)
    assert done.status_code == 201
    assert ward.reader.get(f"/api/v1/uids/{STUDY}").status_code == 403
    taken_back = ward.steward.post(
        f"/api/v1/happenings/{done.json()['happening']}/undo", json={"reason": "no"}
    )
    assert taken_back.status_code == 201
    assert ward.reader.get(f"/api/v1/uids/{STUDY}").status_code == 200
    nobody = ward.steward.post(path, json={**said, "patient": "999^^^B"})
    assert nobody.status_code == 404
