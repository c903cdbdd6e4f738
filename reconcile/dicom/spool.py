"""The data set of one C-STORE, in memory while it is small, in a file when it grows.

Memory is bounded: of one data set, of all together, and of what waits to be written. The
digest is computed on the way, so that nothing is read again. What fails (disk full, too
large) is kept in `error` and said when the last fragment has come, for a peer that is
still sending cannot read an answer. Nothing is decoded here, and no name from the wire
becomes a path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from reconcile.dicom.limits import Limits
from reconcile.dicom.spool_file import SpoolFile
from reconcile.errors import LimitExceeded, ReconcileError, TooLarge
from reconcile.storage.content import Content, InMemory

CHUNK = 1 << 20
"""Bytes that are written to a file at a time."""

WORKERS = 4
"""Threads that write; so many disks' worth of waiting does not keep others waiting."""


class Spools:
    """What the spools of one door share. Used in the door's thread only.

    Attributes:
        held: bytes of data sets in memory now.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        require_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.require_room = require_room
        self.limits = limits
        self.held = 0
        self.workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="spool")

    def close(self) -> None:
        """Wait until everything is written, or removed."""
        self.workers.shutdown()


class Spool:
    """Takes the fragments of one data set, in order.

    Attributes:
        ready: all has come, and `content` or `error` says what became of it.
        error: why it is refused.
        content: the file, in memory or in the spool; the caller's to discard.
        length: of the data set in bytes, as far as it has come.
        digest: SHA-256 of the data set in lower-case hex, once it is ready.
    """

    def __init__(
        self,
        spools: Spools,
        head: bytes,
        post: Callable[[Callable[[], None]], object],
        changed: Callable[[], None],
        error: ReconcileError | None = None,
    ) -> None:
        """Begin; with an `error` already known nothing is kept.

        Args:
            spools: what all spools of the door share.
            head: what stands before the data set in the file.
            post: has something called in the door's thread, from another one.
            changed: called when this has become ready or takes more, but not from
                within `write` and `finish`.
            error: refuses the data set from the beginning.
        """
        self.ready = False
        self.error = error
        self.content: Content | None = None
        self.length = 0
        self.digest = ""
        self._spools = spools
        self._limits = spools.limits
        self._head = head
        self._post = post
        self._changed = changed
        self._hash = hashlib.sha256()
        self._data = bytearray()  # all of it, or what is to be written next
        self._held = 0
        self._discarded = False
        self._file: SpoolFile | None = None

    @property
    def full(self) -> bool:
        """Whether so much waits to be written that no more should come for now."""
        if self._file is None:
            return False
        scarce = self._spools.held >= self._limits.memory_bytes_in_all
        return self._held >= (CHUNK if scarce else self._limits.unwritten_bytes)

    def write(self, fragment: memoryview) -> None:
        """Take the next fragment.

        Raises:
            LimitExceeded: the peer keeps sending long after it was too much.
        """
        size = len(fragment)
        self.length += size
        if self.length > self._limits.instance_bytes:
            self._too_much()
        if self.error is not None:
            return
        if self._file is None and not self._fits(size) and not self._begin_file():
            return
        self._hold(size)
        self._data += fragment
        if self._file is None:
            self._hash.update(fragment)
        elif len(self._data) >= CHUNK:
            self._hand_over(self._file)

    def finish(self) -> None:
        """All has come; ready at once, or when all is written."""
        if self._file is not None and self.error is None:
            self._hand_over(self._file)
            self._file.finish(self._ended)
            return  # ready when it has been written
        if self.error is None:
            self.content = InMemory(self._head, self._data)
            self.digest = self._hash.hexdigest()
        self.ready = True

    def discard(self) -> None:
        """Leave nothing behind. May be called at any time, more than once."""
        self._discarded = True
        self._hold(-self._held)
        self._data = bytearray()
        content, self.content = self.content, None
        if content is not None:
            with suppress(OSError):
                content.discard()
        elif self._file is not None:
            self._file.discard()

    def _fits(self, size: int) -> bool:
        return (
            self.length <= self._limits.memory_bytes
            and self._spools.held + size <= self._limits.memory_bytes_in_all
        )

    def _hold(self, size: int) -> None:
        self._held += size
        self._spools.held += size

    def _begin_file(self) -> bool:
        """Whether there is room for one."""
        spools = self._spools
        try:
            spools.require_room()
        except ReconcileError as error:
            self.error = error
            self.discard()
            return False
        self._file = SpoolFile(
            spools.workers, spools.folder, self._head, self._hash, self._wrote
        )
        self._file.write(self._data, digested=True)
        self._data = bytearray()
        return True

    def _hand_over(self, file: SpoolFile) -> None:
        file.write(self._data)
        self._data = bytearray()

    def _too_much(self) -> None:
        limit = self._limits.instance_bytes
        if self.length > 2 * limit:
            raise LimitExceeded("the data set does not end")
        if self.error is None:
            self.error = TooLarge(f"the data set is longer than {limit} bytes")
            self.discard()

    # -- Told by a worker, in its thread -----------------------------------------------

    def _wrote(self, size: int) -> None:
        self._post(partial(self._on_written, size))

    def _ended(self, ended: Content | ReconcileError) -> None:
        self._post(partial(self._on_ended, ended))

    # -- and what comes of it, in the door's -------------------------------------------

    def _on_written(self, size: int) -> None:
        if self._discarded:
            return
        was_full = self.full
        self._hold(-size)
        if was_full and not self.full:
            self._changed()

    def _on_ended(self, ended: Content | ReconcileError) -> None:
        if self._discarded:
            return
        if isinstance(ended, ReconcileError):
            self.error = ended
        else:
            self.content = ended
            self.digest = self._hash.hexdigest()
        self.ready = True
        self._changed()
