"""The history is only added to, by role and by trigger; what must be one is one."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from reconcile.core.audit import commitment
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance

HISTORY = ("happening", "coercion_event", "coercion_value", "receipt")
CHANGES = ("UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE")


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital with one coerced instance."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    assert hospital.store(instance()).coerced
    return hospital


def sqlstate(error: DBAPIError) -> str:
    """Which rule of PostgreSQL's was broken."""
    return str(getattr(error.orig, "sqlstate", ""))


def refused(url: str, statement: str) -> str:
    """The SQLSTATE with which a statement is refused; empty: it was not."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except DBAPIError as error:
        return sqlstate(error)
    finally:
        engine.dispose()
    return ""


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize("change", CHANGES)
def test_the_history_is_append_only_even_for_its_owner(
    hospital, database_urls, table, change
):
    """
    The writer has no privilege to change it; the owner meets the trigger.
    """
    column = "event_id" if table == "coercion_value" else "id"
    statement = change.format(table, column)

    assert "42501" == refused(database_urls.writer, statement)
    assert "23001" == refused(database_urls.owner, statement)


def test_personal_values_can_be_erased_and_the_event_stays(hospital, database_urls):
    """
    Erasure deletes the values, and nothing else; the commitment stands in the body.
    """
    engine = create_engine(database_urls.owner)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL reconcile.erasing = 'on'"))
        connection.execute(text("DELETE FROM coercion_value"))
        left = connection.execute(select(h.coercion_event.c.body)).scalars().all()
    engine.dispose()

    assert 1 == len(left)


@pytest.mark.parametrize("table", ["person", "coercion_event"])
def test_the_reader_only_reads(hospital, database_urls, table):
    """
    Questions are asked by a role that cannot change anything.
    """
    assert "" == refused(database_urls.reader, f"TABLE {table}")
    for change in ("DELETE FROM {0}", "INSERT INTO {0} (id) VALUES (NULL)"):
        statement = change.format(table)
        assert refused(database_urls.reader, statement) in ("42501", "25006")


def test_an_event_commits_to_values_that_its_body_does_not_hold(hospital):
    """
    No Patient ID and no name is in the bytes that will be sealed, but their digest is.
    """
    with hospital.database.read_only() as connection:
        event = connection.execute(select(h.coercion_event)).one()
        values = connection.execute(select(h.coercion_value)).one()
    body = json.loads(event.body)

    assert commitment(values.nonce, values.body) == body["values"]
    assert b"DOE" not in event.body
    assert b'"E1"' not in event.body
    assert b'"E1"' in values.body
    assert (str(event.id), event.position) == (body["id"], body["position"])


def test_no_patient_data_is_in_a_happening(hospital):
    """
    A happening explains the decision with names of rungs and ids of the registry.
    """
    with hospital.database.read_only() as connection:
        rows = connection.execute(select(h.happening.c.explanation)).scalars().all()

    assert "DOE" not in json.dumps(rows)
    assert '"100"' not in json.dumps(rows)


def test_a_person_has_one_live_parent(hospital, database_urls):
    """
    A second live merge edge of the same person is refused: merges form a forest.
    """
    engine = create_engine(database_urls.writer)
    with engine.begin() as connection:
        happening_id = connection.execute(select(h.happening.c.id)).scalars().first()
        people = [uuid7() for _ in range(3)]
        for person in people:
            row = {"id": person, "canonical_id": person, "state": "verified"}
            connection.execute(t.person.insert().values(**row, happening_id=happening_id))

    def merge(survivor):
        edge = {"id": uuid7(), "subsumed_id": people[0], "survivor_id": survivor}
        with engine.begin() as connection:
            values = {**edge, "happening_id": happening_id}
            connection.execute(t.merge_edge.insert().values(**values))

    merge(people[1])
    with pytest.raises(DBAPIError) as error:
        merge(people[2])
    engine.dispose()

    assert "23P01" == sqlstate(error.value)


def test_reuse_of_an_identifier_is_a_second_row_of_a_later_time(hospital, database_urls):
    """
    One owner per (domain, ID) at a time; a closed range leaves room for the next owner.
    """
    engine = create_engine(database_urls.writer)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE identity SET valid = tstzrange(lower(valid), clock_timestamp())")
        )
    engine.dispose()

    assert "AA" == hospital.patient(JANE, "100^^^A").acknowledgement
    with hospital.database.read_only() as connection:
        owners = connection.execute(select(t.identity).where(t.identity.c.id_norm == "100"))
        assert 2 == len(owners.all())
