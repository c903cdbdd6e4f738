"""A copy of all that is kept, made while the storage is written.

What is in the copy already is not read again: a file that has its size and its time. A
segment that has grown is copied anew, since its end may have been written over.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reconcile.storage.faults import storage_error
from reconcile.storage.local import LocalStorage

_COPYING = ".copying"


def copy_all(storage: LocalStorage, into: Path) -> Iterator[int]:
    """Copy every file; yields the bytes of each that had to be copied, once it is durable.

    Raises:
        StorageFull, ServiceUnavailable: it cannot be copied.
    """
    try:
        for source in _files(storage):
            target = into / source.relative_to(storage.root)
            if not _is_there(source, target):
                yield _copy(source, target)
    except OSError as error:
        raise storage_error(error) from error


def _files(storage: LocalStorage) -> Iterator[Path]:
    yield from (storage.files.path(digest) for digest in storage.files.digests())
    yield from (storage.segments.path(name) for name in storage.segments.names())


def _is_there(source: Path, target: Path) -> bool:
    with suppress(FileNotFoundError):
        here, there = source.stat(), target.stat()
        return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)
    return False


def _copy(source: Path, target: Path) -> int:
    """Whole, or not at all."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(target.name + _COPYING)
    before = source.stat()
    with source.open("rb") as read, fresh.open("wb") as written:
        os.fchmod(written.fileno(), 0o600)
        shutil.copyfileobj(read, written, 1 << 20)
        copied = written.tell()
        written.flush()
        os.fsync(written.fileno())
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.rename(target)
    sync(target.parent)
    return copied


def sync(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
