"""An arrival that is kept, opened once more as it was when it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from reconcile.core.facts import RegistryFacts, Source
from reconcile.db.views_instances import Holding, Kept
from reconcile.flows.arrival import Arrival
from reconcile.flows.arriving import Arriving
from reconcile.flows.inside import look
from reconcile.flows.recording import Recording
from reconcile.flows.retrieve import RetrieveFlow, location_of
from reconcile.storage.content import InFile


@dataclass(frozen=True, slots=True)
class KeptArrivals:
    """Opens kept arrivals; `source` says how instances of a peer are read."""

    recording: Recording
    source: Callable[[str], Source]

    @contextmanager
    def arriving(self, kept: Kept) -> Iterator[Arriving]:
        """A kept arrival as it is handed on when it comes.

        Raises:
            BytesMissing: there is a row and no file.
        """
        recording, source = self.recording, self.source(kept.source)
        retrieve = RetrieveFlow(recording.database, recording.storage)
        with retrieve.state(Holding(kept, ())) as received:
            yield Arriving(
                self._arrival(kept, source),
                location_of(kept),
                received,
                received.facts(),
                recording.rules,
                look(received, source),
            )

    def _arrival(self, kept: Kept, source: Source) -> Arrival:
        extent = self.recording.storage.extent(location_of(kept), kept.length)
        return Arrival(
            InFile(extent.path, extent.offset),
            kept.digest,
            kept.length,
            kept.sop_class_uid,
            kept.sop_instance_uid,
            kept.transfer_syntax_uid,
            source,
            "",
            "",
            0,
            kept.file_meta,
        )


def as_if_new(facts: RegistryFacts) -> RegistryFacts:
    """The same facts, of an instance of which nothing is here."""
    return replace(facts, stored_digest="", known_digests=frozenset())
