"""A file in the spool, written and digested by worker threads while its bytes come.

Every method returns at once: what it asks for is done in order, by one worker at a time.
Where something fails, the file is removed, nothing more is written, and the error is said
in the end. What a data set is may not be put here.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Protocol

from reconcile.errors import ReconcileError
from reconcile.storage.content import InFile
from reconcile.storage.local import storage_error

WRITE_BACK_BYTES = 8 << 20
"""The kernel is asked to begin writing as often, so that the sync in the end is short."""


class Digest(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytearray, /) -> None:
        """Take more."""


class SpoolFile:
    """One file; its head is written before the first chunk.

    Args:
        workers: threads that write.
        folder: where the file is made.
        head: what stands before the data set.
        digest: takes the data set's bytes; the worker's until `finish` has been told.
        wrote: told after each chunk how many bytes of it are done with, by a worker.
    """

    def __init__(
        self,
        workers: Executor,
        folder: Path,
        head: bytes,
        digest: Digest,
        wrote: Callable[[int], None],
    ) -> None:
        self._workers = workers
        self._folder = folder
        self._head = head
        self._digest = digest
        self._wrote = wrote
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._working = False
        self._unwanted = False
        self._error: ReconcileError | None = None
        self._descriptor = -1
        self._path: Path | None = None
        self._written = 0
        self._written_back = 0

    def write(self, chunk: bytearray, *, digested: bool = False) -> None:
        """Append a chunk, which is nobody else's from now on."""
        self._put(partial(self._write, chunk, digested))

    def finish(self, ended: Callable[[InFile | ReconcileError], None]) -> None:
        """Close it; `ended` is told by a worker what became of it."""
        self._put(partial(self._finish, ended))

    def discard(self) -> None:
        """Remove it. May be called at any time, more than once."""
        self._unwanted = True
        self._put(self._remove)

    # -- One worker at a time, in order ------------------------------------------------

    def _put(self, job: Callable[[], None]) -> None:
        with self._lock:
            self._jobs.append(job)
            if self._working:
                return
            self._working = True
        self._workers.submit(self._work)

    def _work(self) -> None:
        while job := self._next():
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._working = False
            return None

    # -- What a worker does ------------------------------------------------------------

    def _write(self, chunk: bytearray, digested: bool) -> None:
        if self._error is None and not self._unwanted:
            try:
                self._append(chunk)
                if not digested:
                    self._digest.update(chunk)
            except OSError as error:
                self._fail(storage_error(error))
            except Exception:  # noqa: BLE001 - whatever it is, the file is not whole
                self._fail(ReconcileError())
        self._wrote(len(chunk))

    def _append(self, chunk: bytearray) -> None:
        if self._descriptor < 0:
            self._descriptor, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
            self._path = Path(name)
            _write_all(self._descriptor, self._head)
        _write_all(self._descriptor, chunk)
        self._written += len(chunk)
        if self._written - self._written_back >= WRITE_BACK_BYTES:
            _begin_write_back(self._descriptor, self._written_back, self._written)
            self._written_back = self._written

    def _fail(self, error: ReconcileError) -> None:
        self._error = error
        self._remove()

    def _finish(self, ended: Callable[[InFile | ReconcileError], None]) -> None:
        self._close()
        if self._error is not None:
            ended(self._error)
        elif self._path is not None:
            ended(InFile(self._path, len(self._head)))

    def _remove(self) -> None:
        self._close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes | bytearray) -> None:
    with memoryview(content) as view:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])


def _begin_write_back(descriptor: int, start: int, end: int) -> None:
    """Have what was just written go to the disk, without waiting for it.

    Linux begins to write dirty pages that are said not to be needed, and keeps them until
    they are clean; `sync_file_range` is out of Python's reach. It is advice: where it is
    not taken, the sync in the end does all the work.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
