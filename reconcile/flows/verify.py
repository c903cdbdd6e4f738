"""Whether the history is what was sealed: each event, their order, and none besides.

Everything is compared with what it cannot be changed together with: columns with the
canonical bytes, those with the hash of the leaf, that with the tiles, their root with
what was signed, and that with what somebody else holds. Who can change all of it, the
key and the tiles too, is found out by a copy of a checkpoint, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconcile.core.merkle import Frontier
from reconcile.core.note import Note, VerifierKey, note
from reconcile.core.tiles import WIDTH, Tile, hashes, width_of
from reconcile.db import seal, views_checks, views_placed, views_seal
from reconcile.db.database import Connection, Database
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.entries import Broken, wrong_with
from reconcile.flows.signing import is_signed
from reconcile.storage.tiles import Tiles

#: No transaction of ours lasts so long: what is sealed after a checkpoint was recorded
#: no earlier before it.
PAST_MAX = timedelta(hours=1)
_BATCH = 1000

Progress = Callable[[int, int], None]


def _silent(done: int, of: int) -> None:
    """Nobody looks."""


@dataclass(frozen=True, slots=True)
class Verify:
    """Goes through the log of one archive; changes nothing.

    Attributes:
        keys: any of them may have signed; the first is the one that signs now.
        held: checkpoints that somebody else holds.
        seen: hashes of leaves that witnesses keep.
    """

    database: Database
    tiles: Tiles
    keys: Sequence[VerifierKey]
    held: Sequence[Note] = ()
    seen: Sequence[Tiles] = ()
    progress: Progress = _silent

    def broken(self) -> Iterator[Broken]:
        """Everything that is not as it was sealed, the smallest number first."""
        published = self._published()
        with self.database.read_only() as connection:
            size, text = views_seal.note(connection)
            yield from self._log(connection, size, published)
            yield from self._published_is(published, size)
            yield from self._signed(size, text)
            yield from self._added(connection, size)
            yield from _state(connection)

    def _log(
        self, connection: Connection, size: int, published: Note | None
    ) -> Iterator[Broken]:
        checking = _Checking(self, connection, size, published)
        after = 0
        while rows := views_seal.leaves(connection, after, _BATCH):
            happened = seal.happening_rows(
                connection, list({row.happening_id for row in rows if row.is_there})
            )
            known = {row.id: row for row in happened}
            for row in rows:
                yield from checking.missing_before(row.number)
                yield from wrong_with(row, known.get(row.happening_id))
                yield from checking.placed(row)
            after = rows[-1].number
            self.progress(after, size)
        yield from checking.missing_before(size + 1)
        yield from checking.held_beyond()

    def _published(self) -> Note | None:
        try:
            return self.tiles.published()
        except WrongUse:
            return None

    def _published_is(self, published: Note | None, size: int) -> Iterator[Broken]:
        if published is None:
            if size:
                yield Broken("log", None, None, "the published checkpoint is gone")
        elif published.checkpoint.size > size:
            first = size + 1
            what = f"events {first} to {published.checkpoint.size} were published"
            yield Broken("missing", first, None, f"{what}, and their rows are gone")
        elif not any(is_signed(published, key) for key in self.keys):
            yield Broken("log", None, None, "the published checkpoint is not signed by us")

    def _signed(self, size: int, text: str) -> Iterator[Broken]:
        if size and not any(is_signed(note(text), key) for key in self.keys):
            what = "the newest checkpoint of the database is not signed by us"
            yield Broken("log", size, None, what)

    def _added(self, connection: Connection, size: int) -> Iterator[Broken]:
        newest = views_seal.lag(connection).sealed_at
        if not size or newest is None:
            return
        for row in views_seal.added(connection, newest - PAST_MAX):
            yield Broken("added", None, row.id, "was added to the past: it has no number")


class _Checking:
    """The tree, as it is built up from the rows, and what it is compared with."""

    def __init__(
        self, verify: Verify, connection: Connection, size: int, published: Note | None
    ) -> None:
        self.frontier = Frontier()
        self._tiles = _Leaves(verify.tiles, size)
        self._seen = [_Leaves(each, _size_of(each)) for each in verify.seen]
        self._size = size
        self._connection = connection
        self._held = sorted(verify.held, key=lambda each: each.checkpoint.size)
        self._against = [*self._held, *([published] if published else [])]
        self._against.sort(key=lambda each: each.checkpoint.size)
        self._checkpoints = self._all_checkpoints()
        self._next = next(self._checkpoints, None)
        self._sealed_at: datetime | None = None
        self._agreed = 0
        self._torn = False

    def missing_before(self, number: int) -> Iterator[Broken]:
        """Numbers that no row has."""
        expected = self.frontier.size + 1
        if number <= expected:
            return
        self._torn = True
        for each in range(expected, min(number, expected + 1)):
            what = "has no row in the log any more"
            yield Broken("missing", each, None, what)
        while self.frontier.size + 1 < number:
            self.frontier.append(self._tiles.at(self.frontier.size) or b"")

    def placed(self, row: Any) -> Iterator[Broken]:
        """The leaf of a row in its place of the tree, and the tree at that size."""
        in_tile = self._tiles.at(row.number - 1)
        if in_tile is None:
            if not self._torn:
                yield Broken("log", row.number, row.event_id, "its tile is missing")
            self._torn = True
        elif in_tile != row.hash:
            moved = row.hash in self._tiles.row
            what = "stands at another place" if moved else "was sealed as something else"
            code = "order" if moved else "altered"
            yield Broken(code, row.number, row.event_id, f"{what}: its tile says so")
        for each in self._seen:
            if each.at(row.number - 1) not in (None, row.hash):
                what = "was rewritten: a witness saw something else"
                yield Broken("rewritten", row.number, row.event_id, what)
        self.frontier.append(row.hash)
        yield from self._in_the_past(row)
        yield from self._roots()

    def held_beyond(self) -> Iterator[Broken]:
        """Checkpoints that are of a longer log than this is."""
        for each in self._held:
            if each.checkpoint.size > self._size:
                first = self._size + 1
                what = f"a checkpoint that is held has {each.checkpoint.size} events"
                yield Broken("missing", first, None, f"{what}, the log {self._size}")

    def _in_the_past(self, row: Any) -> Iterator[Broken]:
        before, recorded = self._sealed_at, row.recorded_at
        if before and recorded and recorded < before - PAST_MAX:
            what = "was added to the past: what is sealed before it was sealed later"
            yield Broken("added", row.number, row.event_id, what)

    def _roots(self) -> Iterator[Broken]:
        size = self.frontier.size
        while self._next is not None and self._next.size < size:
            self._next = next(self._checkpoints, None)
        if self._next is not None and self._next.size == size:
            if self._next.root != self.frontier.root():
                yield self._rewritten("the checkpoint of the database")
            self._sealed_at = self._next.sealed_at
        while self._against and self._against[0].checkpoint.size <= size:
            against = self._against.pop(0)
            if against.checkpoint.size != size:
                continue
            if against.checkpoint.root == self.frontier.root():
                self._agreed = size
            else:
                whose = "held" if against in self._held else "published"
                yield self._rewritten(f"the {whose} checkpoint {against.checkpoint}")

    def _rewritten(self, whose: str) -> Broken:
        first = self._agreed + 1
        what = f"one of the events {first} to {self.frontier.size} was rewritten"
        return Broken("rewritten", first, None, f"{what}: {whose} is of another history")

    def _all_checkpoints(self) -> Iterator[Any]:
        after = 0
        while rows := views_seal.checkpoints(self._connection, after, _BATCH):
            yield from rows
            after = rows[-1].size


class _Leaves:
    """The hashes of leaves as tiles have them, one tile at a time."""

    def __init__(self, tiles: Tiles, size: int) -> None:
        self.row: list[bytes] = []
        self._tiles = tiles
        self._size = size
        self._number = -1

    def at(self, index: int) -> bytes | None:
        """The hash of a leaf, from 0 on; None: it is not in the tiles."""
        number, place = divmod(index, WIDTH)
        if number != self._number:
            self._number, self.row = number, self._read(number)
        return self.row[place] if place < len(self.row) else None

    def _read(self, number: int) -> list[bytes]:
        width = width_of(0, number, self._size)
        if not width:
            return []
        try:
            return hashes(self._tiles.read(Tile(0, number, width)))
        except NotFound:
            return []


def _size_of(tiles: Tiles) -> int:
    published = tiles.published()
    return published.checkpoint.size if published else 0


def _state(connection: Connection) -> Iterator[Broken]:
    """Rows that are given out by, against the events."""
    for uid, what in views_placed.misplaced(connection):
        yield Broken("state", None, None, f"instance {uid} {what}")
    for uid, what in views_checks.state_not_fold(connection):
        yield Broken("state", None, None, f"{uid} {what}")
