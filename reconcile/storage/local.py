"""Write-once files on a local file system, named by the digest of what they hold.

A file is `<root>/<aa>/<bb>/<digest>.dcm`: an ordinary DICOM file that an administrator
can look at and copy. What is still being received lies in `<root>/spool`, on the same
file system, so that adopting it is one rename.

Three rules. Nothing that a peer sent ever becomes a part of a path: keys are 64
lower-case hex digits, and they are checked. A file once adopted is never written again.
A failed fsync is never followed by one that succeeds: Linux reports a lost write once
and calls the pages clean afterwards (PostgreSQL learnt it in 2018). A data file whose
sync fails is not adopted; after a folder whose sync fails, the storage takes nothing
more, in any process, until a person has looked, removed the file `FENCED` and
started the archive again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from reconcile.errors import (
    NotFound,
    ReconcileError,
    ServiceUnavailable,
    StorageFull,
    WrongUse,
)
from reconcile.storage.content import Content, InFile

SUFFIX = ".dcm"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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


def storage_error(error: OSError) -> ReconcileError:
    """What an error of the file system means to who wants to store."""
    name = errno.errorcode.get(error.errno or 0, "unknown")
    if error.errno in _FULL:
        return StorageFull(f"no room on the file system of the storage ({name})")
    return ServiceUnavailable(f"the storage cannot be written or read ({name})")


class LocalStorage:
    """Files under one root. Safe for many threads and many processes at once."""

    def __init__(self, root: Path) -> None:
        """Make the folders if need be.

        Raises:
            ServiceUnavailable: they cannot be made.
        """
        self.root = root
        self.spool_dir = root / "spool"
        self._fence = root / "FENCED"
        self._sync_has_failed = False
        self._durable_folders: set[Path] = set()
        self._lock = threading.Lock()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.spool_dir.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise storage_error(error) from error

    @property
    def fenced(self) -> bool:
        """Whether a failed sync has closed this storage for writing."""
        return self._sync_has_failed or self._fence.exists()

    def path(self, digest: str) -> Path:
        """Where the file of this digest lies, whether it is there or not."""
        if not _DIGEST.fullmatch(digest):
            raise WrongUse("a storage key is 64 lower-case hex digits")
        return self.root / digest[:2] / digest[2:4] / (digest + SUFFIX)

    def exists(self, digest: str) -> bool:
        """Whether there is a file of this digest."""
        return self.path(digest).exists()

    def open(self, digest: str) -> BinaryIO:
        """The file of this digest, to be read, or mapped by its `fileno()`.

        Raises:
            NotFound: there is none.
            ServiceUnavailable: it cannot be read.
        """
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"no stored file {digest}") from error
        except OSError as error:
            raise storage_error(error) from error

    def keep(self, content: Content, digest: str) -> None:
        """Make the file of an instance durable under its digest; raises as `adopt`."""
        if isinstance(content, InFile):
            self.adopt(content.path, digest)
            return
        try:
            descriptor, name = tempfile.mkstemp(suffix=".part", dir=self.spool_dir)
            with open(descriptor, "wb") as file:
                file.writelines((content.head, content.data))
        except OSError as error:
            raise storage_error(error) from error
        self.adopt(Path(name), digest)

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
            if self.fenced:
                raise ServiceUnavailable("the storage is fenced after a failed sync")
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
        self._sync_folder(folder)
        while folder != self.root and folder not in self._durable_folders:
            self._sync_folder(folder.parent)
            with self._lock:
                self._durable_folders.add(folder)
            folder = folder.parent

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError:
            self._raise_fence()
            raise
        finally:
            os.close(descriptor)

    def _raise_fence(self) -> None:
        self._sync_has_failed = True
        with contextlib.suppress(OSError):
            self._fence.touch(mode=0o600)

    def digests(self) -> Iterator[str]:
        """The digests of all files, in order."""
        for folder in _folders(self.root):
            for inner in _folders(folder):
                yield from _digests_in(inner)

    def spooled(self) -> list[Path]:
        """What lies in the spool: being received now, or left by a crash."""
        return sorted(self.spool_dir.iterdir())

    def clean_spool(self) -> int:
        """Remove what a crash has left; how many there were.

        Only before any process receives: what is being received looks the same.
        """
        left = self.spooled()
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _FOLDER.fullmatch(p.name) and p.is_dir())


def _digests_in(folder: Path) -> list[str]:
    stems = (p.name.removesuffix(SUFFIX) for p in folder.iterdir() if p.suffix == SUFFIX)
    return sorted(stem for stem in stems if _DIGEST.fullmatch(stem))


def _sync_data(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has only fsync
    finally:
        os.close(descriptor)
