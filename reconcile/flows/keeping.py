"""Make the bytes of an arrival durable, each content once.

What is here already, under its digest, is not written again: a study that is sent a
second time costs rows and no room. Where its bytes were lost, they are kept anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconcile.db import groups
from reconcile.db.database import Database, GroupFailed
from reconcile.errors import NotFound, ServiceUnavailable
from reconcile.flows.arrival import Arrival
from reconcile.storage.content import InFile, Location
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
        if here is not None:
            return here
        if isinstance(arrival.content, InFile):
            return self.storage.keep(arrival.content, arrival.digest)
        appended = self.storage.append([(arrival.digest, arrival.content)])
        appended.sync()
        return appended.locations[0]

    def _here(self, arrival: Arrival) -> Location | None:
        """Where bytes are that a receipt tells of; None: nowhere, or they are lost."""
        found = None
        for digest, segment, offset in self._told([arrival.digest]):
            location = Location(digest, segment, offset)
            try:
                self.storage.extent(location, arrival.length)
            except NotFound:
                continue
            found = location
        return found

    def _told(self, digests: Sequence[str]) -> Sequence[tuple[str, str, int]]:
        """Asked twice: the first connection may be of before the database was restarted."""
        for _ in range(2):
            try:
                with self.database.group() as connection:
                    return groups.locations(connection, digests)
            except GroupFailed:
                continue
        # What cannot be recorded is not written either.
        raise ServiceUnavailable("the database cannot be reached")
