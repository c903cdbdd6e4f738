"""The data set of one C-STORE, written to a file as its fragments arrive.

Memory is constant: at most `CHUNK` bytes wait to be written. The digest is computed on
the way, so that nothing is read again. What fails (disk full, too large) is kept in
`error` and said when the last fragment has come, for a peer that is still sending cannot
read an answer. Nothing is decoded here, and no name from the wire becomes a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconcile.errors import LimitExceeded, ReconcileError, TooLarge
from reconcile.storage.local import storage_error

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Spooled:
    """A data set that has come whole, as a file of PS3.10 section 7.1."""

    path: Path
    data_offset: int
    length: int
    digest: str


class Spool:
    """Takes the fragments of one data set, in order."""

    def __init__(
        self,
        folder: Path,
        header: bytes,
        limit: int,
        error: ReconcileError | None = None,
    ) -> None:
        """Begin; with an `error` already known nothing is kept.

        Args:
            folder: where the file is made, when there is something to write.
            header: what stands before the data set in the file.
            limit: the longest data set, in bytes, that is kept.
            error: refuses the data set from the beginning.
        """
        self.error = error
        self.length = 0
        self._folder = folder
        self._header = header
        self._limit = limit
        self._digest = hashlib.sha256()
        self._pending = bytearray()
        self._path: Path | None = None
        self._descriptor = -1

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next fragment.

        Raises:
            LimitExceeded: the peer keeps sending long after it was too much.
        """
        self.length += len(fragment)
        if self.length > self._limit:
            self._refuse(TooLarge(f"the data set is longer than {self._limit} bytes"))
        if self.length > 2 * self._limit:
            raise LimitExceeded("the data set does not end")
        if self.error is None:
            self._pending += fragment
            if len(self._pending) >= CHUNK:
                self._flush()

    def finish(self) -> Spooled | None:
        """The file, closed; None where there is an `error`. It is the caller's now."""
        if self.error is None:
            self._flush()
        self._close()
        if self.error is not None or self._path is None:
            return None
        path, self._path = self._path, None
        return Spooled(path, len(self._header), self.length, self._digest.hexdigest())

    def discard(self) -> None:
        """Leave no file behind. May be called at any time, more than once."""
        self._close()
        self._pending = bytearray()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._path = None

    def _flush(self) -> None:
        try:
            if self._descriptor < 0:
                self._open()
            _write_all(self._descriptor, self._pending)
        except OSError as error:
            self._refuse(storage_error(error))
            return
        self._digest.update(self._pending)
        self._pending = bytearray()

    def _open(self) -> None:
        self._descriptor, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
        self._path = Path(name)
        _write_all(self._descriptor, self._header)

    def _refuse(self, error: ReconcileError) -> None:
        if self.error is None:
            self.error = error
            self.discard()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, content: bytes | bytearray) -> None:
    with memoryview(content) as view:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])
