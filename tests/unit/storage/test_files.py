"""Files of one instance: what is adopted is whole; what failed is not half there."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconcile.errors import NotFound, ServiceUnavailable, StorageFull, WrongUse
from reconcile.storage.content import Location
from reconcile.storage.local import LocalStorage, digest_of

CONTENT = b"\0" * 128 + b"DICM" + b"the data set" * 1000
DIGEST = hashlib.sha256(CONTENT[132:]).hexdigest()
CALLS = ("open", "fdatasync", "fsync", "rename", "unlink", "mkdir", "close")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


def spool(storage: LocalStorage, content: bytes = CONTENT) -> Path:
    path = storage.spool_dir / f"{len(storage.spooled())}.part"
    path.write_bytes(content)
    return path


def test_an_adopted_file_is_the_spooled_one(storage: LocalStorage) -> None:
    """What was spooled is found under its digest, byte for byte, and nowhere else."""
    spooled = spool(storage)
    storage.files.adopt(spooled, DIGEST)
    assert storage.files.path(DIGEST).read_bytes() == CONTENT
    assert (
        storage.files.path(DIGEST)
        == storage.root / DIGEST[:2] / DIGEST[2:4] / f"{DIGEST}.dcm"
    )
    assert storage.files.path(DIGEST).exists()
    assert storage.spooled() == []


def test_adopting_again_keeps_the_first_file(storage: LocalStorage) -> None:
    """A file once adopted is never written again; the second spooled file goes."""
    storage.files.adopt(spool(storage), DIGEST)
    before = storage.files.path(DIGEST).stat()
    storage.files.adopt(spool(storage), DIGEST)
    after = storage.files.path(DIGEST).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert storage.spooled() == []


def test_adopting_again_syncs_the_folder_too(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds the file there does not rely on another process having synced it."""
    storage.files.adopt(spool(storage), DIGEST)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    LocalStorage(storage.root).files.adopt(spool(storage), DIGEST)
    assert str(storage.files.path(DIGEST).parent) in synced
    assert str(storage.root) in synced


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 65, "1.2.3"]
)
def test_only_digests_are_keys(storage: LocalStorage, key: str) -> None:
    """Nothing but 64 lower-case hex digits becomes a part of a path."""
    with pytest.raises(WrongUse):
        storage.files.path(key)
    with pytest.raises(WrongUse):
        storage.files.adopt(spool(storage), key)


def test_what_is_not_there_is_not_found(storage: LocalStorage) -> None:
    """A missing file is said to be missing, not unreadable."""
    with pytest.raises(NotFound):
        storage.extent(Location(DIGEST), 1)
    assert not storage.files.path(DIGEST).exists()


def test_all_digests_are_listed_in_order(storage: LocalStorage) -> None:
    """`digests` names every file, and nothing that is not one."""
    digests = sorted(hashlib.sha256(bytes([n])).hexdigest() for n in range(20))
    for digest in digests:
        storage.files.adopt(spool(storage), digest)
    (storage.files.path(digests[0]).parent / "README.txt").write_text("mine")
    (storage.root / "lost+found").mkdir()
    assert list(storage.files.digests()) == digests


def test_leftovers_are_listed_and_removed(storage: LocalStorage) -> None:
    """What a crash left in the spool is seen, and cleaned once."""
    left = spool(storage)
    assert storage.spooled() == [left]
    assert storage.clean_spool() == 1
    assert storage.spooled() == []


def test_the_storage_is_private(storage: LocalStorage) -> None:
    """What is received and what is kept is readable by nobody else."""
    storage.files.adopt(spool(storage), DIGEST)
    inner = storage.files.path(DIGEST).parent
    for folder in (storage.root, storage.spool_dir, inner, inner.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_digest_is_of_the_bytes_from_an_offset(tmp_path: Path) -> None:
    """The digest is of the data set alone, without preamble and meta information."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert digest_of(path, 132) == DIGEST
    assert digest_of(path) == hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(ServiceUnavailable):
        digest_of(tmp_path / "none")


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EIO, ServiceUnavailable),
        (errno.EROFS, ServiceUnavailable),
    ],
)
def test_errors_of_the_file_system_have_their_own_answers(
    storage: LocalStorage,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[Exception],
) -> None:
    """A full disk is told from a broken one."""

    def fail(*_: Any) -> None:
        raise OSError(number, "")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(error):
        storage.files.adopt(spool(storage), DIGEST)
    assert not storage.files.path(DIGEST).exists()


class FailsOnce:
    """Makes the n-th call of the operating system fail, over all the named calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
        self.left = n
        self.fired = ""
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.fired = name
                if name == "close":
                    real(*args, **kwargs)
                raise OSError(errno.EIO, "injected")
            return real(*args, **kwargs)

        return call


def until_nothing_fails() -> Iterator[int]:
    yield from range(1, 100)


@pytest.mark.parametrize("there_before", [False, True])
def test_wherever_it_fails_the_file_is_whole_or_refused(
    tmp_path: Path, there_before: bool
) -> None:
    """Whichever call fails: adopted and readable whole, or an error and nothing half."""
    fired = set()
    for n in until_nothing_fails():
        storage = LocalStorage(tmp_path / f"{there_before}{n}")
        if there_before:
            storage.files.adopt(spool(storage), DIGEST)
        spooled = spool(storage)
        with pytest.MonkeyPatch.context() as patch:
            fault = FailsOnce(patch, n)
            try:
                storage.files.adopt(spooled, DIGEST)
                adopted = True
            except ServiceUnavailable:
                adopted = False
        assert not (fault.fired and adopted), "a failed call is never taken for a success"
        if adopted or storage.files.path(DIGEST).exists():
            assert storage.files.path(DIGEST).read_bytes() == CONTENT
        if not fault.fired:
            break
        fired.add(fault.fired)
    assert adopted
    assert (
        {"fsync", "unlink"} <= fired if there_before else {"fdatasync", "rename"} <= fired
    )


def test_a_failed_sync_is_never_retried_into_a_success(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a folder's sync failed nothing is adopted, not even by another process."""
    with pytest.MonkeyPatch.context() as patch:

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "")

        patch.setattr(os, "fsync", fail)
        with pytest.raises(ServiceUnavailable):
            storage.files.adopt(spool(storage), DIGEST)
    assert storage.fenced
    another_process = LocalStorage(storage.root)
    for each in (storage, another_process):
        with pytest.raises(ServiceUnavailable):
            each.files.adopt(spool(storage), DIGEST)
    (storage.root / "FENCED").unlink()
    LocalStorage(storage.root).files.adopt(spool(storage), DIGEST)
