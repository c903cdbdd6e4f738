"""The tiles of the sealed history, beside the received bytes: written once, never changed.

    ROOT/tlog/tile/0/000        256 hashes, as C2SP tlog-tiles has them
    ROOT/tlog/tile/0/001.p/17   the first 17 of them, until there are 256
    ROOT/tlog/checkpoint        the newest signed note, in the place of the one before
    ROOT/tlog/key               by which it is verified

A checkpoint is published after every tile that it needs is durable. Paths are made of
numbers, never of a name that somebody sent.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reconcile.core.merkle import HASH_BYTES
from reconcile.core.note import Note, note
from reconcile.core.tiles import WIDTH, Tile, all_tiles
from reconcile.errors import NotFound, ReconcileError
from reconcile.storage.faults import Fence, storage_error

_CHECKPOINT, _KEY = "checkpoint", "key"


class TileDiffers(ReconcileError):
    """A tile is there already, and holds something else: the history was forked."""

    title = "The sealed history was forked"


class Tiles:
    """The tree and its newest checkpoint under one root. One process writes."""

    def __init__(self, root: Path, fence: Fence) -> None:
        self.root = root / "tlog"
        self._fence = fence

    def read(self, tile: Tile) -> bytes:
        """The hashes of a tile; of a part also where the whole is there by now.

        Raises:
            NotFound: there is no such tile, or it was cut off.
            ServiceUnavailable: it cannot be read.
        """
        for held in self._wider(tile):
            with suppress(FileNotFoundError):
                content = self._content(self._path(held))
                if len(content) != held.width * HASH_BYTES:
                    raise NotFound(f"tile {held.path} is cut off")
                return content[: tile.width * HASH_BYTES]
        raise NotFound(f"there is no tile {tile.path}")

    def _wider(self, tile: Tile) -> Iterator[Tile]:
        """The tile, then those that begin with it."""
        yield tile
        yield tile._replace(width=WIDTH)
        parts = self._path(tile._replace(width=1)).parent
        with suppress(OSError):
            names = (name for name in os.listdir(parts) if name.isdigit())
            for width in sorted(int(name) for name in names):
                if width > tile.width:
                    yield tile._replace(width=width)

    def write(self, tile: Tile, content: bytes) -> None:
        """Make a tile durable; one that is there already must be the same.

        Raises:
            TileDiffers: it is another.
            StorageFull, ServiceUnavailable: it cannot be written, or storage is fenced.
        """
        path = self._path(tile)
        try:
            self._fence.pass_by()
            self._folders(path.parent)
            fresh = _write(path, content)
            try:
                os.link(fresh, path)
            except FileExistsError:
                if path.read_bytes() != content:
                    raise TileDiffers(f"tile {tile.path} holds something else") from None
            finally:
                fresh.unlink()
            self._sync(path.parent)
            if tile.width == WIDTH:
                self._remove_parts(tile)
        except OSError as error:
            raise storage_error(error) from error

    def published(self) -> Note | None:
        """The newest checkpoint; None: nothing is sealed.

        Raises:
            WrongUse: the file is none.
        """
        try:
            return note((self.root / _CHECKPOINT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error) from error

    def publish(self, text: str) -> None:
        """Put a checkpoint in the place of the one before, whole or not at all.

        Raises:
            StorageFull, ServiceUnavailable: it cannot be written.
        """
        self._replace(_CHECKPOINT, text)

    def publish_keys(self, text: str) -> None:
        """Say by which keys checkpoints are verified; raises what `publish` does."""
        if self.keys() != text:
            self._replace(_KEY, text)

    def keys(self) -> str:
        """The verifier keys of the log, one on a line; empty: nobody has said."""
        try:
            return (self.root / _KEY).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise storage_error(error) from error

    def _replace(self, name: str, text: str) -> None:
        path = self.root / name
        try:
            self._fence.pass_by()
            self._folders(self.root)
            _write(path, text.encode()).rename(path)
            self._sync(self.root)
        except OSError as error:
            raise storage_error(error) from error

    def copy(self, size: int, note_text: str, into: Path) -> Iterator[int]:
        """Copy the tree as of one size, with its checkpoint; yields the bytes copied.

        Raises:
            NotFound: a tile is missing.
            StorageFull, ServiceUnavailable: it cannot be copied.
        """
        other = Tiles(into, Fence(into))
        for tile in all_tiles(size):
            if tile.width < WIDTH or not other._path(tile).exists():
                content = self.read(tile)
                other.write(tile, content)
                yield len(content)
        if size:
            other.publish(note_text)

    def _path(self, tile: Tile) -> Path:
        return self.root / "tile" / tile.path

    @staticmethod
    def _content(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error(error) from error

    def _remove_parts(self, tile: Tile) -> None:
        parts = self._path(tile._replace(width=1)).parent
        shutil.rmtree(parts, ignore_errors=True)

    def _folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._folders(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        self._sync(folder.parent)

    def _sync(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError:
            self._fence.put_up()
            raise
        finally:
            os.close(descriptor)


def _write(path: Path, content: bytes) -> Path:
    """A durable file beside `path`, under a name of its own."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh
