"""No room for what comes: A701, nothing half stored, and it works when there is room."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconcile.db.embedded import Urls
from reconcile.dicom import spool_file
from reconcile.flows.doctor import Doctor
from reconcile.storage import files
from tests.support.archive import Archive, Sent, archive, sendable
from tests.support.hospital import JANE, Hospital, clock
from tests.support.instances import instance
from tests.support.kept import digests

NO_ROOM = 0xA701
COERCED = 0xB000
MIB = 1 << 20

Full = Callable[[pytest.MonkeyPatch], None]


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def at_the_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "_write_all", no_room)


def in_the_midst(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header of the file still fits."""
    written = spool_file._write_all

    def fill(descriptor: int, content: bytes | bytearray) -> None:
        if len(content) > MIB // 2:
            no_room()
        written(descriptor, content)

    monkeypatch.setattr(spool_file, "_write_all", fill)


def at_the_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system finds out late: delayed allocation, a quota, NFS."""
    monkeypatch.setattr(files, "_sync_data", no_room)


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Hospital:
    hospital = Hospital.at(database_urls.writer, tmp_path / "store", database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    return hospital


def large() -> Sent:
    return sendable(instance(Rows=1024, Columns=1024, PixelData=bytes(2 * MIB)))


@pytest.mark.parametrize("full", [at_the_first_byte, in_the_midst, at_the_sync])
def test_a_full_disk_is_said_and_survived(hospital: Hospital, full: Full) -> None:
    """The association lives, the spool is empty, the same instance is taken later."""
    image = large()
    with archive(hospital) as doors:
        with pytest.MonkeyPatch.context() as monkeypatch:
            full(monkeypatch)
            assert [each.status for each in doors.send(image, image)] == [NO_ROOM, NO_ROOM]
            nothing_is_kept(doors)
        assert [each.status for each in doors.send(image)] == [COERCED]
        assert doors.received(image.sop_instance_uid) == image.data


def nothing_is_kept(doors: Archive) -> None:
    hospital = doors.hospital
    assert not hospital.storage.spooled()
    assert not digests(hospital.storage)
    assert not list(Doctor(hospital.database, hospital.storage, clock).findings())


@contextmanager
def small_disk(mib: int) -> Iterator[Path]:
    """A file system that is full soon."""
    path = Path(tempfile.mkdtemp(prefix="reconcile-full-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
        shutil.rmtree(path)


def can_mount() -> bool:
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    try:
        with small_disk(1):
            return True
    except subprocess.CalledProcessError:
        return False


if can_mount():  # as root on a machine of one's own; elsewhere the tests above must do

    def test_a_disk_that_is_really_full(database_urls: Urls) -> None:
        """What fitted is there, what did not was refused, and room makes room."""
        images = [large() for _ in range(6)]
        with small_disk(8) as folder:
            hospital = Hospital.at(database_urls.writer, folder / "store")
            hospital.patient(JANE, "100^^^A", "E1^^^E")
            with archive(hospital) as doors:
                told = [each.status for each in doors.send(*images)]
                assert told == [COERCED] * 3 + [NO_ROOM] * 3
                assert not hospital.storage.spooled()
                for image in images[:3]:
                    assert doors.received(image.sop_instance_uid) == image.data
                subprocess.run(["mount", "-o", "remount,size=32m", folder], check=True)
                assert [each.status for each in doors.send(*images)] == [COERCED] * 6
            findings = list(Doctor(hospital.database, hospital.storage, clock).findings())
            assert findings == []
            hospital.database.close()
