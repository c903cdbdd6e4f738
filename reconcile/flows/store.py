"""Receive instances: RAD-8 Modality Images Stored, or a file import.

Bytes durable, then rows committed, then success. A crash between the first two leaves
bytes that no row names, which `reconcile doctor` finds; the other order could leave a row
that names no bytes, and an image would be lost.

A group is settled in two steps: what follows a precedent goes together, in one sync and
one transaction; whatever else there is, and everything if that fails, is decided and
recorded by itself, which takes longer and keeps no others waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from reconcile.core.facts import InstanceFacts
from reconcile.core.rejection import KEY_OBJECT_SELECTION
from reconcile.dataset.deciding import Deciding, deciding
from reconcile.dataset.facts import Received
from reconcile.db.database import Database, GroupFailed
from reconcile.errors import (
    InstanceDeleted,
    InstanceRejected,
    LowOnRoom,
    ReconcileError,
    SOPClassMismatch,
    SOPInstanceMismatch,
)
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.arriving import Arriving
from reconcile.flows.duplicates import Duplicates
from reconcile.flows.inside import look
from reconcile.flows.keeping import Keeping
from reconcile.flows.opened import opened
from reconcile.flows.precedents import Key, Precedents
from reconcile.flows.query import QueryFlow
from reconcile.flows.recording import Recorded, Recording
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.rules import Rules
from reconcile.flows.settling import Alone, Settled
from reconcile.flows.several import SeveralFlow
from reconcile.flows.together import Follower, Frame, Group, files, one_of_each
from reconcile.storage.content import InMemory, Location
from reconcile.storage.local import LocalStorage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """An arrival that can be read, and is what was announced."""

    arrival: Arrival
    received: Received
    facts: InstanceFacts


@dataclass(frozen=True, slots=True)
class StoreFlow:
    """The steps of receiving instances, with everything they touch handed in."""

    database: Database
    storage: LocalStorage
    rules: Rules
    clock: Callable[[], datetime]
    cause: str = "c-store"
    precedents: Precedents = field(default_factory=Precedents)

    @property
    def keeping(self) -> Keeping:
        """How bytes are made durable."""
        return Keeping(self.database, self.storage)

    @property
    def recording(self) -> Recording:
        """The steps of one instance by itself."""
        return Recording(self.database, self.storage, self.rules, self.clock, self.cause)

    def receive(self, arrival: Arrival) -> Stored:
        """Keep an instance, and record what it must become.

        Raises:
            CannotUnderstand: its data set cannot be read; nothing is kept.
            SOPClassMismatch, SOPInstanceMismatch: it is not what was announced.
            ServiceUnavailable, StorageFull: try again later; nothing is recorded.
        """
        ((_, settled),) = self.settle([arrival])
        if isinstance(settled, Exception):
            raise settled
        return settled

    def settle(self, arrivals: Sequence[Arrival]) -> Iterator[tuple[int, Settled]]:
        """Keep and record a group; (index, what became of it) of each, once.

        Each is durable and committed when it is told.
        """
        for index, became in self.begin(arrivals):
            yield index, became() if callable(became) else became

    def begin(self, arrivals: Sequence[Arrival]) -> Iterator[tuple[int, Settled | Alone]]:
        """As `settle`; of those that are decided by themselves, what does it."""
        try:
            self.storage.room.require()
        except LowOnRoom as error:
            yield from ((index, error) for index in range(len(arrivals)))
            return
        seen = [_deciding(arrival) for arrival in arrivals]
        followers = [self._follower(*each) for each in zip(arrivals, seen, strict=True)]
        kept: dict[str, Location] = {}
        done = self._together([each for each in followers if each is not None], kept)
        for index, arrival in enumerate(arrivals):
            if id(arrival) in done:
                yield index, done[id(arrival)]
            else:
                durable = kept.get(arrival.digest)
                yield index, partial(self._alone, arrival, seen[index], durable)

    # -- those that follow a precedent --------------------------------------------------

    def _follower(self, arrival: Arrival, seen: Deciding | None) -> Follower | None:
        if seen is None or not isinstance(arrival.content, InMemory):
            return None
        announced = arrival.sop_class_uid, arrival.sop_instance_uid
        if (seen.sop_class_uid, seen.sop_instance_uid) != announced:
            return None
        precedent = self.precedents.find(_key(arrival, seen))
        return Follower(arrival, arrival.content, precedent) if precedent else None

    def _together(
        self, followers: Sequence[Follower], kept: dict[str, Location]
    ) -> dict[int, Stored]:
        """What their senders are told, by identity; who is left out is decided alone.

        `kept` is told where bytes are by then, also of those that are left out.
        """
        if not followers:
            return {}
        try:
            return self._in_one_transaction(followers, kept)
        except (GroupFailed, ReconcileError) as error:
            log.warning("group failed size=%d error=%r", len(followers), error)
            return {}

    def _in_one_transaction(
        self, followers: Sequence[Follower], kept: dict[str, Location]
    ) -> dict[int, Stored]:
        group = Group(
            Frame(self.cause, self.rules.digest, self.clock()), one_of_each(followers)
        )
        with self.database.group() as connection:
            appended = self.storage.append(files(group.followers))

            def durable() -> None:
                appended.sync()
                kept.update({each.digest: each for each in appended.locations})

            recorded = group.record(connection, appended.locations, durable)
        return {id(each.arrival): each.stored() for each in recorded}

    # -- those that are decided by themselves -------------------------------------------

    def _alone(
        self, arrival: Arrival, seen: Deciding | None, durable: Location | None
    ) -> Settled:
        """Look at it, keep it unless it is `durable` already, and record it."""
        try:
            with opened(arrival, self.storage.spool_dir) as received:
                facts = replace(received.facts(), listed=arrival.listed)
                _require_announced(arrival, facts)
                location = durable or self.keeping.keep(arrival)
                recorded = self._recorded(Looked(arrival, received, facts), location)
        except Exception as error:  # noqa: BLE001 - each answers for itself
            return error
        if seen is not None:
            self._remember(_key(arrival, seen), recorded)
        if recorded.stored.deleted:
            return InstanceDeleted("the instance was deleted, and may not come again")
        if recorded.stored.refused:
            return InstanceRejected("the instance was rejected, and may not come again")
        return recorded.stored

    def _remember(self, key: Key, recorded: Recorded) -> None:
        if recorded.precedent is None:
            self.precedents.forget(key)
        else:
            self.precedents.set(key, recorded.precedent)

    def _recorded(self, looked: Looked, location: Location) -> Recorded:
        arrival, received = looked.arrival, looked.received
        within = look(received, arrival.source)
        arriving = Arriving(arrival, location, received, looked.facts, self.rules, within)
        retrieve = RetrieveFlow(self.database, self.storage)
        query = QueryFlow(self.database, self.rules, self.storage)
        duplicates = Duplicates(SeveralFlow(retrieve, query))
        return duplicates.settle(arriving, self.recording.settle)


def _deciding(arrival: Arrival) -> Deciding | None:
    """What decides of an arrival; None: it has to be looked at for itself."""
    if not isinstance(arrival.content, InMemory):
        return None
    if arrival.sop_class_uid == KEY_OBJECT_SELECTION:
        return None  # it may reject others
    return deciding(arrival.content.data, arrival.transfer_syntax)


def _key(arrival: Arrival, seen: Deciding) -> Key:
    return arrival.source.ae_title, arrival.transfer_syntax, seen.key


def _require_announced(arrival: Arrival, facts: InstanceFacts) -> None:
    if facts.sop_class_uid != arrival.sop_class_uid:
        raise SOPClassMismatch("SOP Class UID differs between command and data set")
    if facts.sop_instance_uid != arrival.sop_instance_uid:
        raise SOPInstanceMismatch("SOP Instance UID differs between command and data set")
