"""Take responsibility for what is stored: RAD-10 Images Availability, Storage Commitment.

A request is looked into at once: whoever asks has been answered for each instance that it
stored. The request, what is answered to it and that this is to be told are written in one
transaction, before the request is acknowledged. It is told over the same association
while that is open, and by a new one if need be (`notify`), as often as it takes.

Instances are named by SOP Class and SOP Instance UID. Neither is ever coerced, so that
the answer is in the words of the question, whatever became of patient and study since.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from reconcile.core.commitment import Answered, KeptInstance, Reason, Reference, failure
from reconcile.db import commitments, outbox
from reconcile.db.commitments import COMMITMENT, Stored
from reconcile.db.database import Connection, Database
from reconcile.errors import NotFound
from reconcile.storage.content import Location
from reconcile.storage.local import LocalStorage

#: For so long the association over which it was asked may still bring the answer.
SAME_ASSOCIATION = timedelta(minutes=2)
NO_ADDRESS = "its association has ended, and it is no [[destination]] to be told at"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for commitment.

    Attributes:
        storable: of the classes that are named, those of which instances are taken here.
        source: AE title of who asks.
    """

    transaction_uid: str
    references: tuple[Reference, ...]
    storable: frozenset[str]
    source: str
    association: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A request that is written down with its answer."""

    id: UUID
    source: str
    answered: Answered


@dataclass(frozen=True, slots=True)
class CommitmentFlow:
    """The steps of committing; `reachable`: who can be told by a new association."""

    database: Database
    storage: LocalStorage
    clock: Callable[[], datetime]
    reachable: Container[str] = ()

    def commit(self, asked: Asked) -> Commitment:
        """Look what of it is kept safe, and write that down; it is due to be told.

        Raises:
            ServiceUnavailable: nothing is written down.
        """
        wanted = [each.sop_instance_uid for each in asked.references]
        with self.database.read_only() as connection:
            found = list(commitments.stored(connection, wanted))
        kept: dict[str, list[KeptInstance]] = defaultdict(list)
        for each in found:
            kept[each.sop_instance_uid].append(self._looked_at(each))
        return self.database.run(partial(self._write_down, asked, found, dict(kept)))

    def _looked_at(self, stored: Stored) -> KeptInstance:
        location = Location(stored.digest, stored.segment, stored.segment_offset)
        try:
            self.storage.extent(location, stored.length)
        except NotFound:
            log.error("bytes missing digest=%s", stored.digest)
            return KeptInstance(stored.sop_class_uid, whole=False)
        return KeptInstance(stored.sop_class_uid, whole=True, retained=not stored.expired)

    def _write_down(
        self,
        asked: Asked,
        found: Sequence[Stored],
        kept: Mapping[str, Sequence[KeptInstance]],
        connection: Connection,
    ) -> Commitment:
        uid, now = asked.transaction_uid, self.clock()
        before = commitments.same_transaction(connection, uid, asked.source)
        is_new = before in (None, frozenset(asked.references))
        answered = Answered(uid, _answers(asked, kept) if is_new else _twice(asked))
        commitment_id = commitments.keep(
            connection, answered, asked.source, asked.association, now
        )
        due = now + SAME_ASSOCIATION
        new = outbox.New(asked.source, COMMITMENT, str(commitment_id), next_at=due)
        outbox.queue(connection, [new], now)
        committed = answered.committed
        used = [each.study_id for each in found if each.reference in committed]
        commitments.use(connection, [each for each in used if each], now)
        return Commitment(commitment_id, asked.source, answered)

    def told(self, commitment: Commitment, status: int | None) -> None:
        """Note what became of telling it over the same association.

        Args:
            commitment: that was told.
            status: of the answer; None: there was none. Whoever did not take it is told
                by a new association, if it has an address.
        """
        now = self.clock()

        def step(connection: Connection) -> None:
            notice = commitments.notice_of(connection, commitment.id, commitment.source)
            if status == 0:
                outbox.settle(connection, notice, "sent", now)
            elif commitment.source in self.reachable:
                outbox.postpone(connection, notice, now, "")
            else:
                outbox.settle(connection, notice, "given-up", now, NO_ADDRESS)

        self.database.run(step)


def _answers(
    asked: Asked, kept: Mapping[str, Sequence[KeptInstance]]
) -> tuple[tuple[Reference, Reason | None], ...]:
    return tuple(
        (each, failure(each, kept.get(each.sop_instance_uid, ()), storable=storable))
        for each in asked.references
        for storable in (each.sop_class_uid in asked.storable,)
    )


def _twice(asked: Asked) -> tuple[tuple[Reference, Reason | None], ...]:
    """Another request under a Transaction UID that was used: nothing is committed."""
    return tuple((each, Reason.DUPLICATE_TRANSACTION) for each in asked.references)
