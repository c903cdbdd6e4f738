"""The history as a file, over HTTP and from the command line."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace

import pytest

from reconcile.db import views_audit
from reconcile.db.views import Where, plain
from reconcile.db.views_audit import AuditQuery
from reconcile.flows import exporting
from tests.support.archive import http_door
from tests.support.filled import fill
from tests.support.hospital import CT_A, JANE, Hospital
from tests.support.instances import instance


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


def events(filled, query=None):
    with filled.hospital.database.read_only() as connection:
        return views_audit.events(connection, query or AuditQuery(), Where(1000)).items


def table(content):
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_ndjson_has_every_event_whole(filled, client, monkeypatch):
    """
    Each line is an event as the list tells it, in the same order, over all pages.
    """
    monkeypatch.setattr(exporting, "PAGE", 2)
    answer = client.get("/api/v1/coercions.ndjson").raise_for_status()
    lines = [json.loads(line) for line in answer.text.splitlines()]

    assert lines == client.get("/api/v1/coercions").json()["items"]
    assert len(lines) == 6
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_an_export_takes_the_filters_of_the_list(filled, client, form):
    """
    What is exported is what the list answers to the same question; a wrong one is told.
    """
    asked = {"study": filled.ordered}
    found = client.get(f"/api/v1/coercions.{form}", params=asked).raise_for_status()
    rows = (
        table(found.content)
        if form == "csv"
        else map(json.loads, found.text.split("\n")[:-1])
    )

    assert {row["id"] for row in rows} == {
        str(e.id) for e in events(filled, AuditQuery(**asked))
    }
    wrong = client.get(f"/api/v1/coercions.{form}", params={"from": "yesterday"})
    assert wrong.status_code == 400
    assert wrong.headers["content-type"] == "application/problem+json"


def test_csv_has_a_row_for_every_change(filled, client):
    """
    A row for each attribute of the item, with what was there before and what became of it.
    """
    rows = table(client.get("/api/v1/coercions.csv").raise_for_status().content)

    assert tuple(rows[0]) == exporting.COLUMNS
    of = Counter(row["id"] for row in rows)
    for event in events(filled):
        held = {*exporting.modified(event.original_attributes), *event.new_attributes}
        assert of[str(event.id)] == len(held)
    named = {(row["attribute"], row["before"]): row for row in rows}
    changed = named["PatientID", "100"]
    assert changed["after"].startswith("E")
    assert changed["patient_id"] == changed["after"]
    assert named["IssuerOfPatientID", ""]["note"] == exporting.ABSENT


def test_what_was_erased_is_said_to_be(filled):
    """
    An event whose personal values are gone still tells which attributes changed.
    """
    event = replace(events(filled)[0], original_attributes=None, new_attributes=None)
    rows = list(exporting.rows(event))

    assert [row[-5] for row in rows] == list(event.attributes)
    assert {row[-1] for row in rows} == {exporting.ERASED}
    assert plain(event.id) in rows[0]


def test_an_event_of_a_study_tells_what_varies(database_urls, tmp_path):
    """
    What its instances do not have in common has a row, and no value.
    """
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A")
    hospital.patient(JANE, "101^^^A")
    hospital.store(instance(), CT_A)
    hospital.merge("101^^^A", "100^^^A")
    rows = table(b"".join(exporting.csv(hospital.database, AuditQuery())))
    wide = [row for row in rows if row["level"] == "study"]

    assert {row["cause"] for row in wide} == {"adt-a40"}
    varying = {row["attribute"] for row in wide if exporting.VARIES in row["note"]}
    assert "InstanceCoercionDateTime" in varying
    changed = next(row for row in wide if row["attribute"] == "PatientID")
    assert changed["before"] != changed["after"]


def test_no_transaction_is_open_while_somebody_reads(filled, monkeypatch):
    """
    Between two chunks no connection of the export is in use: a slow reader stops nobody.
    """
    monkeypatch.setattr(exporting, "PAGE", 1)
    database = filled.hospital.database
    made = exporting.ndjson(database, AuditQuery())

    next(made)
    assert database.reader.pool.checkedout() == 0
    made.close()


def test_a_name_that_looks_like_a_formula_is_text(cluster, tmp_path):
    """
    A patient whose name begins with "=" is exported as text, and read back exactly.
    """

    with cluster.database() as urls:
        hospital = Hospital.at(urls.writer, tmp_path, urls.reader)
        hospital.store(instance(PatientID="=1+1", PatientName="@SUM^A1"), CT_A)
        content = b"".join(exporting.csv(hospital.database, AuditQuery()))
        hospital.database.close()
    cells = [cell for row in table(content) for cell in row.values()]

    assert "'=1+1" in cells
    assert not [cell for cell in cells if cell[:1] in ("=", "@")]
    assert "=1+1" in map(exporting.unescaped, cells)
