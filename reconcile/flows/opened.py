"""A stored or spooled file, open for reading, whatever its size: mapped, never loaded."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from reconcile.dataset.elements import encoding_of
from reconcile.dataset.facts import Received, read
from reconcile.dataset.inflate import inflate
from reconcile.errors import CannotUnderstand
from reconcile.flows.arrival import Arrival
from reconcile.storage.content import Content, Extent, InFile

_CHUNK_BYTES = 1 << 20
GIVEN_BACK_BYTES = 32 << 20


@contextmanager
def opened(arrival: Arrival, scratch: Path) -> Iterator[Received]:
    """The header of an arrival's data set.

    Raises:
        CannotUnderstand: the data set is empty or cannot be read.
    """
    with (
        _view(arrival.content) as view,
        readable(view, arrival.transfer_syntax, scratch) as buffer,
    ):
        yield read(buffer, arrival.transfer_syntax, arrival.source.charset)


@contextmanager
def _view(content: Content) -> Iterator[memoryview]:
    if isinstance(content, InFile):
        with data_set(whole(content.path, content.data_offset)) as view:
            yield view
    elif content.data:
        yield memoryview(content.data)
    else:
        raise CannotUnderstand("the data set is empty")


def whole(path: Path, offset: int = 0) -> Extent:
    """A file from an offset to its end."""
    return Extent(path, offset, path.stat().st_size - offset)


@contextmanager
def data_set(extent: Extent) -> Iterator[memoryview]:
    """The data set's bytes, mapped.

    Raises:
        CannotUnderstand: there are none.
    """
    if extent.length <= 0:
        raise CannotUnderstand("the data set is empty")
    before = extent.offset % mmap.ALLOCATIONGRANULARITY
    with extent.path.open("rb") as file:
        mapped = mmap.mmap(
            file.fileno(),
            before + extent.length,
            access=mmap.ACCESS_READ,
            offset=extent.offset - before,
        )
        view = memoryview(mapped)[before:]
        try:
            yield view
        finally:
            view.release()
            _close(mapped)


@contextmanager
def readable(view: memoryview, transfer_syntax: str, scratch: Path) -> Iterator[memoryview]:
    """The bytes of a data set with the deflate of its transfer syntax undone."""
    if not encoding_of(transfer_syntax).deflated:
        yield view
        return
    with written(scratch, lambda file: inflate(read_through(view), file)) as inflated:
        yield inflated


@contextmanager
def written(scratch: Path, write: Callable[[BinaryIO], object]) -> Iterator[memoryview]:
    """What `write` writes into a file without a name, mapped; at least one byte."""
    with tempfile.TemporaryFile(dir=scratch) as file:
        write(file)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()
            _close(mapped)


def read_through(view: memoryview) -> Iterator[memoryview]:
    """The bytes in pieces of 1 MiB; pages of a mapped file are given back on the way.

    Mapped pages count as this process's memory until they are.
    """
    mapped = view.obj
    for start in range(0, len(view), _CHUNK_BYTES):
        yield view[start : start + _CHUNK_BYTES]
        if start % GIVEN_BACK_BYTES == 0 and isinstance(mapped, mmap.mmap):
            mapped.madvise(mmap.MADV_DONTNEED)


def _close(mapped: mmap.mmap) -> None:
    """Unmap; where an error's traceback still holds a view, the collector does it."""
    with suppress(BufferError):
        mapped.close()
