"""Erase what audit rows say of a patient; that they said something stays provable.

In two steps: whoever erases says how many events that will be, as they were told. There
is no way back. An erasure is a happening; what is given out does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reconcile.db import erasing, events, views_audit
from reconcile.db.database import Connection, Database
from reconcile.db.views import LIMIT_MAX, Where
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import NotFound, ReconcileError, WrongUse


class NotConfirmed(ReconcileError):
    """It was not said how many events are erased, or another number."""

    title = "Not confirmed"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: the values of so many events, of those that had any."""

    happening: UUID
    events: int


@dataclass(frozen=True, slots=True)
class Erasing:
    """Erases values of events."""

    database: Database
    clock: Callable[[], datetime]
    configuration_digest: str = ""

    def wanted(self, query: AuditQuery) -> list[UUID]:
        """Events that a question finds, and whose values are there."""
        found: list[UUID] = []
        cursor: str | None = ""
        with self.database.read_only() as connection:
            while cursor is not None:
                page = views_audit.events(connection, query, Where(LIMIT_MAX, cursor))
                found += (e.id for e in page.items if e.original_attributes is not None)
                cursor = page.next
        return found

    def erase(
        self, wanted: Collection[UUID], reason: str, actor: str, confirmed: int | None
    ) -> Erased:
        """Erase the values of events.

        Args:
            wanted: ids of events.
            reason: without patient data: it stays.
            actor: an administrator.
            confirmed: how many events those are, in the words of who erases.

        Raises:
            NotFound: there is none of them, or nothing is left to be erased.
            NotConfirmed: it says how many they are.
        """
        if not reason.strip():
            raise WrongUse("an erasure needs a reason")
        if not wanted:
            raise NotFound("no event has values to be erased")
        if confirmed != len(set(wanted)):
            raise NotConfirmed(f"{len(set(wanted))} events would be erased: confirm it")

        def step(connection: Connection) -> Erased:
            happening = events.Happening(
                "erasure",
                "",
                actor,
                self.configuration_digest,
                self.clock(),
                explanation={"reason": reason, "events": len(set(wanted))},
            )
            happening_id = events.happen(connection, happening)
            count = erasing.erase(
                connection,
                sorted(set(wanted)),
                reason=reason,
                actor=actor,
                happening_id=happening_id,
            )
            if not count:
                raise NotFound("no event has values to be erased")
            return Erased(happening_id, count)

        return self.database.run(step)
