"""What every filter of the history means, as a plain loop over all rows.

The tables are read whole, once; nothing here asks the database for a part of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select

from reconcile.db import filed
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.database import Database

FILTERS = (
    "patient", "study", "series", "instance", "accession", "cause", "cause_id", "reason",
    "rule", "source", "attribute", "actor", "from", "to",
)  # fmt: skip
#: Values that nothing in a history has.
MISSES: Mapping[str, str] = {
    "patient": "nobody^^^A",
    "attribute": "PixelSpacing",
    "from": "2999-01-01T00:00:00Z",
    "to": "1999-01-01T00:00:00Z",
}
Row = Any
_TABLES = (
    h.coercion_event, h.happening, t.person, t.identity, t.identity_link, t.study, t.series,
    t.instance, t.uid_map, t.study_order, t.imaging_order, filed.series_assignment,
)  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """All rows of a registry, by table."""

    rows: Mapping[str, list[Row]]

    @classmethod
    def of(cls, database: Database) -> Raw:
        """As they are now."""
        with database.read_only() as connection:
            return cls({each.name: _all(connection, each) for each in _TABLES})

    @property
    def events(self) -> list[Row]:
        """In the order in which they apply."""
        return sorted(self.rows["coercion_event"], key=lambda e: e.position)

    def happening(self, event: Row) -> Row:
        """The one that an event is of."""
        return self.by_id("happening")[event.happening_id]

    def by_id(self, table: str) -> dict[UUID, Row]:
        """Rows of a table."""
        return {row.id: row for row in self.rows[table]}

    def meant(self, name: str, value: str) -> Callable[[Row], bool]:
        """Whether a filter lets an event through."""
        plain = {"reason": "reason", "source": "source"}
        if name in plain:
            return lambda e: bool(getattr(e, plain[name]) == value)
        if name in ("cause", "cause_id", "actor"):
            known = self.by_id("happening")
            return lambda e: bool(getattr(known[e.happening_id], name) == value)
        if name == "attribute":
            return lambda e: value in e.attributes
        if name in ("from", "to"):
            when = datetime.fromisoformat(value)
            return lambda e: bool((e.recorded_at >= when) == (name == "from"))
        found: Callable[[Row], bool] = getattr(self, f"_{name}")(value)
        return found

    def _rule(self, value: str) -> Callable[[Row], bool]:
        known = self.by_id("happening")

        def is_by(event: Row) -> bool:
            by = known[event.happening_id]
            return value in (by.rule, by.rung) or by.rule.startswith(f"{value}@")

        return is_by

    def _patient(self, value: str) -> Callable[[Row], bool]:
        number, _, domain = value.partition("^^^")
        persons = self.by_id("person")
        own = {
            identity.id
            for identity in self.rows["identity"]
            if (identity.id_norm, identity.domain) == (number, domain)
            and identity.valid.upper is None
        }
        owners = {
            persons[link.person_id].canonical_id
            for link in self.rows["identity_link"]
            if link.identity_id in own and link.recorded.upper is None
        }
        return lambda e: bool(e.person_id and persons[e.person_id].canonical_id in owners)

    def _study(self, value: str) -> Callable[[Row], bool]:
        meant = {s.id for s in self.rows["study"] if s.study_instance_uid == value}
        for m in self.rows["uid_map"]:
            if (m.level, m.received_uid, m.valid.upper) == ("study", value, None):
                meant |= {
                    s.id
                    for s in self.rows["study"]
                    if (s.study_instance_uid, s.uid_domain)
                    == (m.assigned_uid, m.uid_domain)
                }
        return lambda e: (
            e.study_id in meant
            or value in (e.received_study_instance_uid, e.study_instance_uid)
        )

    def _series(self, value: str) -> Callable[[Row], bool]:
        named = {
            s.id
            for s in self.rows["series"]
            if value in (s.series_instance_uid, s.received_series_instance_uid)
        }
        return self._of([i for i in self.rows["instance"] if i.series_id in named])

    def _instance(self, value: str) -> Callable[[Row], bool]:
        return self._of([i for i in self.rows["instance"] if i.sop_instance_uid == value])

    def _of(self, instances: list[Row]) -> Callable[[Row], bool]:
        own = {i.id for i in instances}
        later = {
            scope.event_id
            for scope in self.rows["series_assignment"]
            for i in instances
            if i.series_id == scope.series_id
            and i.stored_revision < scope.revision
            and not i.as_received
        }
        return lambda e: e.instance_id in own or e.id in later

    def _accession(self, value: str) -> Callable[[Row], bool]:
        orders = {o.id for o in self.rows["imaging_order"] if o.accession_number == value}
        linked = {
            link.study_id
            for link in self.rows["study_order"]
            if link.order_id in orders and link.recorded.upper is None
        }
        return lambda e: e.study_id in linked

    # -- values to ask for ---------------------------------------------------------------

    def values(self, name: str, rng: Random, most: int) -> list[str]:
        """Some that the history has, drawn, and one that it has not."""
        found = sorted(set(self._values(name)) - {""})
        drawn = rng.sample(found, min(most, len(found)))
        return [*drawn, MISSES.get(name, "1.2.3.999")]

    def _values(self, name: str) -> Iterator[str]:
        if name == "patient":
            yield from (f"{i.id_norm}^^^{i.domain}" for i in self.rows["identity"])
        if name == "accession":
            yield from (o.accession_number for o in self.rows["imaging_order"])
        if name == "study":
            yield from (m.received_uid for m in self.rows["uid_map"] if m.level == "study")
        for event in self.events:
            yield from (value or "" for value in self._said(event).get(name, ()))

    def _said(self, event: Row) -> dict[str, list[str]]:
        by = self.happening(event)
        when = event.recorded_at.isoformat()
        return {
            "study": [event.study_instance_uid, event.received_study_instance_uid],
            "series": [event.series_instance_uid],
            "instance": [event.sop_instance_uid],
            "cause": [by.cause],
            "cause_id": [by.cause_id],
            "actor": [by.actor],
            "rule": [by.rule, by.rung, by.rule.partition("@")[0]],
            "reason": [event.reason],
            "source": [event.source],
            "attribute": list(event.attributes),
            "from": [when],
            "to": [when],
        }


def _all(connection: Any, table: Table) -> list[Row]:
    return list(connection.execute(select(table)).all())
