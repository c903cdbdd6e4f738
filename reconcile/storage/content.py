"""What a storage is given to keep, and where it is then: plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InMemory:
    """A file of PS3.10 section 7.1 that nobody has written yet.

    Attributes:
        head: preamble and File Meta Information.
        data: the data set; nobody changes it any more.
    """

    head: bytes
    data: bytes | bytearray | memoryview

    def discard(self) -> None:
        """There is no file to remove."""


@dataclass(frozen=True, slots=True)
class InFile:
    """A file of PS3.10 section 7.1 in the spool, that nobody else knows of.

    Attributes:
        path: on the storage's file system.
        data_offset: where the data set begins in it; it ends with the file.
    """

    path: Path
    data_offset: int

    def discard(self) -> None:
        """Remove the file, if it is still there."""
        self.path.unlink(missing_ok=True)


Content = InMemory | InFile


@dataclass(frozen=True, slots=True)
class Location:
    """Where the file of an instance is kept.

    Attributes:
        digest: SHA-256 of its data set in lower-case hex, by which it is named.
        segment: the segment that it is a member of; empty: it is a file of its own.
        offset: where the member begins in its segment, in bytes.
    """

    digest: str
    segment: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a file: where a data set's bytes are."""

    path: Path
    offset: int
    length: int
