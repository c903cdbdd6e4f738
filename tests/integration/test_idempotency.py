"""Idempotency-Key over HTTP: done once, told twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update

from reconcile.db import history as h
from reconcile.db.answered import CLAIMED, KEPT, answered_request
from reconcile.db.embedded import Urls
from reconcile.errors import ServiceUnavailable
from reconcile.flows.steward_patients import StewardPatients
from tests.support.archive import http_door
from tests.support.hospital import JANE, RICHARD, Hospital

MERGE = "/api/v1/patients/merge"
PAIR = {"surviving": "100^^^A", "prior": "200^^^A", "reason": "they are one"}
KEY = {"Idempotency-Key": "0b6c"}


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    hospital.database.close()


@pytest.fixture
def client(hospital: Hospital) -> Iterator[httpx.Client]:
    with http_door(hospital) as found:
        yield found


def happenings(hospital: Hospital) -> int:
    with hospital.database.read_only() as connection:
        counted = select(func.count()).select_from(h.happening)
        return connection.execute(counted).scalar_one()


def age(hospital: Hospital, by: timedelta, **change: object) -> None:
    """Let what is kept have been claimed so long ago."""
    older = update(answered_request).values(
        claimed_at=answered_request.c.claimed_at - by, **change
    )
    hospital.database.run(lambda connection: connection.execute(older))


def test_the_same_request_again_is_told_the_same_and_does_nothing(
    hospital: Hospital, client: httpx.Client
) -> None:
    """The unmerge between them stands: the second merge was not one."""
    done = client.post(MERGE, json=PAIR, headers=KEY)
    assert done.status_code == 201
    assert "idempotent-replayed" not in done.headers
    back = client.post("/api/v1/patients/unmerge", json=PAIR)
    assert back.status_code == 201
    before = happenings(hospital)
    again = client.post(MERGE, json=PAIR, headers=KEY)
    assert (again.status_code, again.content) == (201, done.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == done.headers["content-type"]
    assert happenings(hospital) == before


def test_a_key_is_of_one_request(hospital: Hospital, client: httpx.Client) -> None:
    """Another body, path or query under it: 422; a key that is none: 400."""
    assert client.post(MERGE, json=PAIR, headers=KEY).status_code == 201
    before = happenings(hospital)
    other = {**PAIR, "reason": "another"}
    assert client.post(MERGE, json=other, headers=KEY).status_code == 422
    asked = client.post(MERGE, json=PAIR, headers=KEY, params={"dry_run": "true"})
    assert asked.status_code == 422
    elsewhere = client.post("/api/v1/patients/unmerge", json=PAIR, headers=KEY)
    assert elsewhere.status_code == 422
    for bad in ("", "x" * 256, "tab\there"):
        none = client.post(MERGE, json=PAIR, headers={"Idempotency-Key": bad})
        assert none.status_code == 400
        assert none.headers["content-type"] == "application/problem+json"
    assert happenings(hospital) == before


def test_what_is_refused_is_told_again(client: httpx.Client) -> None:
    """A refusal is an answer."""
    nobody = {**PAIR, "prior": "999^^^A"}
    first = client.post(MERGE, json=nobody, headers=KEY)
    assert 400 <= first.status_code < 500
    again = client.post(MERGE, json=nobody, headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"


def test_what_failed_here_may_be_asked_again(
    hospital: Hospital, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 5xx is no answer to keep: the next request with the key is acted on."""
    with monkeypatch.context() as broken:
        broken.setattr(StewardPatients, "merge", _away)
        assert client.post(MERGE, json=PAIR, headers=KEY).status_code == 503
    done = client.post(MERGE, json=PAIR, headers=KEY)
    assert done.status_code == 201
    assert "idempotent-replayed" not in done.headers


def _away(*_: object) -> None:
    raise ServiceUnavailable("the database is away")


def test_at_once_it_is_done_once(hospital: Hospital, client: httpx.Client) -> None:
    """Eight senders of one request: one does it, the others hear of it or that it is on."""
    before = happenings(hospital)

    def send(_: int) -> int:
        return client.post(MERGE, json=PAIR, headers=KEY).status_code

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(send, range(8)))
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert happenings(hospital) == before + 1


def test_who_died_leaves_the_key_to_the_next(
    hospital: Hospital, client: httpx.Client
) -> None:
    """A claim without an answer is void after a while; an answer is forgotten in a day."""
    assert client.post(MERGE, json=PAIR, headers=KEY).status_code == 201
    age(hospital, timedelta(0), status=None)
    assert client.post(MERGE, json=PAIR, headers=KEY).status_code == 409
    age(hospital, CLAIMED + timedelta(minutes=1))
    taken = client.post(MERGE, json=PAIR, headers=KEY)
    assert (taken.status_code, taken.json()["events"]) == (201, [])
    age(hospital, KEPT + timedelta(minutes=1))
    anew = client.post(MERGE, json={**PAIR, "reason": "another"}, headers=KEY)
    assert anew.status_code == 201
    assert "idempotent-replayed" not in anew.headers
