"""A history that grows at will, and what seals it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, text

from reconcile.core.audit import Values
from reconcile.db import events
from reconcile.db import history as h
from reconcile.db.events import Happening, InstanceEvent
from reconcile.flows.seal import Sealer
from reconcile.flows.signing import Signer
from tests.support.hospital import JANE, Hospital, clock
from tests.support.instances import instance

SECONDS = 60.0
VALUES = Values(
    {"id": "E1", "issuer": "E"}, {}, {"00100020": {"vr": "LO", "Value": ["E1"]}}
)


@dataclass
class Sealed:
    """A hospital with one coerced instance, and the sealer of its history."""

    hospital: Hospital
    sealer: Sealer

    def __iter__(self) -> Iterator[Any]:
        return iter((self.hospital, self.sealer))

    def pattern(self) -> Row[Any]:
        """The event that further ones are made after."""
        with self.hospital.database.read_only() as connection:
            query = select(h.coercion_event).order_by(h.coercion_event.c.position).limit(1)
            return connection.execute(query).one()

    def store(self, count: int) -> None:
        """So many instances more, each with an event of its own."""
        for _ in range(count):
            assert self.hospital.store(instance()).coerced

    def seal(self, size: int) -> None:
        """Until so many are sealed: who writes in another database is waited for, too."""
        deadline = time.monotonic() + SECONDS
        while (found := self.sealer.seal_all()) < size:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        assert found == size

    def grow(self, count: int) -> list[UUID]:
        """So many events more, in one transaction."""
        pattern = self.pattern()
        made: list[UUID] = self.hospital.database.run(
            lambda connection: [add(connection, pattern) for _ in range(count)]
        )
        return made


def add(connection: Connection, pattern: Row[Any]) -> UUID:
    """One event more of the instance of another, and its happening."""
    now = clock()
    happening = events.happen(
        connection, Happening("c-store", "CT_A/1/1", "CT_A", "test", now, "identity@3")
    )
    event = InstanceEvent(
        happening,
        pattern.instance_id,
        pattern.receipt_id,
        pattern.study_id,
        pattern.person_id,
        "COERCE",
        "CT_A",
        pattern.sop_instance_uid,
        pattern.series_instance_uid,
        pattern.study_instance_uid,
        pattern.received_study_instance_uid,
        ("PatientID",),
        now,
    )
    return events.record(connection, event, VALUES)


def sealer_of(hospital: Hospital, name: str = "log.example/test", **more: Any) -> Sealer:
    """What seals a hospital's history, with a key of its own."""
    tiles = hospital.storage.tiles
    return Sealer(hospital.database, tiles, (Signer.new(name),), clock, **more)


@contextmanager
def sealed(urls: Any, folder: Path, **more: Any) -> Iterator[Sealed]:
    """A hospital that stored one instance, and its sealer; nothing is sealed yet."""
    hospital = Hospital.at(urls.writer, folder, urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    assert hospital.store(instance()).coerced
    try:
        yield Sealed(hospital, sealer_of(hospital, **more))
    finally:
        hospital.database.close()


def numbers(connection: Connection) -> dict[UUID, int]:
    """The number of each event that has one."""
    rows = connection.execute(text("SELECT event_id, number FROM seal_leaf"))
    return {row.event_id: row.number for row in rows}
