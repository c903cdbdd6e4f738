"""Resolving a hold from outside: over HTTP by role, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.flows.keys import make_key
from tests.support.archive import http_door
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance

REASON = {"reason": "the console was wrong"}
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
def hospital(database_urls, tmp_path, monkeypatch):
    """A hospital that the environment points to, where one UID has two contents."""
    (tmp_path / "reconcile.toml").write_text(CONFIG)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    folder = tmp_path / "instances"
    hospital = Hospital.at(database_urls.writer, folder, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    return hospital


@pytest.fixture
def image(hospital) -> Dataset:
    """The one that is given out."""
    first = instance()
    second = deepcopy(first)
    second.SeriesDescription = "right"
    for each in (first, second):
        hospital.store(each)
    return first


@pytest.fixture
def client(hospital) -> Iterator[httpx.Client]:
    with http_door(hospital) as found:
        yield found


def run(*arguments: Any, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done.stdout + done.stderr


def held() -> dict[str, Any]:
    (item,) = run("hold", "list", "--code", "DUPLICATE-DIFFERS", "--json").splitlines()
    found: dict[str, Any] = json.loads(item)
    return found


def test_who_may_resolve_is_who_may_change(hospital, image, client):
    """
    Steward and administrator; a reader and an auditor look on. The actor is the key's.
    """
    roles = ("reader", "auditor", "steward", "administrator")
    keys = {
        role: make_key(hospital.database, name=f"a {role}", role=role) for role in roles
    }
    said = {"action": "reject", "version": 1, **REASON}
    path = f"/api/v1/holds/{held()['id']}/resolve"

    def status(role: str) -> int:
        headers = {"Authorization": f"Bearer {keys[role]}"}
        return int(client.post(path, json=said, headers=headers).status_code)

    assert client.post(path, json=said).status_code == 401
    assert [status(role) for role in roles] == [403, 403, 201, 409]
    (item,) = run("hold", "list", "--state", "closed", "--json").splitlines()
    assert json.loads(item)["closed_by"] == "a steward"


@pytest.mark.parametrize(
    "said",
    [
        {"action": "reject", "version": 1},
        {"action": "reject", "version": 1, "reason": ""},
        {"action": "reject", **REASON},
        {"action": "reject", "version": "one", **REASON},
        {"action": "accept", "version": 1, **REASON},
        {"action": "reject", "version": 1, **REASON, "force": True},
        {"action": "replace", "version": 1, **REASON, "receipt": "none"},
        [],
    ],
)
def test_what_is_not_said_right_is_refused(hospital, image, client, said):
    """
    A problem document, and the item stays open.
    """
    answer = client.post(f"/api/v1/holds/{held()['id']}/resolve", json=said)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert held()["version"] == 1


def test_a_page_of_somebody_elses_cannot_resolve(hospital, image, client):
    """
    What a browser sends without asking first is no JSON, and is not read as such.
    """
    said = json.dumps({"action": "reject", "version": 1, **REASON})
    path = f"/api/v1/holds/{held()['id']}/resolve"
    for headers in ({}, {"Content-Type": "text/plain"}):
        assert client.post(path, content=said, headers=headers).status_code == 400

    assert held()["version"] == 1


def test_the_answer_holds_the_item_and_its_events(hospital, image, client):
    """
    201, with what the resolution did; a stale version is told who was first.
    """
    item = held()
    path = f"/api/v1/holds/{item['id']}"
    stale = client.post(
        f"{path}/resolve", json={"action": "reject", "version": 3, **REASON}
    )
    answer = client.post(
        f"{path}/resolve", json={"action": "replace", "version": 1, **REASON}
    )
    late = client.post(f"{path}/resolve", json={"action": "reject", "version": 1, **REASON})

    assert (stale.status_code, answer.status_code, late.status_code) == (409, 201, 409)
    assert "version 1" in stale.json()["detail"]
    assert late.json()["detail"].startswith("resolved by local at ")
    told = answer.json()
    assert told["hold"] == client.get(path).json()
    assert ("closed", 2) == (told["hold"]["state"], told["hold"]["version"])
    history = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/history").json()
    assert told["events"] == history["items"][1:]
    assert {told["happening"]} == {each["happening"] for each in told["events"]}
    unknown = client.post("/api/v1/holds/none/resolve", json={"action": "", **REASON})
    assert unknown.status_code == 400
    nobodys = {"action": "reject", "version": 1, **REASON}
    assert client.post("/api/v1/holds/none/resolve", json=nobodys).status_code == 404


def test_the_command_line_resolves(hospital, image):
    """
    `replace` gives the held one out; what cannot be done is one sentence and a code.
    """
    item = held()
    resolve = ("hold", "resolve", item["id"])
    run(*resolve, "replace", code=2)
    assert "replace or reject" in run(*resolve, "accept", "--reason", "no", code=2)
    assert "receipt is one of" in run(
        *resolve, "replace", "--reason", "yes", "--receipt", "none", code=2
    )
    said = run(*resolve, "replace", "--reason", "the console was wrong")
    assert item["id"] in said
    assert "resolved by local" in run(*resolve, "reject", "--reason", "late", code=1)
    run("hold", "resolve", "none", "reject", "--reason", "nobody", code=1)
    events = run("instance", "history", image.SOPInstanceUID, "--json").splitlines()
    assert ["c-store", "resolve"] == [json.loads(each)["cause"] for each in events]
    run("doctor")
