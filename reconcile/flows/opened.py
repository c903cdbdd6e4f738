"""A stored or spooled file, open for reading, whatever its size: mapped, never loaded."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reconcile.dataset.elements import encoding_of
from reconcile.dataset.facts import Received, read
from reconcile.dataset.inflate import inflate
from reconcile.errors import CannotUnderstand
from reconcile.flows.arrival import Arrival
from reconcile.storage.content import Content, InFile

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
        with data_set(content.path, content.data_offset) as view:
            yield view
    elif content.data:
        yield memoryview(content.data)
    else:
        raise CannotUnderstand("the data set is empty")


@contextmanager
def data_set(path: Path, offset: int) -> Iterator[memoryview]:
    """The data set's bytes of a file, mapped.

    Raises:
        CannotUnderstand: the file holds no data set.
    """
    with path.open("rb") as file:
        if path.stat().st_size <= offset:
            raise CannotUnderstand("the data set is empty")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(mapped)[offset:]
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
    with tempfile.TemporaryFile(dir=scratch) as file:
        inflate(read_through(view), file)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        inflated = memoryview(mapped)
        try:
            yield inflated
        finally:
            inflated.release()
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
