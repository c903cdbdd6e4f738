"""Storing, over a registry, without doors: what the scenarios do not walk through."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from sqlalchemy import select

from reconcile.core.order import RequestedProcedure
from reconcile.db import tables as t
from reconcile.errors import DataTypeError
from reconcile.flows.message import MessageFlow
from tests.support.hospital import CT_A, JANE, Hospital, clock
from tests.support.instances import instance, uid


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital that knows Jane."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    return hospital


def reviews(hospital):
    """Codes of what wants a person's eye."""
    with hospital.database.read_only() as connection:
        return set(connection.execute(select(t.hold.c.code)).scalars())


def test_a_description_that_does_not_fit_is_not_cut(hospital):
    """
    Row 86 for other values: kept as received, and flagged.
    """
    long = RequestedProcedure("RP1", description="x" * 65)
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(long,))
    stored = hospital.store(instance(AccessionNumber="ACC1", StudyDescription="received"))

    assert "00081030" not in stored.coerced
    assert "00100020" in stored.coerced
    assert {"TOO-LONG"} == reviews(hospital)


def test_a_source_that_is_not_coerced_is_filed_and_given_out_as_it_came(hospital):
    """
    coerce = false: the person is decided, nothing is changed, no event.
    """
    stored = hospital.store(instance(), replace(CT_A, coerce=False))

    assert ((), "") == (stored.coerced, stored.held)
    with hospital.database.read_only() as connection:
        series = connection.execute(select(t.series)).one()
    assert series.identity_id is not None


def test_one_series_uid_in_two_studies_is_two_series(hospital):
    """
    The second study's series gets a UID of its own, and late images of it follow.
    """
    shared = uid()
    first = instance(SeriesInstanceUID=shared)
    second = instance(SeriesInstanceUID=shared)
    late = instance(
        StudyInstanceUID=second.StudyInstanceUID, SeriesInstanceUID=shared, InstanceNumber=2
    )
    coerced = [hospital.store(each).coerced for each in (first, second, late)]

    assert [False, True, True] == ["0020000E" in tags for tags in coerced]
    with hospital.database.read_only() as connection:
        rows = connection.execute(select(t.series)).all()
    assert {shared} == {row.received_series_instance_uid for row in rows}
    assert 2 == len({row.series_instance_uid for row in rows}) == len(rows)


def test_an_identifier_that_no_index_can_hold_is_refused_for_good(hospital):
    """
    "Try again later" would stop the feed for ever: the error says that it is the value.
    """
    long = RequestedProcedure(secrets.token_hex(20_000))
    with pytest.raises(DataTypeError):
        hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(long,))


@pytest.mark.parametrize("control_id", ["long", "1\0", "\0"])
def test_a_message_is_kept_whatever_its_control_id(hospital, control_id):
    """
    Kept first, and found again when it is repeated; its body is whole.
    """
    flow = MessageFlow(hospital.database, hospital.rules, clock)
    said = secrets.token_hex(20_000) if control_id == "long" else control_id
    header = {"sender": "RIS_A", "control_id": said, "event": "ADT^A08"}
    kept, again = (flow.keep(**header, body=b"whole") for _ in range(2))

    assert kept.message_id == again.message_id
