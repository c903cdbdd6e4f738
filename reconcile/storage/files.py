"""Write-once files, each of one instance, named by the digest of its data set.

A file is `<root>/<aa>/<bb>/<digest>.dcm`: an ordinary DICOM file. Large instances lie
so; they came through the spool, on the same file system, and are adopted by one rename.

Nothing that a peer sent ever becomes a part of a path: keys are 64 lower-case hex
digits, and they are checked. A file once adopted is never written again.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from reconcile.errors import WrongUse
from reconcile.storage.faults import Fence, storage_error

SUFFIX = ".dcm"
DIGEST = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")


def digest_of(path: Path, offset: int = 0) -> str:
    """SHA-256 in lower-case hex of a file's bytes from `offset` to its end.

    Reads in chunks: a file of any size takes constant memory.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(error) from error


class Files:
    """The files under one root. Safe for many threads and many processes at once."""

    def __init__(self, root: Path, fence: Fence) -> None:
        self._root = root
        self._fence = fence
        self._durable_folders: set[Path] = set()
        self._lock = threading.Lock()

    def path(self, digest: str) -> Path:
        """Where the file of this digest lies, whether it is there or not.

        Raises:
            WrongUse: it is no digest.
        """
        if not DIGEST.fullmatch(digest):
            raise WrongUse("a storage key is 64 lower-case hex digits")
        return self._root / digest[:2] / digest[2:4] / (digest + SUFFIX)

    def adopt(self, spooled: Path, digest: str) -> None:
        """Make a spooled file durable under its digest.

        When this returns the file survives a power loss, and `spooled` is gone. A file
        that was there before stays as it is, and is made sure of in the same way. When
        this raises, `spooled` is the caller's to remove, if it is still there.

        Raises:
            StorageFull: the file system or the quota is full.
            ServiceUnavailable: anything else that failed, or the storage is fenced.
        """
        path = self.path(digest)
        try:
            self._fence.pass_by()
            self._place(spooled, path)
        except OSError as error:
            raise storage_error(error) from error

    def _place(self, spooled: Path, path: Path) -> None:
        if path.exists():
            self._settle(path.parent)
            os.unlink(spooled)
            return
        _sync_data(spooled)
        path.parent.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.rename(spooled, path)  # two at once put the same bytes there: either is right
        self._settle(path.parent)

    def _settle(self, folder: Path) -> None:
        """Make a folder's entries durable, and once per process its own way to the root.

        A folder that is there may be so new that whoever made it has not synced it yet.
        """
        sync_folder(folder, self._fence)
        while folder != self._root and folder not in self._durable_folders:
            sync_folder(folder.parent, self._fence)
            with self._lock:
                self._durable_folders.add(folder)
            folder = folder.parent

    def remove(self, digest: str) -> None:
        """Let a file be gone; durable when this returns, and may be said again.

        Raises:
            ServiceUnavailable: it cannot be removed.
        """
        path = self.path(digest)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent, self._fence)
        except OSError as error:
            raise storage_error(error) from error

    def digests(self) -> Iterator[str]:
        """The digests of all files, in order."""
        for folder in _folders(self._root):
            for inner in _folders(folder):
                yield from _digests_in(inner)


def sync_folder(folder: Path, fence: Fence) -> None:
    """Make the entries of a folder durable; where that fails, put up the fence."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        fence.put_up()
        raise
    finally:
        os.close(descriptor)


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _FOLDER.fullmatch(p.name) and p.is_dir())


def _digests_in(folder: Path) -> list[str]:
    stems = (p.name.removesuffix(SUFFIX) for p in folder.iterdir() if p.suffix == SUFFIX)
    return sorted(stem for stem in stems if DIGEST.fullmatch(stem))


def _sync_data(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has only fsync
    finally:
        os.close(descriptor)
