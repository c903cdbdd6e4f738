"""Before the disk is full: every door says so, nothing is lost, and it goes on again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconcile.db.embedded import Urls
from reconcile.errors import LowOnRoom
from reconcile.flows.doctor import Doctor
from reconcile.flows.importing import Became, ImportFlow
from reconcile.storage.local import LocalStorage
from reconcile.storage.room import Room
from tests.support.archive import Archive, archive, sendable
from tests.support.hospital import CT_A, JANE, Hospital, clock
from tests.support.instances import instance, part10
from tests.support.kept import digests
from tests.support.multipart import RELATED, body

OUT_OF_RESOURCES, COERCED = 0xA700, 0xB000
MIB = 1 << 20


@dataclass
class Disk:
    """A disk that is as full as somebody says."""

    free: int = 10 * MIB
    now: float = 0.0
    looked: int = 0

    def look(self, folder: Path) -> int:
        assert folder.is_dir()
        self.looked += 1
        return self.free

    def clock(self) -> float:
        return self.now

    def become(self, free: int) -> None:
        self.free = free
        self.now += 1.0


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def doors(database_urls: Urls, tmp_path: Path, disk: Disk) -> Iterator[Archive]:
    hospital = Hospital.at(database_urls.writer, tmp_path / "store", database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    storage = LocalStorage(tmp_path / "store")
    storage.room = Room(storage.root, 5 * MIB, look=disk.look, clock=disk.clock)
    with archive(replace(hospital, storage=storage)) as opened:
        yield opened
    hospital.database.close()


def test_it_is_looked_at_once_a_second(disk: Disk, tmp_path: Path) -> None:
    """However many instances come; without a floor never."""
    room = Room(tmp_path, 5 * MIB, look=disk.look, clock=disk.clock)
    for _ in range(1000):
        room.require()
    assert disk.looked == 1
    disk.become(MIB)
    with pytest.raises(LowOnRoom):
        room.require()
    assert not Room(tmp_path, 0, look=disk.look, clock=disk.clock).is_low


def test_a_disk_that_cannot_be_looked_at_stops_nobody(tmp_path: Path) -> None:
    """Whoever writes there is told what is wrong."""
    room = Room(tmp_path / "gone", 5 * MIB)
    assert not room.is_low
    assert room.free == -1


def test_every_door_says_so_and_takes_again(
    doors: Archive, disk: Disk, tmp_path: Path
) -> None:
    """C-STORE, STOW-RS, import, HL7; doctor, readiness and figures tell."""
    hospital = doors.hospital
    small = sendable(instance())
    large = sendable(instance(Rows=1024, Columns=1024, PixelData=bytes(2 * MIB)))
    path = tmp_path / "image.dcm"
    path.write_bytes(part10(instance()))
    importing = ImportFlow(hospital.flow(), CT_A, "import/1")
    disk.become(MIB)
    assert {told.status for told in doors.send(small, large)} == {OUT_OF_RESOURCES}
    stowed = doors.http.post(
        "/dicom-web/studies",
        content=body([part10(instance())]),
        headers={"Content-Type": RELATED, "Accept": "application/dicom+json"},
    )
    assert stowed.status_code == 503
    [failed] = stowed.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [OUT_OF_RESOURCES]
    with pytest.raises(LowOnRoom):
        importing.take(path, 1)
    with pytest.raises(LowOnRoom):
        hospital.messages().keep(sender="RIS_A", control_id="1", event="A08", body=b"MSH")
    assert LowOnRoom.hl7_ack == "AR"
    codes = [f.code for f in Doctor(hospital.database, hospital.storage, clock).findings()]
    assert codes == ["storage-low"]
    ready = doors.get("/readyz")
    assert ready.status_code == 503
    assert "nearly full" in ready.json()["checks"]["storage"]
    assert "reconcile_storage_free_bytes 1.048576e+06" in doors.get("/metrics").text
    assert not digests(hospital.storage)
    assert not hospital.storage.spooled()
    disk.become(10 * MIB)
    assert {told.status for told in doors.send(small, large)} == {COERCED}
    assert importing.take(path, 1).became is Became.COERCED
    assert doors.get("/readyz").json()["checks"]["storage"] == "ok"
