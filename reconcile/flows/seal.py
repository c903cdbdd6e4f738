"""Seal what has committed: numbers, leaves, tiles, and a signed checkpoint over them.

One process seals, by a lock of its session. A batch is first committed, with its signed
checkpoint, then written to tiles, then published: what a crash cuts off is done again
from the rows. So no two trees of one size are ever signed. Writers never wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TypeVar

from reconcile.core.audit import entry
from reconcile.core.merkle import leaf_hash, range_hash
from reconcile.core.note import Checkpoint, Note
from reconcile.core.tiles import Tile, grown, node_reader
from reconcile.db import seal, views_seal
from reconcile.db.database import Connection, Database
from reconcile.errors import ReconcileError, ServiceUnavailable
from reconcile.flows.signing import Signer
from reconcile.storage.tiles import Tiles

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Events of one batch, at most: they are in memory.
BATCH_MAX = 5000
#: Between two batches, unless more waits than one can hold.
SECONDS = 0.5
#: Somebody else seals, or it cannot be done now.
SECONDS_OF_WAITING = 5.0
#: What is older and has no number is late: a transaction holds the watermark.
LATE = timedelta(seconds=5)
LOOK_EVERY = timedelta(seconds=5)


class LogForked(ReconcileError):
    """What is published is not what the database says: nothing more is signed."""

    title = "The sealed history does not go on from what was published"


@dataclass
class Sealer:
    """Seals one archive's history, batch by batch."""

    database: Database
    tiles: Tiles
    signers: Sequence[Signer]
    clock: Callable[[], datetime]
    batch_max: int = BATCH_MAX
    _anchoring: _Anchoring | None = field(default=None, init=False)
    _published: int | None = field(default=None, init=False)
    _through: str | None = field(default=None, init=False)  # nothing before is unsealed
    _looked: datetime = field(default=datetime.min.replace(tzinfo=UTC), init=False)

    def run(self, stop: Event) -> None:
        """Seal until it is to stop."""
        while not stop.is_set():
            try:
                with self.database.session() as connection:
                    self._run(connection, stop)
            except ServiceUnavailable as error:
                log.warning("nothing is sealed now: %s", error)
            except ReconcileError as error:
                log.error("nothing is sealed: %s", error)
            self._published = self._anchoring = self._through = None
            stop.wait(SECONDS_OF_WAITING)

    def _run(self, connection: Connection, stop: Event) -> None:
        if not _commit(connection, seal.hold):
            return
        while not stop.is_set():
            sealed = self.batch(connection)
            if not sealed:
                self._say_if_late(connection)
            if sealed < self.batch_max:  # a batch costs the same whatever is in it
                stop.wait(SECONDS)

    def _say_if_late(self, connection: Connection) -> None:
        """Nothing can be sealed, and something waits for it: whose fault is it?"""
        now = self.clock()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        lag = _commit(connection, views_seal.lag)
        if lag.oldest is None or now - lag.oldest < LATE:
            return
        found = _commit(connection, views_seal.staller)
        log.warning(
            "seal=late unsealed=%d seconds=%d oldest_transaction=%s of_process=%s",
            lag.unsealed,
            (now - lag.oldest).total_seconds(),
            found.xid if found else None,
            found.pid if found else None,
        )

    def seal_all(self) -> int:
        """Seal everything that there is, if nobody else does; the size of the log.

        Raises:
            ServiceUnavailable: another process seals, or it cannot be done now.
            LogForked: it may not go on.
        """
        with self.database.session() as connection:
            if not _commit(connection, seal.hold):
                raise ServiceUnavailable("another process seals this history")
            while self.batch(connection):
                pass
            return _commit(connection, seal.now).size

    def batch(self, connection: Connection) -> int:
        """Seal a batch on the connection that holds the lock; of how many events.

        Raises:
            LogForked: what is published is another tree.
            StorageFull, ServiceUnavailable: try again later.
        """
        with connection.begin():
            at = seal.now(connection)
            self._publish_until(connection, at.size)
            found, watermark, finished = self._found(connection, at)
            made = self._sealed(connection, at.size, found, watermark) if found else None
            size = at.size + len(found)
            if finished is not None:
                seal.anchor(connection, finished, size, self.clock())
                _say_anchored(at, size)
        if finished is not None:
            self._anchoring = None
        if made is not None:
            self._write(made)
        return len(found)

    def _found(
        self, connection: Connection, at: seal.Now
    ) -> tuple[list[seal.Unsealed], str, seal.Now | None]:
        """What to seal now, up to which transaction, and the anchor that it completes."""
        if at.since is not None:
            since = max(at.since, self._through or at.since, key=int)
            found = seal.unsealed(connection, since, self.batch_max)
            full = len(found) == self.batch_max
            watermark = found[-1].xid if full else at.watermark
            self._through = None if full else watermark
            return sorted(found, key=lambda each: each.position), watermark, None
        if self._anchoring is None:
            self._anchoring = _Anchoring(at)
        begun = self._anchoring
        found = seal.unsealed_at_all(connection, begun.position, self.batch_max)
        if found:
            begun.position = found[-1].position
        finished = begun.at if len(found) < self.batch_max else None
        return found, begun.at.watermark, finished

    def _sealed(
        self,
        connection: Connection,
        size: int,
        found: Sequence[seal.Unsealed],
        watermark: str,
    ) -> _Made:
        bodies = seal.happenings(connection, list({e.happening_id for e in found}))
        leaves = [leaf_hash(entry(e.body, bodies[e.happening_id])) for e in found]
        tiles = dict(grown(size, leaves, self.tiles.read))
        node = node_reader(lambda t: tiles.get(t) or self.tiles.read(t), size + len(leaves))
        root = range_hash(node, 0, size + len(leaves))
        checkpoint = Checkpoint(self.signers[0].key.name, size + len(leaves), root)
        signatures = tuple(each.sign(checkpoint) for each in self.signers)
        note = str(Note(checkpoint, signatures))
        row = seal.Sealed(checkpoint.size, root, note, watermark, self.clock())
        seal.add(connection, [(e.id, h) for e, h in zip(found, leaves, strict=True)], row)
        return _Made(tiles, note, checkpoint.size)

    def _write(self, made: _Made) -> None:
        for tile, content in made.tiles.items():
            self.tiles.write(tile, content)
        self.tiles.publish(made.note)
        self._published = made.size

    def _publish_until(self, connection: Connection, size: int) -> None:
        """Make up for what a crash has cut off, from the rows."""
        if self._published is None:
            self._published = self._checked(connection, size)
            self.tiles.publish_keys("".join(f"{each.key}\n" for each in self.signers))
        if self._published == size:
            return
        for hashes in seal.leaf_hashes(connection, self._published, size):
            for tile, content in grown(self._published, hashes, self.tiles.read):
                self.tiles.write(tile, content)
            self._published += len(hashes)
        row = seal.checkpoint(connection, size)
        if row is None or self._published != size:
            self._published = None
            raise LogForked(f"rows of the log of {size} are missing")
        self.tiles.publish(row.note)

    def _checked(self, connection: Connection, size: int) -> int:
        """The size that is published, and is the database's too."""
        published = self.tiles.published()
        if published is None:
            return 0
        said = published.checkpoint
        row = seal.checkpoint(connection, said.size)
        if said.size > size or row is None or row.root != said.root:
            raise LogForked(
                f"published is {said}, the database has {size} events sealed and another"
                " history: see `reconcile audit verify`"
            )
        return said.size


@dataclass
class _Anchoring:
    """Everything that has no number is sealed by position, whatever its transaction."""

    at: seal.Now
    position: int = -1


@dataclass(frozen=True, slots=True)
class _Made:
    tiles: dict[Tile, bytes]
    note: str
    size: int


def _say_anchored(at: seal.Now, size: int) -> None:
    if at.size or size:
        log.warning(
            "seal=anchored size=%d: transaction ids are another server's than before,"
            " or it is the first time; all that was there is sealed",
            size,
        )


def _commit(connection: Connection, step: Callable[[Connection], T]) -> T:
    with connection.begin():
        return step(connection)
