"""Deflate undone within bounds, and done again; memory stays constant both ways.

A deflated data set of 16 kB can hold 16 MB (1 032 to 1), and whoever reads it pays for
every byte. Size, ratio and time are bounded while inflating, not after.

Source:
    PS3.5 section A.5 (Deflated Explicit VR Little Endian): RFC 1951 without a zlib
    header, padded with a NUL to even length.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from reconcile.dataset.elements import Buffer
from reconcile.errors import CannotUnderstand, InflateLimitExceeded

_RAW = -zlib.MAX_WBITS
_CHUNK_BYTES = 256 * 1024


class Sink(Protocol):
    """What inflated bytes are written to."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class InflateLimits:
    """What one deflated data set may become.

    Attributes:
        size_bytes: of the inflated data set; uncompressed instances end at 4 GB too.
        ratio: inflated to deflated; text reaches 20, an empty mask 1 000.
        floor_bytes: up to this size any ratio is taken: small masks are legitimate.
        cpu_seconds: of the inflating thread; 4 GB take about 20.
    """

    size_bytes: int = 4 * 1024**3
    ratio: int = 200
    floor_bytes: int = 8 * 1024 * 1024
    cpu_seconds: float = 120.0


LIMITS = InflateLimits()


def inflate(
    source: Buffer | Iterable[bytes | memoryview],
    sink: Sink,
    limits: InflateLimits = LIMITS,
    clock: Callable[[], float] = time.thread_time,
) -> int:
    """Inflate a data set into `sink`; returns how many bytes were written.

    Args:
        source: the deflated bytes, whole or in pieces.
        sink: a file, or whatever else has `write`.
        limits: what may come out.
        clock: CPU seconds of this thread.

    Raises:
        InflateLimitExceeded: past a limit; what was written so far is to be dropped.
        CannotUnderstand: it is not deflated, or cut off.
    """
    meter = _Meter(limits, clock, clock())
    inflater = zlib.decompressobj(_RAW)
    try:
        for chunk in _chunks(source):
            meter.read += len(chunk)
            _feed(inflater, chunk, sink, meter)
            if inflater.eof:
                return meter.written
    except zlib.error:
        raise CannotUnderstand("data set is not deflated") from None
    raise CannotUnderstand("deflated data set is cut off")


@dataclass(slots=True)
class _Meter:
    limits: InflateLimits
    clock: Callable[[], float]
    began: float
    read: int = 0
    written: int = 0

    def count(self, size: int) -> None:
        self.written += size
        most = max(self.limits.floor_bytes, self.limits.ratio * self.read)
        if self.written > min(most, self.limits.size_bytes):
            raise InflateLimitExceeded("inflates past the limit of size or ratio")
        if self.clock() - self.began > self.limits.cpu_seconds:
            raise InflateLimitExceeded("inflating takes too long")


def _feed(
    inflater: zlib._Decompress, chunk: bytes | memoryview, sink: Sink, meter: _Meter
) -> None:
    pending: bytes | memoryview = chunk
    while len(pending) and not inflater.eof:
        data = inflater.decompress(pending, _CHUNK_BYTES)
        meter.count(len(data))
        sink.write(data)
        pending = inflater.unconsumed_tail


def _chunks(source: Buffer | Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    if not isinstance(source, Buffer):
        yield from source
        return
    view = memoryview(source)
    for start in range(0, len(view), _CHUNK_BYTES):
        yield view[start : start + _CHUNK_BYTES]


def deflate(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """A data set deflated, piece by piece, padded to even length."""
    deflater = zlib.compressobj(wbits=_RAW)
    size = 0
    for piece in pieces:
        data = deflater.compress(piece)
        size += len(data)
        if data:
            yield data
    data = deflater.flush()
    yield data + b"\0" * ((size + len(data)) % 2)
