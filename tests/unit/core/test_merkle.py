"""The tree of the sealed history: RFC 9162, by vectors, by an oracle, and by its tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion

from reconcile.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    Node,
    consistency_proof,
    consistent,
    includes,
    inclusion_proof,
    leaf_hash,
    range_hash,
    root_of,
)
from reconcile.core.tiles import Tile, grown, node_reader, tile_named

# The leaves, roots and proofs that implementations of RFC 6962 have shared from the first.
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
HASHES = [leaf_hash(data) for data in LEAVES]


def nodes(leaves: Sequence[bytes]) -> Node:
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


def test_roots_are_those_of_the_vectors() -> None:
    """
    Every size of tree has the root that other implementations give it.
    """
    assert root_of([]) == EMPTY_ROOT
    for size, root in enumerate(ROOTS, 1):
        assert root_of(HASHES[:size]).hex() == root
        assert range_hash(nodes(HASHES), 0, size).hex() == root


def test_proofs_are_those_of_the_vectors() -> None:
    """
    RFC 6962 section 2.1.3 draws the tree of seven leaves: its paths are those there.
    """
    d = nodes(HASHES)
    a, b, c, g, h, i, j = (
        *(HASHES[n] for n in (0, 1, 2)),
        d(1, 0),
        d(1, 1),
        d(1, 2),
        HASHES[6],
    )
    k, leaf_d, f = d(2, 0), HASHES[3], HASHES[5]
    assert inclusion_proof(d, 0, 7) == [b, h, range_hash(d, 4, 7)]
    assert inclusion_proof(d, 3, 7) == [c, g, range_hash(d, 4, 7)]
    assert inclusion_proof(d, 4, 7) == [f, j, k]
    assert inclusion_proof(d, 6, 7) == [i, k]
    assert consistency_proof(d, 3, 7) == [c, leaf_d, g, range_hash(d, 4, 7)]
    assert consistency_proof(d, 4, 7) == [range_hash(d, 4, 7)]
    assert consistency_proof(d, 6, 7) == [i, j, k]
    assert a == bytes.fromhex(ROOTS[0])


def test_an_oracle_agrees() -> None:
    """
    An implementation of somebody else has the same roots, and takes our trees' word.
    """
    oracle = InmemoryTree(algorithm="sha256")
    frontier = Frontier()
    for number in range(70):
        data = number.to_bytes(2, "big") * 3
        oracle.append_entry(data)
        frontier.append(leaf_hash(data))
        assert oracle.get_root() == frontier.root()
        for index in (1, number // 2 + 1, number + 1):
            proof = oracle.prove_inclusion(index)
            verify_inclusion(
                leaf_hash(data) if index == number + 1 else oracle.get_leaf(index),
                frontier.root(),
                proof,
            )
            verify_consistency(
                oracle.get_root(index), frontier.root(), oracle.prove_consistency(index)
            )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 64, 65, 257])
def test_every_leaf_is_proved_and_nothing_else_is(size: int) -> None:
    """
    Each leaf's path leads to the root; another leaf, place, size or path does not.
    """
    leaves = [leaf_hash(bytes([n % 256, n // 256])) for n in range(size)]
    node, root = nodes(leaves), root_of(leaves)
    for index in range(size):
        path = inclusion_proof(node, index, size)
        assert includes(leaves[index], index, size, path, root)
        assert not includes(leaf_hash(b"other"), index, size, path, root)
        assert not includes(leaves[index], index + 1, size, path, root)
        assert not includes(leaves[index], index, size, [*path, root], root)
        assert not path or not includes(leaves[index], index, size, path[:-1], root)


@given(st.integers(1, 80), st.integers(0, 80), st.randoms(use_true_random=False))
def test_a_tree_that_grew_is_consistent_and_a_forged_one_is_not(
    first: int, more: int, random: Random
) -> None:
    """
    A longer log proves that it begins with a shorter one; a forged one cannot.
    """
    leaves = [leaf_hash(bytes([n])) for n in range(first + more)]
    forged = list(leaves)
    forged[random.randrange(first)] = leaf_hash(b"forged")
    for row, expected in ((leaves, True), (forged, False)):
        path = consistency_proof(nodes(row), first, len(row))
        roots = (root_of(leaves[:first]), root_of(row))
        assert consistent(first, len(row), roots, path) is expected
    if more:
        path = consistency_proof(nodes(leaves), first, len(leaves))
        roots = (root_of(leaves[:first]), root_of(leaves))
        assert not consistent(first, len(leaves), roots, [*path, path[0]])
        assert not consistent(len(leaves), first, roots, path)


def kept() -> tuple[dict[Tile, bytes], Callable[[Tile], bytes]]:
    tiles: dict[Tile, bytes] = {}
    return tiles, lambda tile: tiles[tile]


@pytest.mark.parametrize("steps", [(1, 2, 253, 1), (256, 256), (255, 300, 7), (70_000, 1)])
def test_tiles_that_grow_hold_the_tree(steps: tuple[int, ...]) -> None:
    """
    Tiles are only added, however the log grew, and its roots and proofs come from them.
    """
    tiles, read = kept()
    leaves: list[bytes] = []
    for step in steps:
        new = [leaf_hash((len(leaves) + n).to_bytes(4, "big")) for n in range(step)]
        for tile, content in grown(len(leaves), new, read):
            assert tile not in tiles
            assert len(content) == tile.width * 32
            tiles[tile] = content
        leaves += new
        size = len(leaves)
        node, root = node_reader(read, size), root_of(leaves)
        assert range_hash(node, 0, size) == root
        for index in {0, size // 3, size - 1}:
            assert includes(
                leaves[index], index, size, inclusion_proof(node, index, size), root
            )
        first = size - step
        path = consistency_proof(node, first, size)
        assert consistent(first, size, (root_of(leaves[:first]), root), path)


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("0/000", Tile(0, 0)),
        ("1/x001/x234/067.p/8", Tile(1, 1234067, 8)),
        ("0/x001/067", Tile(0, 1067)),
        ("63/000.p/255", Tile(63, 0, 255)),
        ("64/000", None),
        ("00/000", None),
        ("0/x000/001", None),
        ("0/../001", None),
        ("0/001.p/0", None),
        ("0/001.p/256", None),
        ("0/001.p/999", None),
        ("0/1", None),
        ("", None),
    ],
)
def test_a_tile_has_one_name(path: str, tile: Tile | None) -> None:
    """
    What is no tile's name is nobody's: no path comes of it.
    """
    assert tile_named(path) == tile
    assert tile is None or tile.path == path
