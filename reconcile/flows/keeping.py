"""Make the bytes of an arrival durable, each content once.

What is here already, under its digest, is not written again: a study that is sent a
second time costs rows and no room. Where its bytes were lost, they are kept anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from reconcile.db import groups
from reconcile.db.database import Database, GroupFailed
from reconcile.errors import NotFound, ServiceUnavailable
from reconcile.flows.arrival import Arrival
from reconcile.storage.content import Location
from reconcile.storage.local import LocalStorage


@dataclass(frozen=True, slots=True)
class Keeping:
    """Keeps the bytes of arrivals that are to be recorded."""

    database: Database
    storage: LocalStorage

    def keep(self, arrival: Arrival) -> Location:
        """Where the bytes are; durable.

        Raises:
            StorageFull, ServiceUnavailable: try again later; nothing may be recorded.
        """
        here = self._here(arrival)
        return here or self.storage.keep(arrival.content, arrival.digest)

    def _here(self, arrival: Arrival) -> Location | None:
        """Where bytes are that a receipt tells of; None: nowhere, or they are lost."""
        for told in self._told(arrival.digest):
            location = Location(*told)
            with suppress(NotFound):
                self.storage.extent(location, arrival.length)
                return location
        return None

    def _told(self, digest: str) -> Sequence[tuple[str, str, int]]:
        """Asked twice: the first connection may be of before the database was restarted."""
        for _ in range(2):
            try:
                with self.database.group() as connection:
                    return groups.locations(connection, [digest])
            except GroupFailed:
                continue
        # What cannot be recorded is not written either.
        raise ServiceUnavailable("the database cannot be reached")
