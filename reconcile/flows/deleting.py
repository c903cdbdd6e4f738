"""Delete in two steps: somebody plans, somebody confirms; and what is under a legal hold.

Planning changes nothing that anybody is given out: what has to be out of sight at once is
rejected. A plan can be cancelled until it is begun; what was deleted cannot be had back,
and no undo says so. Each step is a happening.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from reconcile.db import deletions, events, legal_holds, views_deletions
from reconcile.db.database import Connection, Database
from reconcile.db.deletions import Plan
from reconcile.db.views import uuid_of
from reconcile.db.views_deletions import Deletion
from reconcile.errors import NotAuthorised, NotFound, ReconcileError, WrongUse

#: Actor of whoever needs no key: only this machine's people are that.
LOCAL = "local"
#: UIDs that one plan may name.
UIDS_MAX = 1000


class NotPlanned(ReconcileError):
    """It cannot be deleted now, or what is asked for does not fit its state."""

    title = "Not possible in this state"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Deleting:
    """Plans deletions, and lets them be done or not.

    Attributes:
        two_persons: who planned one by a key cannot confirm it.
    """

    database: Database
    clock: Callable[[], datetime]
    configuration_digest: str = ""
    two_persons: bool = True

    # -- first step ----------------------------------------------------------------------

    def plan(self, uids: Collection[str], reason: str, actor: str) -> Deletion:
        """Plan to delete studies, series or instances, by received or assigned UIDs.

        Raises:
            NotFound: nothing is there under one of them.
            NotPlanned: it is under a legal hold, or planned already.
        """
        if not reason.strip() or not uids:
            raise WrongUse("a deletion needs UIDs and a reason")
        if len(uids) > UIDS_MAX:
            raise WrongUse(f"a deletion names at most {UIDS_MAX} UIDs")

        def step(connection: Connection) -> UUID:
            wanted: set[UUID] = set()
            for uid in sorted(set(uids)):
                found = deletions.named(connection, [uid])
                if not found:
                    raise NotFound(f"there is nothing to be deleted under {uid}")
                if any(found.values()):
                    raise NotPlanned(f"{uid} is to be retained: see its legal hold")
                wanted |= found.keys()
            said = Plan("steward", "", reason, actor, self.clock(), None)
            return self.keep(connection, said, wanted)

        return self._shown(self.database.run(step))

    def keep(
        self,
        connection: Connection,
        said: Plan,
        instances: Collection[UUID],
        on: tuple[UUID, ...] = (),
    ) -> UUID:
        """Write a plan down, as a happening that may depend `on` others.

        Raises:
            NotPlanned: all of it is planned already.
        """
        told = {"reason": said.reason, "instances": len(instances)}
        happening = events.Happening(
            "deletion-planned",
            said.subject or said.cause,
            said.planned_by,
            self.configuration_digest,
            said.planned_at,
            explanation=told,
            depends_on=on,
        )
        happening_id = events.happen(connection, happening)
        deletion_id, count = deletions.plan(connection, said, instances, happening_id)
        if not count:
            raise NotPlanned("all of it is planned to be deleted already")
        return deletion_id

    # -- second step ---------------------------------------------------------------------

    def confirm(self, deletion: str, actor: str) -> Deletion:
        """Let a planned deletion be done now.

        Raises:
            NotFound: there is none.
            NotAuthorised: whoever planned it does not confirm it.
            NotPlanned: it is confirmed, done or cancelled.
        """
        return self._decide(deletion, actor, "confirmed", "")

    def cancel(self, deletion: str, reason: str, actor: str) -> Deletion:
        """Let a planned deletion never be done.

        Raises:
            NotFound: there is none.
            NotPlanned: it is begun, done or cancelled.
        """
        return self._decide(deletion, actor, "cancelled", reason)

    def _decide(self, deletion: str, actor: str, state: str, reason: str) -> Deletion:
        deletion_id = uuid_of(deletion)

        def step(connection: Connection) -> UUID:
            row = deletions.locked(connection, deletion_id) if deletion_id else None
            if row is None:
                raise NotFound("there is no deletion of this id")
            if row.state not in _FROM[state]:
                raise NotPlanned(f"the deletion is {row.state}")
            if state == "confirmed" and self._is_alone(row.planned_by, actor):
                raise NotAuthorised("another person than who planned it has to confirm it")
            now = self.clock()
            happening = events.Happening(
                f"deletion-{state}",
                str(row.id),
                actor,
                self.configuration_digest,
                now,
                explanation={"reason": reason} if reason else {},
                depends_on=(row.happening_id,),
            )
            happening_id = events.happen(connection, happening)
            deletions.decide(connection, row.id, state, actor, now, happening_id)
            return UUID(str(row.id))

        return self._shown(self.database.run(step))

    def _is_alone(self, planned_by: str, actor: str) -> bool:
        return self.two_persons and actor == planned_by != LOCAL

    def _shown(self, deletion_id: UUID) -> Deletion:
        with self.database.read_only() as connection:
            return views_deletions.deletion(connection, str(deletion_id))

    # -- what may not be deleted ---------------------------------------------------------

    def retain(self, uid: str, *, held: bool, reason: str, actor: str) -> int:
        """Put a study under a legal hold, or let it go; how many studies that changed.

        Raises:
            NotFound: there is no such study.
        """
        if not reason.strip():
            raise WrongUse("a legal hold needs a reason")

        def step(connection: Connection) -> int:
            found = legal_holds.studies(connection, uid)
            if not found:
                raise NotFound("there is no such study")
            cause = "legal-hold" if held else "legal-hold-released"
            happening = events.Happening(
                cause,
                uid,
                actor,
                self.configuration_digest,
                self.clock(),
                explanation={"reason": reason},
            )
            events.happen(connection, happening)
            return legal_holds.set_held(connection, found, held=held)

        return self.database.run(step)


_FROM = {
    "confirmed": frozenset({"planned"}),
    "cancelled": frozenset({"planned", "confirmed"}),
}


def due_after(now: datetime, days: int) -> datetime:
    """When something is done that can be cancelled until then."""
    return now + timedelta(days=days)
