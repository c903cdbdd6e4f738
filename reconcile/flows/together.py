"""Store a group of instances that follow precedents: one sync, one transaction.

Bytes are durable before the commit, and the commit comes before any answer. Whoever is
not like its precedent any more, or is here already, is left to be decided by itself; so
is everybody where anything fails.

An instance that is here already has its bytes in a segment twice then. Senders repeat
whole studies: so its precedent is forgotten, and the next one is looked up first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from reconcile.core.audit import event_body
from reconcile.db import groups
from reconcile.db.events import Happening
from reconcile.db.groups import Common, Member
from reconcile.db.ids import uuid7
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.precedents import Precedent, coerced_at
from reconcile.storage.content import InMemory, Location


@dataclass(frozen=True, slots=True)
class Follower:
    """An arrival in memory that says what its precedent said."""

    arrival: Arrival
    content: InMemory
    precedent: Precedent

    @property
    def named(self) -> tuple[str, str]:
        """(UID domain, SOP Instance UID), of which there is one instance."""
        return self.precedent.common.uid_domain, self.arrival.sop_instance_uid

    def stored(self) -> Stored:
        """What its sender is told."""
        return Stored(self.precedent.tags, self.precedent.held)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the happenings of a group say besides their precedents' reasons."""

    cause: str
    configuration_digest: str
    now: datetime


@dataclass
class Group:
    """Followers on their way into the registry, no two of one SOP Instance UID."""

    frame: Frame
    followers: Sequence[Follower]
    happenings: dict[tuple[int, str], tuple[UUID, Happening]] = field(default_factory=dict)

    def record(
        self,
        connection: groups.Connection,
        at: Sequence[Location],
        durable: Callable[[], None],
    ) -> list[Follower]:
        """Write their rows, and commit once the bytes are durable; those recorded.

        `at` tells where the bytes of each are; `durable` makes them so.
        """
        said = coerced_at(self.frame.now)
        members = [
            self._member(follower, location, said)
            for follower, location in zip(self.followers, at, strict=True)
        ]
        told = self.happenings.values()
        places = groups.record(connection, told, members, self.frame.now, durable)
        recorded = [self.followers[place] for place in places]
        self._remember(recorded)
        return recorded

    def _remember(self, recorded: Sequence[Follower]) -> None:
        """The happenings of those that are recorded hold for those that come later."""
        for follower in recorded:
            precedent, association = follower.precedent, follower.arrival.association
            told = self.happenings.get((id(precedent), association))
            if told is not None:
                precedent.happenings.clear()  # one sender at a time is the rule
                precedent.happenings[association] = told[0]

    def _member(self, follower: Follower, location: Location, said: str) -> Member:
        arrival, common = follower.arrival, follower.precedent.common
        happening_id = self._happening(follower)
        receipt_id, instance_id = uuid7(), uuid7()
        event = None
        if common.attributes:
            ids = _Ids(happening_id, receipt_id, instance_id)
            event = self._event(follower, ids, said)
        return Member(
            common,
            happening_id,
            receipt_id.hex,
            instance_id.hex,
            arrival.sop_instance_uid,
            arrival.digest,
            arrival.length,
            location.segment,
            location.offset,
            arrival.file_meta,
            arrival.peer_address,
            arrival.association,
            event,
        )

    def _happening(self, follower: Follower) -> UUID:
        """That of their association; the first one that is decided so has a new one."""
        precedent, arrival = follower.precedent, follower.arrival
        known = precedent.happenings.get(arrival.association)
        if known is not None:
            return known
        key = id(precedent), arrival.association
        if key not in self.happenings:
            self.happenings[key] = uuid7(), self._new_happening(precedent, arrival)
        return self.happenings[key][0]

    def _new_happening(self, precedent: Precedent, arrival: Arrival) -> Happening:
        source, reasons = arrival.source.ae_title, precedent.reasons
        return Happening(
            self.frame.cause,
            f"{source}/{arrival.association}/{arrival.message_id}",
            source,
            self.frame.configuration_digest,
            self.frame.now,
            reasons.rule,
            reasons.rung,
            reasons.explanation,
        )

    def _event(self, follower: Follower, ids: _Ids, said: str) -> groups.Event:
        event_id, nonce = uuid7(), secrets.token_bytes(16)
        personal = follower.precedent.values_at(said)
        fields = _fields(follower.precedent.common, follower.arrival, ids, self.frame.now)
        fields["id"] = str(event_id)
        body = event_body(fields, nonce, personal.encode())
        return groups.Event(event_id.hex, body.decode(), nonce.hex(), personal)


@dataclass(frozen=True, slots=True)
class _Ids:
    happening_id: UUID
    receipt_id: UUID
    instance_id: UUID


def _fields(
    common: Common, arrival: Arrival, ids: _Ids, now: datetime
) -> dict[str, object]:
    """The columns of an event that its canonical bytes hold, as `events.record` does."""
    return {
        "position": 0,  # it is given another when it is recorded
        "happening_id": str(ids.happening_id),
        "level": "instance",
        "instance_id": str(ids.instance_id),
        "receipt_id": str(ids.receipt_id),
        "study_id": str(common.study_id),
        "person_id": str(common.person_id) if common.person_id else None,
        "reason": "COERCE",
        "source": common.source,
        "sop_instance_uid": arrival.sop_instance_uid,
        "series_instance_uid": common.series_uid,
        "study_instance_uid": common.study_uid,
        "received_study_instance_uid": common.received_study_uid,
        "attributes": list(common.attributes),
        "recorded_at": now.isoformat(),
    }


def one_of_each(followers: Iterable[Follower]) -> list[Follower]:
    """The first of each SOP Instance UID."""
    found: dict[tuple[str, str], Follower] = {}
    for follower in followers:
        found.setdefault(follower.named, follower)
    return list(found.values())


def files(followers: Sequence[Follower]) -> list[tuple[str, InMemory]]:
    """What is to be kept of them, each under its digest."""
    return [(each.arrival.digest, each.content) for each in followers]
