"""Deflate within bounds."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Callable
from itertools import count

import pytest

from reconcile.dataset.inflate import InflateLimits, deflate, inflate
from reconcile.errors import CannotUnderstand, InflateLimitExceeded


def deflated(data: bytes) -> bytes:
    return b"".join(deflate([data]))


@pytest.mark.parametrize("size", [0, 1, 1000, 700_000])
def test_inflating_what_was_deflated_gives_it_back(size: int) -> None:
    """Whole or in pieces, and of even length as PS3.5 section A.5 wants it."""
    data = random.Random(7).randbytes(size)
    pieces = [data[i : i + 4096] for i in range(0, size, 4096)]
    said = b"".join(deflate(pieces))
    whole, parts = io.BytesIO(), io.BytesIO()
    assert inflate(said, whole) == size
    inflate((said[i : i + 7] for i in range(0, len(said), 7)), parts)
    assert whole.getvalue() == parts.getvalue() == data
    assert len(said) % 2 == 0


def test_a_bomb_is_refused_early() -> None:
    """16 kB that would become 16 MB: refused before half of it is written."""
    bomb = deflated(bytes(16 * 1024 * 1024))
    assert len(bomb) < 17_000
    sink = io.BytesIO()
    with pytest.raises(InflateLimitExceeded):
        inflate(bomb, sink)
    assert len(sink.getvalue()) <= 8 * 1024 * 1024


def test_a_small_empty_mask_is_no_bomb() -> None:
    """Under the floor any ratio is taken."""
    assert inflate(deflated(bytes(5_000_000)), io.BytesIO()) == 5_000_000


def test_size_is_bounded() -> None:
    """Whatever the ratio."""
    data = random.Random(7).randbytes(100_000)
    with pytest.raises(InflateLimitExceeded):
        inflate(deflated(data), io.BytesIO(), InflateLimits(size_bytes=50_000))


def test_time_is_bounded() -> None:
    """Seconds of CPU are counted while inflating."""
    ticks = count()
    clock: Callable[[], float] = lambda: float(next(ticks))  # noqa: E731
    with pytest.raises(InflateLimitExceeded):
        inflate(
            deflated(random.Random(7).randbytes(2_000_000)),
            io.BytesIO(),
            InflateLimits(cpu_seconds=3),
            clock,
        )


@pytest.mark.parametrize("data", [b"", b"\xff" * 20, zlib.compress(b"x" * 50)[:20]])
def test_what_is_not_deflated_is_refused(data: bytes) -> None:
    """Garbage, and what has a zlib header."""
    with pytest.raises(CannotUnderstand):
        inflate(data, io.BytesIO())


def test_what_is_cut_off_is_refused() -> None:
    """A data set that does not end is no data set."""
    with pytest.raises(CannotUnderstand, match="cut off"):
        inflate(deflated(random.Random(7).randbytes(5000))[:-100], io.BytesIO())
