"""Pieces of the tree that are written once: tiles, in the layout of C2SP tlog-tiles.

A tile of level L holds up to 256 hashes of subtrees of 256**L leaves; a full one never
changes, and neither does a part of one, which is named by how many hashes it has.

Source:
    https://c2sp.org/tlog-tiles
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from reconcile.core.merkle import HASH_BYTES, Node, root_of

WIDTH = 256
_HEIGHT = 8
#: Of a tree that nobody will ever grow: 256**8 leaves.
LEVELS_MAX = 8
_PATH = re.compile(
    r"([0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?"
)


class Tile(NamedTuple):
    """Which tile: `width` hashes, from 1 to 256."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below `tile/`, such as "0/x001/067" or "1/000.p/5"."""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        part = "" if self.width == WIDTH else f".p/{self.width}"
        return f"{self.level}/{'/'.join(groups)}{part}"


def tile_named(path: str) -> Tile | None:
    """The tile that a path below `tile/` means; None: it is none."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    index = int(found[2].replace("x", "").replace("/", ""))
    tile = Tile(int(found[1]), index, int(found[3] or WIDTH))
    return tile if tile.path == path and 0 < tile.width <= WIDTH else None


#: The hashes of a tile, one after the other.
Read = Callable[[Tile], bytes]


def hashes(content: bytes) -> list[bytes]:
    """The hashes that a tile holds."""
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def width_of(level: int, index: int, size: int) -> int:
    """How many hashes a tile has in a tree of `size` leaves."""
    count = size >> (_HEIGHT * level)
    return max(0, min(WIDTH, count - index * WIDTH))


def node_reader(read: Read, size: int) -> Node:
    """The nodes of a tree of `size` leaves, from its tiles."""

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, _HEIGHT)
        first = index << height
        number, at = divmod(first, WIDTH)
        width = width_of(tile_level, number, size)
        content = hashes(read(Tile(tile_level, number, width)))
        return root_of(content[at : at + (1 << height)])

    return node


def grown(before: int, leaves: Sequence[bytes], read: Read) -> Iterator[tuple[Tile, bytes]]:
    """The tiles that a tree of `before` leaves needs besides, once it has these too.

    Lower levels come first, and in them lower indices.
    """
    added: list[bytes] = list(leaves)
    level = 0
    while added:
        whole = before >> (_HEIGHT * level)
        index, width = divmod(whole, WIDTH)
        kept = hashes(read(Tile(level, index, width))) if width else []
        row, added = kept + added, []
        for start in range(0, len(row), WIDTH):
            part = row[start : start + WIDTH]
            tile = Tile(level, index + start // WIDTH, len(part))
            yield tile, b"".join(part)
            if len(part) == WIDTH:
                added.append(root_of(part))
        level += 1


def all_tiles(size: int) -> Iterator[Tile]:
    """Every tile of a tree of `size` leaves, those in part last of their level."""
    for level in range(LEVELS_MAX):
        count = size >> (_HEIGHT * level)
        for index in range((count + WIDTH - 1) // WIDTH):
            yield Tile(level, index, width_of(level, index, size))
