"""The history of one instance: each event as it applies to this one.

An event of a study holds what its instances had in common. What it changed in one of
them, and what stood there before, is worked out from the received bytes and the changes
before it: an event that changes nothing here is not told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.dataset.keywords import keywords
from reconcile.dataset.overlay import Coercion, Plan, original_attributes_item
from reconcile.db import views_audit, views_instances
from reconcile.db.database import Connection
from reconcile.db.views_audit import Event
from reconcile.db.views_instances import Holding
from reconcile.errors import NotFound
from reconcile.flows.retrieve import BytesMissing, RetrieveFlow


@dataclass(frozen=True, slots=True)
class HistoryFlow:
    """Tells histories."""

    retrieve: RetrieveFlow

    def instance(self, sop_instance_uid: str) -> tuple[Event, ...]:
        """All events that apply to an instance, oldest first.

        Raises:
            NotFound: there is no such instance.
        """
        with self.retrieve.database.read_only() as connection:
            found = views_audit.history(connection, sop_instance_uid)
            holding = _given(connection, sop_instance_uid) if _wider(found) else None
        return self.filled_in(found, holding) if holding else found

    def filled_in(self, events: Sequence[Event], holding: Holding) -> tuple[Event, ...]:
        """Events of an instance, those of its study as they apply to it."""
        if not _wider(events):
            return tuple(events)
        try:
            here = dict(self._here(holding))
        except BytesMissing:  # doctor tells; the history is told as it was recorded
            return tuple(events)
        return tuple(_filled_in(events, here))

    def _here(self, holding: Holding) -> Iterator[tuple[UUID, tuple[Coercion, Plan]]]:
        with self.retrieve.steps(holding) as steps:
            for live, (coercion, plan, _) in zip(holding.live, steps, strict=True):
                if live.event_id is not None:
                    yield live.event_id, (coercion, plan)


def _wider(events: Sequence[Event]) -> bool:
    return any(event.level != "instance" for event in events)


def _given(connection: Connection, sop_instance_uid: str) -> Holding | None:
    try:
        return views_instances.holding(connection, sop_instance_uid)
    except NotFound:
        return None


def _filled_in(
    events: Sequence[Event], here: dict[UUID, tuple[Coercion, Plan]]
) -> Iterator[Event]:
    for event in events:
        told = event.original_attributes is not None  # or else it was erased
        if event.level == "instance" or event.undone_by is not None or not told:
            yield event
        elif event.id in here:
            coercion, plan = here[event.id]
            if plan.changes:
                yield replace(
                    event,
                    attributes=keywords(at.tags(plan.changes)),
                    original_attributes=original_attributes_item(plan, coercion),
                    new_attributes=plan.new,
                    absent=tuple(plan.absent),
                    varies=(),
                )
