"""What a storage is given to keep: the file of one instance, wherever its bytes are now."""

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
