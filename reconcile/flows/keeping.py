"""Make the bytes of arrivals durable, each content once.

What is here already, under its digest, is not written again: a study that is sent a
second time costs rows and no room. Where its bytes were lost, they are kept anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from reconcile.db import stored
from reconcile.db.database import Database
from reconcile.errors import NotFound
from reconcile.flows.arrival import Arrival
from reconcile.storage.content import InFile, InMemory, Location
from reconcile.storage.local import LocalStorage

NOTHING: Mapping[str, Location] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Keeping:
    """Keeps the bytes of arrivals that are to be recorded."""

    database: Database
    storage: LocalStorage

    def keep(
        self, arrivals: Sequence[Arrival], durable: Mapping[str, Location] = NOTHING
    ) -> Mapping[str, Location]:
        """By digest, where the bytes are; durable, by one sync of what is small.

        Args:
            arrivals: that are to be recorded.
            durable: what nobody has recorded, and is durable already.

        Raises:
            StorageFull, ServiceUnavailable: try again later; nothing may be recorded.
        """
        wanted = {each.digest: each for each in arrivals}
        found = {**durable, **self._here(wanted)}
        small = [
            (digest, arrival.content)
            for digest, arrival in wanted.items()
            if digest not in found and isinstance(arrival.content, InMemory)
        ]
        if small:
            appended = self.storage.append(small)
            appended.sync()
            found |= {each.digest: each for each in appended.locations}
        for digest, arrival in wanted.items():
            if digest not in found and isinstance(arrival.content, InFile):
                found[digest] = self.storage.keep(arrival.content, digest)
        return found

    def _here(self, wanted: Mapping[str, Arrival]) -> dict[str, Location]:
        """Where bytes are that a receipt tells of; those that are lost are told no more."""
        if not wanted:
            return {}
        with self.database.read_only() as connection:
            told = stored.locations(connection, wanted)
        found: dict[str, Location] = {}
        for digest, segment, offset in told:
            location = Location(digest, segment, offset)
            try:
                self.storage.extent(location, wanted[digest].length)
            except NotFound:
                continue
            found[digest] = location
        return found
