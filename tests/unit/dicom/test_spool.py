"""The spool: fragments in, one file out, and nothing left of what failed."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from reconcile.dataset.part10 import file_meta
from reconcile.dicom.spool import CHUNK, Spool
from reconcile.errors import LimitExceeded, MissingUID, StorageFull, TooLarge

HEADER = file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1")


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK, 3 * CHUNK + 17])
def test_a_file_holds_header_and_data_set(tmp_path: Path, size: int) -> None:
    """Whatever the fragments were: header, then the bytes, and their digest."""
    content = os.urandom(size)
    spool = Spool(tmp_path, HEADER, limit=1 << 30)
    for at in range(0, size, 100_001):
        spool.write(content[at : at + 100_001])
    spooled = spool.finish()
    assert spooled is not None
    assert spooled.path.read_bytes() == HEADER + content
    assert spooled.data_offset == len(HEADER)
    assert (spooled.length, spooled.digest) == (size, hashlib.sha256(content).hexdigest())
    assert spooled.path.stat().st_mode & 0o777 == 0o600


def test_a_small_data_set_makes_no_file_before_it_is_whole(tmp_path: Path) -> None:
    """Up to CHUNK bytes stay in memory and are written once."""
    spool = Spool(tmp_path, HEADER, limit=1 << 30)
    spool.write(b"x" * (CHUNK - 1))
    assert list(tmp_path.iterdir()) == []
    spool.discard()


@pytest.mark.parametrize("size", [10, 5 * CHUNK])
def test_discarding_leaves_no_file(tmp_path: Path, size: int) -> None:
    """An association that drops leaves nothing behind."""
    spool = Spool(tmp_path, HEADER, limit=1 << 30)
    spool.write(b"x" * size)
    spool.discard()
    spool.discard()
    assert list(tmp_path.iterdir()) == []


def test_past_the_limit_is_too_large(tmp_path: Path) -> None:
    """What is too large is swallowed, refused, and leaves no file."""
    spool = Spool(tmp_path, HEADER, limit=2 * CHUNK)
    for _ in range(3):
        spool.write(b"x" * CHUNK)
    assert list(tmp_path.iterdir()) == []
    assert spool.finish() is None
    assert isinstance(spool.error, TooLarge)


def test_a_data_set_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    """Nobody sends for ever: past twice the limit the association ends."""
    spool = Spool(tmp_path, HEADER, limit=100)
    spool.write(b"x" * 100)
    spool.write(b"x" * 100)
    with pytest.raises(LimitExceeded):
        spool.write(b"x")


def test_what_is_refused_from_the_start_makes_no_file(tmp_path: Path) -> None:
    """The fragments are still taken: the answer can only be read after them."""
    refused = MissingUID("no UID")
    spool = Spool(tmp_path, b"", limit=1 << 30, error=refused)
    spool.write(b"x" * 2 * CHUNK)
    assert spool.finish() is None
    assert spool.error is refused
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_full_disk_is_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    """Whichever write fails, the file goes, and the error is kept for the answer."""
    calls = 0
    real = os.write

    def write(descriptor: int, content: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == n:
            raise OSError(errno.ENOSPC, "")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", write)
    spool = Spool(tmp_path, HEADER, limit=1 << 30)
    for _ in range(3):
        spool.write(b"x" * CHUNK)
    assert spool.finish() is None
    assert isinstance(spool.error, StorageFull)
    assert list(tmp_path.iterdir()) == []
