"""Watch a log from outside: cosign what goes on from what was seen, and nothing else.

A witness needs no database and no trust: it holds the last checkpoint that it saw, has
proved to it by the log's own hashes that a newer one begins with it, and only then signs
that. A log that got shorter, or that has another past, is refused, with both named.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconcile.core.merkle import consistency_proof, consistent, range_hash
from reconcile.core.note import COSIGNATURE, Checkpoint, Note, VerifierKey, note
from reconcile.core.tiles import WIDTH, Tile, grown, hashes, node_reader, width_of
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.flows.signing import Signer, is_signed
from reconcile.storage.faults import Fence
from reconcile.storage.tiles import Tiles

_HELD, _KEY, _LOCK = "held.jsonl", "witness.key", "lock"
_TILES_AT_ONCE = 64


class Refused(ReconcileError):
    """The log is not the one that was seen before, or is not whose it should be."""

    title = "The log is refused"


class Source(Protocol):
    """Where a log is read from."""

    def checkpoint(self) -> str:
        """The newest signed note."""

    def tile(self, tile: Tile) -> bytes:
        """The hashes of a tile."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness of one log: a folder of its own, with its key and what it has seen.

    `keeps_hashes`: every leaf's too, so that it can be told which event was rewritten.
    """

    folder: Path
    log: VerifierKey
    name: str
    keeps_hashes: bool = False

    def look(self, source: Source, seconds: int) -> Note:
        """See the newest checkpoint, and cosign it; again the same is cosigned anew.

        Args:
            source: where the log is.
            seconds: what the time is, since 1970.

        Raises:
            Refused: it is another log's, shorter, or of another past.
            ServiceUnavailable: the log cannot be read now.
            WrongUse: the folder is not a witness's.
        """
        with self._alone():
            seen, before = note(source.checkpoint()), self.held()
            self._refuse_unless_it_goes_on(before, seen, source)
            if self.keeps_hashes:
                self._keep_hashes(seen, source)
            signer = self._signer()
            log = tuple(each for each in seen.by(self.log))
            cosigned = signer.cosign(seen.checkpoint, seconds)
            made = Note(seen.checkpoint, (*log, cosigned))
            self._keep(made)
            return made

    def held(self) -> Note | None:
        """The last checkpoint that was cosigned."""
        found = held_in(self.folder / _HELD) if (self.folder / _HELD).exists() else []
        return found[-1] if found else None

    def key(self) -> VerifierKey:
        """By which its cosignatures are verified."""
        with self._alone():
            return self._signer().key

    def _refuse_unless_it_goes_on(
        self, before: Note | None, seen: Note, source: Source
    ) -> None:
        if seen.checkpoint.origin != self.log.name or not is_signed(seen, self.log):
            raise Refused(f"the checkpoint {seen.checkpoint} is not signed by the log")
        if before is None:
            return
        was, is_now = before.checkpoint, seen.checkpoint
        if was.origin != is_now.origin:
            raise Refused(f"{_both(was, is_now)}: it is another log")
        if is_now.size < was.size:
            raise Refused(f"{_both(was, is_now)}: the log got shorter")
        node = node_reader(source.tile, is_now.size)
        try:
            path = consistency_proof(node, was.size, is_now.size)
        except (NotFound, IndexError) as error:
            raise Refused(f"{_both(was, is_now)}: the log cannot prove it") from error
        if not consistent(was.size, is_now.size, (was.root, is_now.root), path):
            raise Refused(f"{_both(was, is_now)}: the past was changed")

    def _keep_hashes(self, seen: Note, source: Source) -> None:
        """Copy what is new of the tree, each part only once it is proved to be of it."""
        kept, at = tiles_of(self.folder), seen.checkpoint
        published = kept.published()
        size = published.checkpoint.size if published else 0
        while size < at.size:
            first = size // WIDTH
            numbers = range(first, min(first + _TILES_AT_ONCE, -(-at.size // WIDTH)))
            wanted = [Tile(0, n, width_of(0, n, at.size)) for n in numbers]
            leaves = [leaf for tile in wanted for leaf in hashes(source.tile(tile))]
            if len(leaves) != sum(tile.width for tile in wanted):
                raise Refused(f"the hashes that are shown are not those of {at}")
            new = dict(grown(size, leaves[size - first * WIDTH :], kept.read))
            size = first * WIDTH + len(leaves)
            self._refuse_unless_of(at, size, new, source)
            for tile, content in new.items():
                kept.write(tile, content)
        kept.publish(str(seen))

    def _refuse_unless_of(
        self, at: Checkpoint, size: int, new: dict[Tile, bytes], source: Source
    ) -> None:
        kept = tiles_of(self.folder)
        node = node_reader(lambda tile: new.get(tile) or kept.read(tile), size)
        path = consistency_proof(node_reader(source.tile, at.size), size, at.size)
        if not consistent(size, at.size, (range_hash(node, 0, size), at.root), path):
            raise Refused(f"the hashes that are shown are not those of {at}")

    def _signer(self) -> Signer:
        path = self.folder / _KEY
        if not path.exists():
            Signer.new(self.name, COSIGNATURE).write(path)
        return Signer.read(path)

    def _keep(self, made: Note) -> None:
        """What is signed is held before anybody sees it."""
        line = json.dumps({"size": made.checkpoint.size, "note": str(made)})
        descriptor = os.open(
            self.folder / _HELD, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two at once could sign two pasts."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError as error:
            raise WrongUse(f"{self.folder} cannot be written") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def tiles_of(folder: Path) -> Tiles:
    """The hashes that a witness keeps in its folder, if it does."""
    return Tiles(folder, Fence(folder))


def held_in(path: Path) -> list[Note]:
    """The checkpoints in a witness's folder or its file, or one signed note in a file.

    Raises:
        WrongUse: there is no such file, or it holds none.
    """
    path = path / _HELD if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: cannot be read") from error
    if not text.startswith("{"):
        return [note(text)]
    try:
        # A line that was cut off is of a signature that nobody has seen.
        return [note(json.loads(line)["note"]) for line in _whole_lines(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise WrongUse(f"{path}: holds no checkpoints") from error


def _whole_lines(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _both(was: Checkpoint, is_now: Checkpoint) -> str:
    return f"held is {was}, shown is {is_now}"
