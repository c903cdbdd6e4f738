"""What a hospital gives out of an instance, and whether everybody agrees about it."""

from __future__ import annotations

import io
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from reconcile.db import views_instances
from reconcile.db.views_audit import Event
from reconcile.flows.check import CheckFlow
from reconcile.flows.doctor import Doctor
from reconcile.flows.history import HistoryFlow
from reconcile.flows.retrieve import RetrieveFlow
from tests.support.hospital import Hospital, clock


def given(hospital: Hospital, sop_instance_uid: str) -> Dataset:
    """An instance as it is given out now; nobody has used its study by this."""
    flow = RetrieveFlow(hospital.database, hospital.storage)
    with hospital.database.read_only() as connection:
        found = views_instances.holding(connection, sop_instance_uid)
    file = b"".join(flow.as_given(found).file())
    return pydicom.dcmread(io.BytesIO(file))


def history(hospital: Hospital, sop_instance_uid: str) -> tuple[Event, ...]:
    """Its history, as everybody is told it."""
    flow = RetrieveFlow(hospital.database, hospital.storage)
    return HistoryFlow(flow).instance(sop_instance_uid)


def disagreements(hospital: Hospital) -> list[Any]:
    """What the checker and doctor find; open items are nothing wrong."""
    checked = CheckFlow(hospital.database, hospital.storage).instances()
    found: list[Any] = [each for each in checked if not each.ok]
    doctor = Doctor(hospital.database, hospital.storage, clock)
    # What waits for a person is as it should be, and nobody seals in a test.
    expected = ("open-hold", "unsealed-events")
    return found + [each for each in doctor.findings() if each.code not in expected]
