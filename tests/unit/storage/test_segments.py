"""Segments: a group is there whole or not at all, and any `tar` can read what is there."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconcile.errors import NotFound, ServiceUnavailable, StorageFull, WrongUse
from reconcile.storage import holes
from reconcile.storage.content import InMemory, Location
from reconcile.storage.local import LocalStorage

HEAD = b"\0" * 128 + b"DICM" + b"meta" * 50
Files = list[tuple[str, InMemory]]


def named(data: bytes) -> tuple[str, InMemory]:
    return hashlib.sha256(data).hexdigest(), InMemory(HEAD, data)


def group(*sizes: int) -> Files:
    """Files with data sets of these sizes, no two alike."""
    return [named(os.urandom(size)) for size in sizes]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


def append(storage: LocalStorage, files: Files) -> tuple[Location, ...]:
    appended = storage.append(files)
    appended.sync()
    return appended.locations


def data_at(storage: LocalStorage, location: Location, length: int) -> bytes:
    extent = storage.extent(location, length)
    with extent.path.open("rb") as file:
        return os.pread(file.fileno(), extent.length, extent.offset)


def segment_of(storage: LocalStorage, location: Location) -> Path:
    return storage.segments.path(location.segment)


@pytest.mark.parametrize("sizes", [(1,), (511, 512, 513), (0, 100_000, 5000, 1)])
def test_what_was_appended_is_found_by_its_location(
    storage: LocalStorage, sizes: Sequence[int]
) -> None:
    """Each byte for byte, whatever stands beside it, and by another process too."""
    files = group(*sizes) + group(*sizes)
    locations = append(storage, files[:1]) + append(storage, files[1:])
    for reader in (storage, LocalStorage(storage.root)):
        for (digest, file), location in zip(files, locations, strict=True):
            assert location.digest == digest
            assert data_at(reader, location, len(file.data)) == file.data
    assert [each for each, _ in storage.kept()] == list(locations)


@pytest.mark.parametrize("finished", [False, True])
def test_any_tar_reads_a_segment(
    storage: LocalStorage, tmp_path: Path, finished: bool
) -> None:
    """An administrator unpacks DICOM files, also of a segment that is being written."""
    files = group(5000, 1, 70_000)
    [location, *_] = append(storage, files)
    if finished:
        storage.close()
    path = segment_of(storage, location)
    with tarfile.open(path) as archive:
        assert archive.getnames() == [f"{digest}.dcm" for digest, _ in files]
    subprocess.run(["tar", "-xf", path, "-C", tmp_path], check=True, capture_output=True)
    for digest, file in files:
        assert (tmp_path / f"{digest}.dcm").read_bytes() == file.head + file.data


def test_a_segment_that_is_full_is_finished(tmp_path: Path) -> None:
    """Another one is begun; all of them stay readable, and end as tar archives do."""
    storage = LocalStorage(tmp_path / "store", segment_bytes=10_000)
    files = group(*[4000] * 10)
    locations = [append(storage, [file])[0] for file in files]
    assert len(storage.segments.names()) == len({each.segment for each in locations}) > 1
    for (_, file), location in zip(files, locations, strict=True):
        assert data_at(storage, location, 4000) == file.data
    assert segment_of(storage, locations[0]).read_bytes().endswith(bytes(1024))


def test_every_process_writes_its_own_segment(storage: LocalStorage) -> None:
    """And a new one after a restart: nothing is appended behind a torn end."""
    first, second = (
        append(storage, group(10)),
        append(LocalStorage(storage.root), group(10)),
    )
    assert first[0].segment != second[0].segment


def test_threads_append_side_by_side(tmp_path: Path) -> None:
    """Members never overlap, across finished segments too."""
    storage = LocalStorage(tmp_path / "store", segment_bytes=50_000)
    found: list[tuple[Location, bytes]] = []

    def work() -> None:
        for _ in range(30):
            files = group(1000, 3000)
            for (_, file), location in zip(files, append(storage, files), strict=True):
                found.append((location, bytes(file.data)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 240
    for location, data in found:
        assert data_at(storage, location, len(data)) == data
    assert len(list(storage.kept())) == 240


@pytest.mark.parametrize("left", range(1, 1300, 37))
def test_a_torn_end_hides_only_what_was_torn(storage: LocalStorage, left: int) -> None:
    """Members before it are found; the torn one is not, and cannot be read as if whole."""
    first, second = append(storage, group(700)), append(storage, group(600))
    path = segment_of(storage, first[0])
    os.truncate(path, second[0].offset + left)
    whole = left >= 512 + len(HEAD) + 600
    there = [*first, *second] if whole else [*first]
    assert [each for each, _ in storage.kept()] == there
    assert len(data_at(storage, first[0], 700)) == 700
    if not whole:
        with pytest.raises(NotFound):
            storage.extent(second[0], 600)


def test_a_location_is_not_believed(storage: LocalStorage) -> None:
    """Another digest, another offset, a longer data set, a name that is none."""
    [location] = append(storage, group(700))
    last = location.segment[-1]
    another = location.segment[:-1] + ("1" if last == "0" else "0")
    wrong = (
        Location("ab" * 32, location.segment, location.offset),
        Location(location.digest, location.segment, location.offset + 512),
        Location(location.digest, another, location.offset),
        Location(location.digest, location.segment, 1 << 40),
    )
    for each in wrong:
        with pytest.raises(NotFound):
            storage.extent(each, 700)
    with pytest.raises(NotFound):
        storage.extent(location, 700 + len(HEAD) + 1)
    for name in ("../x", "", "20260101T000000000Z-0123456", location.segment + "\n"):
        with pytest.raises(WrongUse):
            storage.segments.path(name)


def test_segments_are_private(storage: LocalStorage) -> None:
    """Nobody else may look at them."""
    [location] = append(storage, group(10))
    assert segment_of(storage, location).stat().st_mode & 0o777 == 0o600
    assert storage.segments.folder.stat().st_mode & 0o777 == 0o700


class Faulty:
    """Makes the n-th of some calls of the operating system fail, or write a part."""

    def __init__(self, patch: pytest.MonkeyPatch, n: int, number: int) -> None:
        self.left = n
        self.fired = ""
        self._number = number
        for name in ("open", "pwritev", "pwrite", "fdatasync", "fsync", "ftruncate"):
            patch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: Any, *args: Any) -> Any:
            self.left -= 1
            if self.left:
                return real(descriptor, *args)
            self.fired = name
            if name == "pwritev":  # a full disk takes a part, and then no more
                real(descriptor, [bytes(memoryview(b"".join(args[0]))[:700])], args[1])
            raise OSError(self._number, "injected")

        return call


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EIO, ServiceUnavailable)]
)
def test_wherever_it_fails_a_group_is_whole_or_refused(
    tmp_path: Path, number: int, error: type[Exception]
) -> None:
    """Whichever call fails: all of a group can be read, or it was refused; and what was
    appended before it and what comes after it is whole.
    """
    fired = set()
    for n in range(1, 100):
        storage = LocalStorage(tmp_path / str(n))
        before = group(300)
        kept = append(storage, before) if n % 2 else ()
        files = group(1000, 2000)
        with pytest.MonkeyPatch.context() as patch:
            fault = Faulty(patch, n // 2 + 1, number)
            try:
                locations = append(storage, files)
            except error:
                locations = ()
        assert not (fault.fired and locations), "a failure is never taken for a success"
        _all_there(storage, files, locations)
        _all_there(storage, before, kept)
        if not storage.fenced:
            _all_there(storage, before, append(storage, before))
        if not fault.fired:
            break
        fired.add(fault.fired)
    assert locations
    assert {"open", "pwritev", "fdatasync", "fsync"} <= fired


def _all_there(
    storage: LocalStorage, files: Files, locations: tuple[Location, ...]
) -> None:
    for (_, file), location in zip(files, locations, strict=False):
        assert data_at(storage, location, len(file.data)) == file.data


def test_a_part_that_was_written_is_cut_back(storage: LocalStorage) -> None:
    """What no longer fits leaves no trace: the next group stands in its place."""
    [first] = append(storage, group(300))
    size = segment_of(storage, first).stat().st_size
    with pytest.MonkeyPatch.context() as patch:
        Faulty(patch, 1, errno.ENOSPC)
        with pytest.raises(StorageFull):
            storage.append(group(5000))
    assert segment_of(storage, first).stat().st_size == size
    [second] = append(storage, group(400))
    assert (second.segment, second.offset) == (first.segment, size)


def test_what_cannot_be_cut_back_is_the_end_of_its_segment(storage: LocalStorage) -> None:
    """Nothing is appended behind bytes that are nobody's."""
    [first] = append(storage, group(300))
    with pytest.MonkeyPatch.context() as patch:
        Faulty(patch, 1, errno.EIO)

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "injected")

        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(ServiceUnavailable):
            storage.append(group(5000))
    [second] = append(storage, group(400))
    assert second.segment != first.segment
    assert {each for each, _ in storage.kept()} == {first, second}


def test_short_writes_are_gone_on_with(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that took a part is no failure."""
    real = os.pwritev

    def part(descriptor: int, pieces: list[bytes], position: int) -> int:
        return real(descriptor, [memoryview(b"".join(pieces))[:333]], position)

    monkeypatch.setattr(os, "pwritev", part)
    files = group(1000, 2000)
    _all_there(storage, files, append(storage, files))


def test_a_failed_sync_is_never_retried_into_a_success(storage: LocalStorage) -> None:
    """Linux tells of a lost write once: whoever appended to that segment is refused, and
    what comes later goes to another one.
    """
    [kept] = append(storage, group(20))
    appended = [storage.append(group(10)) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "")

        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(ServiceUnavailable):
            appended[0].sync()
    for each in appended:
        with pytest.raises(ServiceUnavailable):
            each.sync()
    [later] = append(storage, group(10))
    assert later.segment != kept.segment
    assert len(data_at(storage, kept, 20)) == 20


def test_a_fence_keeps_everything_out(storage: LocalStorage) -> None:
    """After a folder's sync failed nothing is taken, not even by another process."""
    with pytest.MonkeyPatch.context() as patch:

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "")

        patch.setattr(os, "fsync", fail)
        with pytest.raises(ServiceUnavailable):
            storage.append(group(10))
    for each in (storage, LocalStorage(storage.root)):
        with pytest.raises(ServiceUnavailable):
            each.append(group(10))
    (storage.root / "FENCED").unlink()
    append(LocalStorage(storage.root), group(10))


@pytest.mark.parametrize("can_punch", [True, False])
def test_what_is_erased_is_gone_and_the_others_stay(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, can_punch: bool
) -> None:
    """Its bytes read as zeros, `tar` reads the rest; saying it again changes nothing."""
    if not can_punch:
        monkeypatch.setattr(holes, "_fallocate", lambda: None)
    files = group(5000, 100_000, 7)
    first, second, third = append(storage, files)
    for _ in range(2):
        storage.erase([second, first])
    for location, size in ((first, 5000), (second, 100_000)):
        with pytest.raises(NotFound):
            storage.extent(location, size)
    assert data_at(storage, third, 7) == files[2][1].data
    storage.close()
    path = segment_of(storage, first)
    assert bytes(files[1][1].data)[:64] not in path.read_bytes()
    with tarfile.open(path) as archive:
        suffixes = [name.rpartition(".")[2] for name in archive.getnames()]
    assert suffixes == ["del", "del", "dcm"]
    assert [location for location, _ in storage.kept()] == [third]


def test_an_erasure_that_was_cut_off_is_finished(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is gone and the bytes are not: nobody finds them; the next ends it."""
    ((digest, file),) = files = group(5000)
    (location,) = append(storage, files)

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as broken:
        broken.setattr(holes, "punch", fails)
        with pytest.raises(ServiceUnavailable):
            storage.erase([location])
    with pytest.raises(NotFound):
        storage.extent(Location(digest, location.segment, location.offset), 5000)
    storage.erase([location])
    assert bytes(file.data) not in segment_of(storage, location).read_bytes()
