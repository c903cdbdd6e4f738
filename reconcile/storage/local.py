"""The storage on a local file system: what comes small in segments, what is large in files.

    ROOT/segments/      tar archives of many instances (`segments`)
    ROOT/aa/bb/         files of one instance, named by digest (`files`)
    ROOT/tlog/          the sealed history: tiles and checkpoint (`tiles`)
    ROOT/spool/         what is being received and too large for memory
    ROOT/FENCED         put up by a failed sync (`faults`)

Nothing that a peer sent ever becomes a part of a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reconcile.errors import NotFound
from reconcile.storage.content import Content, Extent, InFile, InMemory, Location
from reconcile.storage.faults import Fence, storage_error
from reconcile.storage.files import Files, digest_of
from reconcile.storage.room import Room
from reconcile.storage.segments import SEGMENT_BYTES, Appended, Segments
from reconcile.storage.tiles import Tiles

__all__ = ["IN_MEMORY_BYTES_MAX", "LocalStorage", "digest_of", "storage_error"]

#: A data set up to this many bytes comes in memory and lies in a segment.
IN_MEMORY_BYTES_MAX = 2 << 20


class LocalStorage:
    """Instances under one root. Safe for many threads and many processes at once."""

    def __init__(
        self,
        root: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        free_bytes_min: int = 0,
    ) -> None:
        """Make the folders if need be.

        `free_bytes_min` is to stay free on the disk: below, `room` says no.

        Raises:
            ServiceUnavailable: they cannot be made.
        """
        self.root = root
        self.spool_dir = root / "spool"
        self.fence = Fence(root)
        self.room = Room(root, free_bytes_min)
        self.files = Files(root, self.fence)
        self.segments = Segments(root, self.fence, segment_bytes)
        self.tiles = Tiles(root, self.fence)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.spool_dir.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise storage_error(error) from error

    @property
    def fenced(self) -> bool:
        """Whether a failed sync has closed this storage for writing."""
        return self.fence.stands

    def append(self, files: Sequence[tuple[str, InMemory]]) -> Appended:
        """Write some files; they are durable once the answer's `sync` has returned.

        Raises:
            StorageFull: the file system or the quota is full; none of them is there.
            ServiceUnavailable: anything else that failed, or the storage is fenced.
        """
        return self.segments.append(files)

    def keep(self, content: Content, digest: str) -> Location:
        """Make one file durable; when this returns it survives a power loss.

        Raises:
            StorageFull, ServiceUnavailable: as `append`. A spooled file is then the
                caller's to remove, if it is still there.
        """
        if isinstance(content, InFile):
            self.files.adopt(content.path, digest)
            return Location(digest)
        appended = self.append([(digest, content)])
        appended.sync()
        return appended.locations[0]

    def extent(self, location: Location, length: int) -> Extent:
        """Where the bytes of a data set are.

        Args:
            location: that `keep` or `append` gave.
            length: of the data set; it ends with its file.

        Raises:
            NotFound: there is no such file, or it is cut off.
        """
        if location.segment:
            return self.segments.extent(location, length)
        path = self.files.path(location.digest)
        try:
            offset = path.stat().st_size - length
        except OSError as error:
            raise NotFound(f"no file for digest {location.digest}") from error
        if offset < 0:
            raise NotFound(f"the file of digest {location.digest} is cut off")
        return Extent(path, offset, length)

    def erase(self, locations: Iterable[Location]) -> None:
        """Let bytes be gone for ever; may be said again, after a crash too.

        Raises:
            ServiceUnavailable: some cannot be erased, or the storage is fenced.
        """
        self.fence.pass_by()
        of_segments: dict[str, list[Location]] = {}
        for location in locations:
            if location.segment:
                of_segments.setdefault(location.segment, []).append(location)
            else:
                self.files.remove(location.digest)
        try:
            for segment, members in of_segments.items():
                self.segments.erase(segment, members)
        except OSError as error:
            raise storage_error(error) from error

    def kept(self) -> Iterator[tuple[Location, float]]:
        """Everything that is kept, with its age in seconds; what is adopted has no age."""
        for digest in self.files.digests():
            yield Location(digest), float("inf")
        for segment in self.segments.names():
            for member in self.segments.members(segment):
                yield member.location, member.age

    def close(self) -> None:
        """Finish what is being written; it may be opened again."""
        self.segments.close()

    # -- the spool ---------------------------------------------------------------------

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
