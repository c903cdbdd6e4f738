"""What a storage keeps, looked at and damaged behind its back."""

from __future__ import annotations

import os
from pathlib import Path

from reconcile.storage.content import Location
from reconcile.storage.local import LocalStorage

_BLOCK = 512


def locations(storage: LocalStorage) -> list[Location]:
    """Where everything is that is kept."""
    return [location for location, _ in storage.kept()]


def digests(storage: LocalStorage) -> list[str]:
    """Of everything that is kept, in the order of the storage."""
    return [location.digest for location in locations(storage)]


def file_of(storage: LocalStorage, digest: str) -> bytes:
    """The file that is kept under a digest, as an administrator would copy it out."""
    [location, *_] = [each for each in locations(storage) if each.digest == digest]
    if not location.segment:
        return storage.files.path(digest).read_bytes()
    with storage.segments.path(location.segment).open("rb") as segment:
        segment.seek(location.offset)
        header = segment.read(_BLOCK)
        return segment.read(int(header[124:135], 8))


def lose(storage: LocalStorage, location: Location) -> None:
    """Let a file be gone: unlinked, or its member's header overwritten."""
    if not location.segment:
        storage.files.path(location.digest).unlink()
        return
    with storage.segments.path(location.segment).open("r+b") as segment:
        segment.seek(location.offset)
        segment.write(b"\xff" * _BLOCK)


def put(storage: LocalStorage, digest: str, content: bytes) -> Path:
    """A file that nobody has stored."""
    path = storage.files.path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def extract(storage: LocalStorage, location: Location, length: int) -> bytes:
    """The data set of a length at a location."""
    extent = storage.extent(location, length)
    with extent.path.open("rb") as file:
        return os.pread(file.fileno(), extent.length, extent.offset)
