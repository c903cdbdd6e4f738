"""Storing, over a registry, without doors: what the scenarios do not walk through."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from reconcile.core.order import RequestedProcedure
from reconcile.db import tables as t
from tests.support.hospital import CT_A, JANE, Hospital
from tests.support.instances import instance


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
