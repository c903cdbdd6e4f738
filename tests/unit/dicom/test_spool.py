"""The spool: fragments in, one file out, and nothing left of what failed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconcile.dataset.part10 import file_meta
from reconcile.dicom import spool_file
from reconcile.dicom.limits import Limits
from reconcile.dicom.spool import CHUNK, Spool, Spools
from reconcile.errors import (
    LimitExceeded,
    MissingUID,
    ReconcileError,
    StorageFull,
    TooLarge,
)
from reconcile.storage.content import InFile, InMemory
from tests.support.door import changed
from tests.unit.dicom.peers import work_ends

HEADER = file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1")
MEMORY = Limits().memory_bytes


class Spooling:
    """Spools with a door's thread that runs when it is told to."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.spools = Spools(folder, limits or Limits())
        self.posted: list[Callable[[], None]] = []
        self.changes = 0

    def begin(self, error: ReconcileError | None = None) -> Spool:
        def changed() -> None:
            self.changes += 1

        return Spool(self.spools, HEADER, self.posted.append, changed, error)

    def settle(self) -> None:
        """Let the workers end, then the door's thread hear of it."""
        work_ends(self.spools)
        while self.posted:
            self.posted.pop(0)()


@pytest.fixture
def spooling(tmp_path: Path) -> Iterator[Spooling]:
    made = Spooling(tmp_path)
    yield made
    made.settle()


def write(spool: Spool, content: bytes, size: int = 100_001) -> None:
    for at in range(0, len(content), size):
        spool.write(memoryview(content[at : at + size]))


def kept(spool: Spool) -> bytes:
    """The file, wherever it is."""
    if isinstance(spool.content, InMemory):
        return spool.content.head + bytes(spool.content.data)
    assert isinstance(spool.content, InFile)
    assert spool.content.path.stat().st_mode & 0o777 == 0o600
    assert spool.content.data_offset == len(HEADER)
    return spool.content.path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK, MEMORY, MEMORY + 1, 5 * CHUNK + 17])
def test_a_file_holds_header_and_data_set(spooling: Spooling, size: int) -> None:
    """Whatever the fragments were: header, then the bytes, and their digest."""
    content = os.urandom(size)
    spool = spooling.begin()
    write(spool, content)
    spool.finish()
    spooling.settle()
    assert (spool.ready, spool.error) == (True, None)
    assert kept(spool) == HEADER + content
    assert (spool.length, spool.digest) == (size, hashlib.sha256(content).hexdigest())
    assert isinstance(spool.content, InMemory) == (size <= MEMORY)


def test_a_small_data_set_makes_no_file_and_is_ready_at_once(
    spooling: Spooling, tmp_path: Path
) -> None:
    """No worker is waited for."""
    spool = spooling.begin()
    write(spool, bytes(MEMORY))
    spool.finish()
    assert spool.ready
    assert not list(tmp_path.iterdir())


def test_what_changes_is_received_before_the_buffer_is_used_again(
    spooling: Spooling,
) -> None:
    """A fragment is a view of a buffer that others want."""
    for size in (10, MEMORY + 1):
        spool, buffer = spooling.begin(), bytearray(b"x" * size)
        spool.write(memoryview(buffer))
        buffer[:] = bytes(size)
        spool.finish()
        if size > MEMORY:
            spooling.settle()
        assert kept(spool) == HEADER + b"x" * size


@pytest.mark.parametrize("size", [10, 5 * CHUNK])
@pytest.mark.parametrize("whole", [False, True])
def test_discarding_leaves_no_file(tmp_path: Path, size: int, *, whole: bool) -> None:
    """An association that drops leaves nothing behind, whenever it does so."""
    for late in (False, True):
        spooling = Spooling(tmp_path)
        spool = spooling.begin()
        write(spool, bytes(size))
        if whole:
            spool.finish()
        if late:
            work_ends(spooling.spools)
        spool.discard()
        spool.discard()
        spooling.settle()
        assert list(tmp_path.iterdir()) == []
        assert spooling.spools.held == 0


def test_past_the_limit_is_too_large(tmp_path: Path) -> None:
    """What is too large is swallowed, refused, and leaves no file."""
    spooling = Spooling(tmp_path, changed(instance_bytes=4 * CHUNK))
    spool = spooling.begin()
    write(spool, bytes(5 * CHUNK))
    assert spooling.spools.held == 0
    spool.finish()
    assert spool.ready
    spooling.settle()
    assert isinstance(spool.error, TooLarge)
    assert spool.content is None
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    """Nobody sends for ever: past twice the limit the association ends."""
    spool = Spooling(tmp_path, changed(instance_bytes=100)).begin()
    write(spool, b"x" * 200, 100)
    with pytest.raises(LimitExceeded):
        write(spool, b"x")


def test_what_is_refused_from_the_start_is_not_kept(
    spooling: Spooling, tmp_path: Path
) -> None:
    """The fragments are still taken: the answer can only be read after them."""
    refused = MissingUID("no UID")
    spool = spooling.begin(refused)
    write(spool, bytes(5 * CHUNK))
    assert spooling.spools.held == 0
    spool.finish()
    assert (spool.ready, spool.error, spool.content) == (True, refused, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, code: int
) -> None:
    """Whichever write fails, the file goes, and the error is kept for the answer."""
    calls = 0
    real = os.write

    def write_some(descriptor: int, content: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == n:
            raise OSError(code, "")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", write_some)
    spooling = Spooling(tmp_path)
    spool = spooling.begin()
    write(spool, bytes(5 * CHUNK))
    spool.finish()
    spooling.settle()
    assert (spool.ready, spool.content) == (True, None)
    assert isinstance(spool.error, StorageFull)
    assert list(tmp_path.iterdir()) == []
    assert spooling.spools.held == 0


def test_a_worker_that_fails_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is, the file is not whole, and nobody waits for ever."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(spool_file, "_write_all", fail)
    spooling = Spooling(tmp_path)
    spool = spooling.begin()
    write(spool, bytes(5 * CHUNK))
    spool.finish()
    spooling.settle()
    assert (spool.ready, type(spool.error)) == (True, ReconcileError)
    assert list(tmp_path.iterdir()) == []


def test_what_waits_to_be_written_is_bounded(tmp_path: Path) -> None:
    """Past the limit it is full, and says so when it takes more again."""
    spooling = Spooling(tmp_path, changed(memory_bytes=0, unwritten_bytes=3 * CHUNK))
    spool = spooling.begin()
    write(spool, bytes(2 * CHUNK), CHUNK)
    assert not spool.full
    write(spool, bytes(CHUNK), CHUNK)
    assert spool.full
    spooling.settle()
    assert not spool.full
    assert spooling.changes == 1
    spool.discard()


def test_memory_is_bounded_for_all_together(tmp_path: Path) -> None:
    """When it is scarce even small ones go to files, and few bytes may wait there."""
    spooling = Spooling(tmp_path, changed(memory_bytes_in_all=CHUNK))
    first, second = spooling.begin(), spooling.begin()
    write(first, bytes(CHUNK), CHUNK)
    write(second, b"small")
    second.finish()
    assert not second.ready
    third = spooling.begin()
    write(third, bytes(CHUNK), CHUNK)
    assert third.full
    first.finish()
    spooling.settle()
    assert isinstance(second.content, InFile)
    assert kept(second) == HEADER + b"small"
    assert not third.full
    for spool in (first, second, third):
        spool.discard()
    assert spooling.spools.held == 0


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no such advice here")
@pytest.mark.parametrize("taken", [True, False])
def test_write_back_begins_early_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    """Each range is asked for when it is written; where that fails nothing is lost."""
    asked: list[tuple[int, int]] = []

    def advise(_: int, start: int, size: int, __: int) -> None:
        asked.append((start, size))
        if not taken:
            raise OSError(errno.EINVAL, "")

    monkeypatch.setattr(os, "posix_fadvise", advise)
    spooling = Spooling(tmp_path)
    spool = spooling.begin()
    write(spool, bytes(20 << 20), CHUNK)
    spool.finish()
    spooling.settle()
    assert spool.error is None
    assert [start for start, _ in asked] == [0, asked[0][1]]
    assert all(size >= spool_file.WRITE_BACK_BYTES for _, size in asked)
    spool.discard()
