"""Do what is to be deleted: hide it and say so, then let its bytes be gone.

Rule 1: the tombstone first, the bytes later: a crash between leaves bytes that a row
        says are to go, and the next start goes on there.
Rule 2: bytes wait for a while: who is being given an instance just now gets all of it.
Rule 3: bytes that another arrival is entitled to stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

from reconcile.db import burials, deletions, events, removals
from reconcile.db.database import Connection, Database, lock, lock_each
from reconcile.db.removals import Place
from reconcile.storage.content import Location
from reconcile.storage.local import LocalStorage

log = logging.getLogger(__name__)

#: Instances whose locks are held at once: the server has room for some thousands.
_INSTANCES_AT_ONCE = 200
_PLACES_AT_ONCE = 200
#: How long somebody may still read what is deleted.
GRACE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Removing:
    """Deletes what was confirmed, or has waited long enough."""

    database: Database
    storage: LocalStorage
    clock: Callable[[], datetime]
    configuration_digest: str = ""
    grace: timedelta = GRACE

    def round(self, stop: Event) -> bool:
        """Do what there is to be done now; whether there was anything.

        Raises:
            ServiceUnavailable: database or storage; it goes on there next time.
        """
        done = False
        with self.database.read_only() as connection:
            due = deletions.due(connection, self.clock())
        for deletion_id in due:
            while not stop.is_set() and self._bury_some(deletion_id):
                done = True
        while not stop.is_set() and self._remove_some():
            done = True
        self.database.run(lambda c: burials.finish(c, self.clock()))
        return done

    # -- rows ----------------------------------------------------------------------------

    def _bury_some(self, deletion_id: UUID) -> bool:
        """Let some instances of a deletion be gone; whether there were any."""

        def step(connection: Connection) -> bool:
            row = deletions.locked(connection, deletion_id)
            if row is None or row.state in ("executed", "cancelled"):
                return False
            items = burials.left(connection, deletion_id, _INSTANCES_AT_ONCE)
            names = [
                ("rejection", each.uid_domain, each.sop_instance_uid) for each in items
            ]
            lock(connection, names, shared=False)  # nobody stores one of them meanwhile
            by = row.executed_in
            if by is None:
                by = self._happen(connection, deletion_id, row.happening_id)
                burials.begin(connection, deletion_id, by)
            if items:
                ids = [each.id for each in items]
                burials.bury(connection, deletion_id, ids, by, self.clock())
            return bool(items)

        return self.database.run(step)

    def _happen(self, connection: Connection, deletion_id: UUID, planned: UUID) -> UUID:
        happening = events.Happening(
            "deletion",
            str(deletion_id),
            "jobs",
            self.configuration_digest,
            self.clock(),
            depends_on=(planned,),
        )
        return events.happen(connection, happening)

    # -- bytes ---------------------------------------------------------------------------

    def _remove_some(self) -> bool:
        """Remove the bytes in some places; whether there may be more."""
        with self.database.read_only() as connection:
            before = self.clock() - self.grace
            places = removals.waiting(connection, before, _PLACES_AT_ONCE)
        if not places:
            return False
        return self.database.run(lambda connection: self._remove(connection, places))

    def _remove(self, connection: Connection, places: Sequence[Place]) -> bool:
        """Erasing twice is erasing once, so that this may run again."""
        if removals.is_copied(connection):
            log.info("bytes are copied now: %d places are removed later", len(places))
            return False
        wanted = [removals.of_digest(each.digest, shared=False) for each in places]
        lock_each(connection, wanted)
        shared = removals.shared(connection, places)
        alone = [each for each in places if each not in shared]
        self.storage.erase(Location(e.digest, e.segment, e.offset) for e in alone)
        removals.removed(connection, places, self.clock())
        log.info("removed places=%d shared=%d", len(alone), len(shared))
        return True
