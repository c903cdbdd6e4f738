"""The tree over the sealed history, as RFC 9162 section 2.1 has it: roots and proofs.

Leaves and nodes are hashed under different prefixes, so that no node passes for a leaf.
A tree is read through `Node`: the hash of a whole subtree of 2**level leaves. So nothing
here knows where hashes are kept. What a verifier is given came from somebody else: it is
compared, and never believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

#: Hash of the subtree over the leaves from index * 2**level up to the next multiple.
Node = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The root of a tree that grows leaf by leaf, in memory of its depth."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        joined, size = leaf, self.size
        while size & 1:
            joined = node_hash(self._whole.pop(), joined)
            size >>= 1
        self._whole.append(joined)
        self.size += 1

    def root(self) -> bytes:
        """Of all leaves so far."""
        if not self._whole:
            return EMPTY_ROOT
        *rest, found = self._whole
        for left in reversed(rest):
            found = node_hash(left, found)
        return found


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root of the tree over some hashes of leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def range_hash(node: Node, start: int, end: int) -> bytes:
    """Hash over the leaves from `start` up to `end`, as they hang in any larger tree.

    `start` is a multiple of the largest power of two below the length, as it always is
    where a tree is split.
    """
    size = end - start
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(range_hash(node, start, middle), range_hash(node, middle, end))


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """The path from a leaf to the root (RFC 9162 section 2.1.3.1); `index` from 0."""
    return _path(node, index, 0, size)


def _path(node: Node, index: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        beside = range_hash(node, middle, end)
        return [*_path(node, index, start, middle), beside]
    beside = range_hash(node, start, middle)
    return [*_path(node, index, middle, end), beside]


def consistency_proof(node: Node, first: int, second: int) -> list[bytes]:
    """That a tree of `second` leaves begins with one of `first` (section 2.1.4.1)."""
    if first in (0, second):
        return []
    return _subproof(node, first, 0, second, whole=True)


def _subproof(node: Node, first: int, start: int, end: int, *, whole: bool) -> list[bytes]:
    if first == end:
        return [] if whole else [range_hash(node, start, end)]
    middle = start + _split(end - start)
    if first <= middle:
        found = _subproof(node, first, start, middle, whole=whole)
        return [*found, range_hash(node, middle, end)]
    found = _subproof(node, first, middle, end, whole=False)
    return [*found, range_hash(node, start, middle)]


def includes(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether a path leads from a leaf to a root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(beside, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def consistent(
    first: int, second: int, roots: tuple[bytes, bytes], path: Sequence[bytes]
) -> bool:
    """Whether the second tree begins with the first (RFC 9162 section 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not path and roots[0] == roots[1]
    if first == 0:
        return not path and roots[0] == EMPTY_ROOT
    whole = first & (first - 1) == 0
    rest = [roots[0], *path] if whole else list(path)
    return bool(rest) and _meet(first - 1, second - 1, rest, roots)


def _meet(place: int, last: int, path: list[bytes], roots: tuple[bytes, bytes]) -> bool:
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for beside in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(beside, before), node_hash(beside, after)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and (before, after) == roots


def _split(size: int) -> int:
    """The largest power of two that is smaller."""
    return 1 << ((size - 1).bit_length() - 1)
