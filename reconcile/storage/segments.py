"""Segments: what comes small is appended to a file of many, each an ordinary tar archive.

One write and one sync make a whole group durable. An administrator lists and unpacks a
segment with `tar`: its members are DICOM files, `<digest>.dcm`, in the order in which
they came. A segment is `<root>/segments/<time>-<random>.tar`.

Rule 1: one process writes a segment, from its beginning to its end. After a restart a
        new one is begun; so what a crash tore is the end of a segment, and nothing in
        it was acknowledged.
Rule 2: a member that was synced is never written again, but to erase it: then its name
        ends in `.del`, and what it held is a hole.
Rule 3: a location is not believed: its member's header must name the digest.

Source:
    POSIX.1-1988 (ustar interchange format).
"""

from __future__ import annotations

import os
import re
import secrets
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconcile.errors import NotFound, WrongUse
from reconcile.storage import holes
from reconcile.storage.content import Extent, InMemory, Location
from reconcile.storage.faults import Fence, storage_error
from reconcile.storage.files import DIGEST, SUFFIX, sync_folder

#: A segment that has grown past this is finished, and another one begun.
SEGMENT_BYTES = 1 << 30

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_NAME = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
_SUFFIX = ".tar"
#: Of a member whose bytes are gone on purpose; as long as `SUFFIX`.
_ERASED = ".del"
#: As many buffers as one call may write (IOV_MAX).
_BUFFERS_MAX = 1024

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a segment; `age` in seconds, `size` of the file in bytes."""

    location: Location
    size: int
    age: float


class _Segment:
    """The segment that this process writes; once `torn`, nothing more is appended."""

    def __init__(self, path: Path) -> None:
        self.name = path.name.removesuffix(_SUFFIX)
        self.position = 0
        self.torn = False
        self._failure: OSError | None = None
        self._closing = threading.Lock()
        self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Append, or leave everything as it was."""
        position = self.position
        try:
            for at in range(0, len(pieces), _BUFFERS_MAX):
                position += self._written(pieces[at : at + _BUFFERS_MAX], position)
        except OSError:
            self._cut_back()
            raise
        self.position = position

    def _written(self, pieces: Sequence[Buffer], position: int) -> int:
        wanted = sum(map(len, pieces))
        done = os.pwritev(self._descriptor, pieces, position)
        if done < wanted:  # a full disk takes a part first
            rest = memoryview(b"".join(pieces))
            while done < wanted:
                done += os.pwrite(self._descriptor, rest[done:], position + done)
        return wanted

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.position)
        except OSError:
            self.torn = True

    def sync(self) -> None:
        """Make everything durable that was written.

        Once it has failed it fails for ever: the bytes of others were among what was
        lost, and a second call would not tell them.
        """
        with self._closing:
            if self._failure is not None:
                raise self._failure
            if self._descriptor >= 0:
                self._sync()

    def _sync(self) -> None:
        try:
            getattr(os, "fdatasync", os.fsync)(self._descriptor)
        except OSError as error:
            self._failure, self.torn = error, True
            raise

    def finish(self) -> None:
        """End it as tar archives end, and close it."""
        with self._closing:
            try:
                if not self.torn:
                    os.pwrite(self._descriptor, _END, self.position)
                    self._sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1


@dataclass(frozen=True, slots=True)
class Appended:
    """Files that were written and are durable once `sync` has returned."""

    locations: tuple[Location, ...]
    _segment: _Segment

    def sync(self) -> None:
        """Make them survive a power loss.

        Raises:
            StorageFull: the file system or the quota is full.
            ServiceUnavailable: anything else that failed.
        """
        try:
            self._segment.sync()
        except OSError as error:
            raise storage_error(error) from error


class Segments:
    """The segments under one root. Safe for many threads and many processes at once."""

    def __init__(
        self, root: Path, fence: Fence, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.folder = root / "segments"
        self._fence = fence
        self._limit = segment_bytes
        self._lock = threading.Lock()
        self._current: _Segment | None = None

    def path(self, segment: str) -> Path:
        """Where a segment lies, whether it is there or not.

        Raises:
            WrongUse: no segment has such a name.
        """
        if not _NAME.fullmatch(segment):
            raise WrongUse("a segment is named by its time and eight hex digits")
        return self.folder / (segment + _SUFFIX)

    def append(self, files: Sequence[tuple[str, InMemory]]) -> Appended:
        """Write some files, each under its digest, one behind the other.

        Raises:
            StorageFull: the file system or the quota is full; none of them is there.
            ServiceUnavailable: anything else that failed, or the storage is fenced.
        """
        try:
            with self._lock:
                self._fence.pass_by()
                return self._append(files, int(time.time()))
        except OSError as error:
            raise storage_error(error) from error

    def _append(self, files: Sequence[tuple[str, InMemory]], now: int) -> Appended:
        segment = self._writable()
        locations: list[Location] = []
        pieces: list[Buffer] = []
        position = segment.position
        for digest, file in files:
            size = len(file.head) + len(file.data)
            locations.append(Location(digest, segment.name, position))
            padding = bytes(-size % _BLOCK)
            pieces += (_header(digest, size, now), file.head, file.data, padding)
            position += _BLOCK + size + len(padding)
        segment.write(pieces)
        return Appended(tuple(locations), segment)

    def _writable(self) -> _Segment:
        current = self._current
        if current and not current.torn and current.position < self._limit:
            return current
        self._current = None
        if current:
            with suppress(OSError):  # whoever waits for its sync is told by that
                current.finish()
        self._current = self._begin()
        return self._current

    def _begin(self) -> _Segment:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        segment = _Segment(self.path(_name(time.time_ns() // 1_000_000)))
        sync_folder(self.folder, self._fence)
        sync_folder(self.folder.parent, self._fence)
        return segment

    def close(self) -> None:
        """Finish the segment that is being written, if there is one."""
        with self._lock:
            current, self._current = self._current, None
        if current:
            current.finish()

    # -- reading -----------------------------------------------------------------------

    def extent(self, location: Location, length: int) -> Extent:
        """Where the data set of a member is.

        Raises:
            NotFound: there is no such member, or it is cut off.
        """
        path = self.path(location.segment)
        found = _member(path, location.offset)
        if found is None or found.name != location.digest + SUFFIX or found.size < length:
            raise NotFound(
                f"no member {location.digest} at {location.offset} of {path.name}"
            )
        end = location.offset + _BLOCK + found.size
        if path.stat().st_size < end:
            raise NotFound(f"the segment {path.name} is cut off")
        return Extent(path, end - length, length)

    def erase(self, segment: str, locations: Sequence[Location]) -> None:
        """Let members of a segment be gone; may be said again, after a crash too.

        The name goes first: from then on nobody finds what is half erased.

        Raises:
            ServiceUnavailable: it cannot be written.
        """
        path = self.path(segment)
        with suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
            for location in locations:
                _rename(file.fileno(), path, location)
            os.fsync(file.fileno())
            for location in locations:
                found = _member(path, location.offset)
                if found is not None and found.name == location.digest + _ERASED:
                    holes.punch(file.fileno(), location.offset + _BLOCK, found.size)
            os.fsync(file.fileno())

    def names(self) -> list[str]:
        """The names of all segments, the oldest first."""
        if not self.folder.is_dir():
            return []
        names = (path.name.removesuffix(_SUFFIX) for path in self.folder.iterdir())
        return sorted(name for name in names if _NAME.fullmatch(name))

    def members(self, segment: str) -> Iterator[Member]:
        """The members of a segment that are whole, in their order."""
        path, offset, now = self.path(segment), 0, time.time()
        end = path.stat().st_size
        while (found := _member(path, offset)) is not None:
            following = offset + _BLOCK + found.size + -found.size % _BLOCK
            if offset + _BLOCK + found.size > end:
                return  # torn: nobody was told that it was kept
            digest = found.name.removesuffix(SUFFIX)
            if DIGEST.fullmatch(digest):
                yield Member(
                    Location(digest, segment, offset), found.size, now - found.mtime
                )
            offset = following


def _name(milliseconds: int) -> str:
    """Of a new segment: later ones sort after earlier ones."""
    seconds, rest = divmod(milliseconds, 1000)
    day_and_time = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{day_and_time}{rest:03}Z-{secrets.token_hex(4)}"


# A regular file that its owner may read and write; and what is the same in all headers.
_MODE = bytes(100 - 64 - len(SUFFIX)) + b"0000600\0" + b"0000000\0" * 2
_REST = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
# The sum counts its own eight bytes as blanks.
_SUM = sum(_MODE) + sum(_REST) + 8 * 0x20


def _header(digest: str, size: int, modified: int, suffix: str = SUFFIX) -> bytes:
    """The header of a member."""
    name = (digest + suffix).encode("ascii")
    numbers = b"%011o\0%011o\0" % (size, modified)
    checksum = _SUM + sum(name) + sum(numbers)
    return b"".join((name, _MODE, numbers, b"%06o\0 " % checksum, _REST))


def _member(path: Path, offset: int) -> tarfile.TarInfo | None:
    """The header at an offset; None where there is none that is right."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return tarfile.TarInfo.frombuf(file.read(_BLOCK), "ascii", "strict")
    except FileNotFoundError:
        return None
    except (tarfile.HeaderError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise storage_error(error) from error


def _rename(descriptor: int, path: Path, location: Location) -> None:
    """Let a member be called erased: its header is one block, written whole or not."""
    found = _member(path, location.offset)
    if found is not None and found.name == location.digest + SUFFIX:
        header = _header(location.digest, found.size, int(found.mtime), _ERASED)
        os.pwrite(descriptor, header, location.offset)
