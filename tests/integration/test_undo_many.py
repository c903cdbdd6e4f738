"""What a rule, a source or a person did between two times is taken back, and all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.core.identity import PersonName
from reconcile.db import events, taken
from reconcile.db import history as h
from reconcile.db.embedded import Urls
from reconcile.errors import WrongUse
from reconcile.flows import undo_many
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.steward import By
from reconcile.flows.undo import Undo
from reconcile.flows.undo_many import Left, UndoMany, doings_of
from tests.integration.test_asking import at_archive
from tests.integration.test_web import served
from tests.support.given import disagreements, given
from tests.support.hospital import CT_A, EMPI, JANE, MR_B, Hospital, source_of
from tests.support.instances import instance

BY, SHOWN = By("ann", "a runaway scanner"), By("ann", "what if", dry_run=True)


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital.at(database_urls.writer, tmp_path / "i", database_urls.reader)
    made.patient(JANE, "100^^^A", "E1^^^E")
    made.patient(JANE, "100^^^B", "E2^^^E", feed=EMPI)
    yield made
    assert disagreements(made) == []
    made.database.close()


def many(hospital: Hospital) -> UndoMany:
    return UndoMany(KeptArrivals(hospital.flow().recording, source_of))


def of_scanner(since: datetime, source: str = "CT_A") -> taken.Doings:
    return doings_of("", source, "", since.isoformat(), datetime.now(UTC).isoformat())


def happening_of(hospital: Hospital, cause: str) -> UUID:
    """The last one of a cause."""
    g = h.happening.c
    query = select(g.id).where(g.cause == cause).order_by(g.id.desc()).limit(1)
    with hospital.database.read_only() as connection:
        return UUID(str(connection.execute(query).scalar_one()))


def test_what_a_scanner_sent_is_taken_back_in_steps(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The dry run names each study with what stands there now and then; others' are left; it
    goes on where it was stopped, all under one happening; and that can be taken back.
    """
    monkeypatch.setattr(undo_many, "TOGETHER", 2)
    before, since = instance(), datetime.now(UTC)
    hospital.store(before)
    since = datetime.now(UTC)
    images = [instance() for _ in range(5)]
    for image in images:
        hospital.store(image)
    other = instance()
    hospital.store(other, MR_B)
    whole = [given(hospital, i.SOPInstanceUID) for i in (before, other, *images)]
    doings = of_scanner(since)
    shown = many(hospital).of(doings, SHOWN)
    assert (shown.happenings, shown.studies, shown.happening) == (5, 5, None)
    first = shown.changes[0]
    assert first.study_instance_uid == images[0].StudyInstanceUID
    assert first.now["00100020"] == {"vr": "LO", "Value": ["E1"]}
    assert first.then["00100020"] == {"vr": "LO", "Value": ["100"]}
    assert given(hospital, images[0].SOPInstanceUID).PatientID == "E1"

    some = many(hospital).of(doings, BY, most=3)
    assert (some.happenings, some.more) == (3, 2)
    assert given(hospital, images[0].SOPInstanceUID).PatientID == "E1"
    assert given(hospital, images[4].SOPInstanceUID).PatientID == "100"
    rest = many(hospital).of(doings, BY)
    assert (rest.happenings, rest.more, rest.left) == (2, 0, ())
    assert rest.happening == some.happening
    now = [given(hospital, i.SOPInstanceUID) for i in (before, other)]
    assert now == whole[:2]
    assert {given(hospital, i.SOPInstanceUID).PatientID for i in images} == {"100"}
    assert rest.happening is not None
    with hospital.database.read_only() as connection:
        assert taken.taken_under(connection, rest.happening) == 5
    again = many(hospital).of(doings, BY)
    assert (again.happenings, again.happening) == (0, None)

    done = Undo(many(hospital).kept).happening(str(rest.happening), BY)
    assert len(done.effects) == 6


def test_what_a_rule_did_and_what_a_fact_rests_on(hospital: Hospital) -> None:
    """By its name without version; what a message rests on is left, and told why."""
    since = datetime.now(UTC)
    images = [instance() for _ in range(2)]
    for image in images:
        hospital.store(image)
    stored = happening_of(hospital, "c-store")
    hospital.patient(replace(JANE, name=PersonName("SMITH^JANE")), "100^^^A")
    message = happening_of(hospital, "adt-a08")
    row = {"happening_id": message, "depends_on": stored}
    hospital.database.run(lambda c: c.execute(insert(h.happening_dependency).values(row)))
    until = datetime.now(UTC).isoformat()
    doings = doings_of("identity", "", "", since.isoformat(), until)
    for by in (SHOWN, BY):
        found = many(hospital).of(doings, by)
        assert found.happenings == 1
        assert [(each.happening, str(message) in each.why) for each in found.left] == [
            (stored, True)
        ]
    # With the message that rests on it, it goes: the newest first.
    hospital_wide = doings_of("", "CT_A", "", since.isoformat(), until)
    Undo(many(hospital).kept).happening(str(message), BY)
    assert many(hospital).of(hospital_wide, BY).left == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": " "},
        {"source": ""},
        {"until": datetime.now(UTC) + timedelta(days=2)},
        {"until": datetime(2001, 1, 1, tzinfo=UTC)},
    ],
)
def test_what_is_meant_has_to_be_said(hospital: Hospital, wrong: dict[str, Any]) -> None:
    """A reason, whose doings, and a time that has an end."""
    given_ = {"reason": "x", "source": "CT_A", "until": datetime.now(UTC), **wrong}
    since = datetime(2020, 1, 1, tzinfo=UTC)
    doings = taken.Doings("", given_["source"], "", since, given_["until"])
    with pytest.raises(WrongUse):
        many(hospital).of(doings, By("ann", given_["reason"]))


def test_through_the_doors(
    hospital: Hospital, database_urls: Urls, tmp_path: Path, monkeypatch: Any
) -> None:
    """200 and nothing done of a dry run, 201 then; the command tells the same."""
    since = datetime.now(UTC).isoformat()
    for source in (CT_A, MR_B):
        hospital.store(instance(), source)
    until = datetime.now(UTC).isoformat()
    said = {"source": "CT_A", "from": since, "to": until, "reason": "wrong"}
    with served(hospital, sources=source_of) as client:
        shown = client.post("/api/v1/undo", json={**said, "dry_run": True})
        assert (shown.status_code, shown.json()["happenings"]) == (200, 1)
        done = client.post("/api/v1/undo", json=said)
        assert (done.status_code, done.json()["studies"]) == (201, 1)
        assert client.post("/api/v1/undo", json={**said, "source": ""}).status_code == 400
        assert client.post("/api/v1/undo", json={"reason": "x"}).status_code in (400, 422)
    at_archive(database_urls, tmp_path, monkeypatch)
    monkeypatch.setattr("reconcile.cli.wiring.storage_root", lambda _: tmp_path / "i")
    words = ["audit", "undo", "--source", "MR_B", "--from", since, "--to", until]
    words += ["--reason", "wrong"]
    told = CliRunner().invoke(app, [*words, "--dry-run"])
    assert "1 happenings would be taken back" in told.stdout, told.output
    done_too = CliRunner().invoke(app, [*words, "--json"])
    assert done_too.exit_code == 0, done_too.output
    assert json.loads(done_too.stdout)["happenings"] == 1


def test_a_deletion_is_left(hospital: Hospital) -> None:
    """What was deleted is gone: its happening is told of, and not taken back."""
    made = events.Happening("deletion", "1", "anna", "test", datetime.now(UTC))
    deletion = hospital.database.run(lambda connection: events.happen(connection, made))
    left: list[Left] = []
    by = By("anna", "all of it", False)
    assert many(hospital).each([deletion], by, None, left) == []
    assert len(left) == 1
