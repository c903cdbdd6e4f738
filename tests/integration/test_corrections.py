"""Corrections from outside: over HTTP by role, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db.embedded import Urls
from tests.support.archive import http_door
from tests.support.given import disagreements, given
from tests.support.hospital import JANE, RICHARD, Hospital
from tests.support.instances import instance

WHY = {"reason": "the console was wrong"}
CONFIG = """
[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
[[source]]
ae_title = "CT_A"
domain = "A"
charset = "ISO_IR 100"
"""


@pytest.fixture
def hospital(
    database_urls: Urls, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hospital]:
    (tmp_path / "reconcile.toml").write_text(CONFIG)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    folder = tmp_path / "instances"
    hospital = Hospital.at(database_urls.writer, folder, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    assert disagreements(hospital) == []
    hospital.database.close()


@pytest.fixture
def client(hospital: Hospital) -> Iterator[httpx.Client]:
    with http_door(hospital) as found:
        yield found


@pytest.fixture
def image(hospital: Hospital) -> Dataset:
    his = {"PatientName": "ROE^RICHARD", "PatientBirthDate": "19750506"}
    image = instance(PatientID="200", **his)
    hospital.store(image)
    return image


def run(*arguments: Any, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done.stdout + done.stderr


def test_a_merge_and_its_taking_back(
    hospital: Hospital, client: httpx.Client, image: Dataset
) -> None:
    """Shown, done, told, done twice, taken back; the veto is above it."""
    pair = {"surviving": "100^^^A", "prior": "200^^^A", **WHY}
    shown = client.post("/api/v1/patients/merge", params={"dry_run": "true"}, json=pair)
    assert (shown.status_code, shown.json()["dry_run"]) == (200, True)
    assert given(hospital, image.SOPInstanceUID).PatientID == "E2"
    done = client.post("/api/v1/patients/merge", json=pair)
    assert done.status_code == 201
    [event] = done.json()["events"]
    assert (event["reason"], event["patient"]["id"]) == ("CORRECT", "E1")
    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"
    again = client.post("/api/v1/patients/merge", json=pair)
    assert (again.status_code, again.json()["events"]) == (201, [])
    back = client.post("/api/v1/patients/unmerge", json=pair)
    assert back.status_code == 201
    assert given(hospital, image.SOPInstanceUID).PatientID == "E2"
    assert client.post("/api/v1/patients/unmerge", json=pair).status_code == 409
    apart = {"one": "100^^^A", "other": "200^^^A", **WHY}
    assert client.post("/api/v1/patients/not-same", json=apart).status_code == 201
    vetoed = client.post("/api/v1/patients/merge", json=pair)
    assert vetoed.status_code == 409
    assert vetoed.headers["content-type"] == "application/problem+json"


def test_an_identifier_is_moved(
    hospital: Hospital, client: httpx.Client, image: Dataset
) -> None:
    """With all that came under it."""
    wanted = {"identifier": "200^^^A", "to": "100^^^A", **WHY}
    assert client.post("/api/v1/patients/move", json=wanted).status_code == 201
    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"


def test_a_study_is_assigned_and_that_is_undone(
    hospital: Hospital, client: httpx.Client, image: Dataset
) -> None:
    """By the event's id; a second time is told so."""
    path = f"/api/v1/studies/{image.StudyInstanceUID}/assign"
    done = client.post(path, json={"patient": "100^^^A", **WHY})
    [event] = done.json()["events"]
    undo = f"/api/v1/coercions/{event['id']}/undo"
    shown = client.post(undo, json={**WHY, "dry_run": True})
    assert shown.status_code == 200
    assert any("steward" in effect for effect in shown.json()["effects"])
    assert client.post(undo, json=WHY).status_code == 201
    assert given(hospital, image.SOPInstanceUID).PatientID == "E2"
    assert client.post(undo, json=WHY).status_code == 409
    assert client.post(undo, json={}).status_code == 400
    told = client.get(f"/api/v1/coercions/{event['id']}").json()
    assert told["undone_by"] is not None


def test_the_command_line_does_the_same(hospital: Hospital, image: Dataset) -> None:
    """Merge with a dry run, and undo by happening."""
    pair = ("100^^^A", "200^^^A", "--reason", "seen")
    shown = run("patient", "merge", *pair, "--dry-run")
    assert "would be written" in shown
    done = json.loads(run("patient", "merge", *pair, "--json"))
    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"
    run("audit", "undo", done["happening"], "--reason", "not seen")
    assert given(hospital, image.SOPInstanceUID).PatientID == "E2"
    study = str(image.StudyInstanceUID)
    run("study", "assign", study, "100^^^A", "--reason", "seen")
    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"
    run("study", "link-order", study, "NONE", "--reason", "seen", code=1)
