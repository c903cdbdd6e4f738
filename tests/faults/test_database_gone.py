"""PostgreSQL away under the doors: "try again later", and it works when it is back."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconcile.db import migrate
from reconcile.db.embedded import EmbeddedPostgres
from reconcile.flows.doctor import Doctor
from tests.support.archive import Archive, archive, sendable
from tests.support.database import name_folder
from tests.support.door import eventually
from tests.support.hospital import JANE, Hospital, clock
from tests.support.instances import instance

TRY_LATER = 0xA700
COERCED = 0xB000


@pytest.fixture
def folder() -> Iterator[Path]:
    path = name_folder()
    path.mkdir()
    path.chmod(0o711)  # entered by the server's user, where root runs the tests
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server of the test's own, which may be stopped."""
    with EmbeddedPostgres(folder / "data") as running:
        yield running


@pytest.fixture
def doors(server: EmbeddedPostgres, folder: Path) -> Iterator[Archive]:
    urls = server.attach()
    migrate.upgrade(urls.owner)
    hospital = Hospital.at(urls.writer, folder / "instances", urls.reader)
    assert hospital.patient(JANE, "100^^^A", "E1^^^E").acknowledgement == "AA"
    with archive(hospital) as opened:
        yield opened
    hospital.database.close()


def stop(server: EmbeddedPostgres) -> None:
    server.stop()


def crash(server: EmbeddedPostgres) -> None:
    """The postmaster is killed, and its children end when they notice."""
    postmaster = int((server.cluster / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    assert eventually(lambda: not server.is_running(), seconds=30)


def findings(doors: Archive) -> list[str]:
    hospital = doors.hospital
    return [f.code for f in Doctor(hospital.database, hospital.storage, clock).findings()]


@pytest.mark.parametrize("goes", [stop, crash])
def test_a_store_is_refused_while_it_is_gone_and_taken_when_it_is_back(
    doors: Archive, server: EmbeddedPostgres, goes: Callable[[EmbeddedPostgres], None]
) -> None:
    """A700, without an association lost; nothing is written that nobody could record."""
    before, during = sendable(instance()), sendable(instance())
    assert [told.status for told in doors.send(before)] == [COERCED]
    goes(server)

    assert [told.status for told in doors.send(during, during)] == [TRY_LATER, TRY_LATER]
    assert doors.get(f"/api/v1/instances/{before.sop_instance_uid}/file").status_code == 503
    assert doors.get("/readyz").status_code == 503
    assert doors.get("/healthz").status_code == 200

    server.start()
    assert doors.received(before.sop_instance_uid) == before.data
    assert findings(doors) == []
    assert [told.status for told in doors.send(during, before)] == [COERCED, COERCED]
    assert doors.received(during.sop_instance_uid) == during.data
    assert findings(doors) == []
    assert not doors.hospital.storage.spooled()


def test_it_goes_in_the_midst_of_stores_and_nothing_acknowledged_is_lost(
    doors: Archive, server: EmbeddedPostgres
) -> None:
    """Each of them is stored, or told to come again; and can come again."""
    images = [sendable(instance()) for _ in range(60)]
    enough = threading.Event()

    def gone_and_back() -> None:
        enough.wait(60)
        crash(server)
        server.start()

    breaking = threading.Thread(target=gone_and_back)
    breaking.start()
    told = []
    for number, image in enumerate(images):
        told += doors.send(image)
        if number == len(images) // 3:
            enough.set()
    breaking.join(120)

    assert {each.status for each in told} <= {COERCED, TRY_LATER}
    refused = [
        image for image, each in zip(images, told, strict=True) if each.status == TRY_LATER
    ]
    assert {each.status for each in doors.send(*refused)} <= {COERCED}
    for image in images:
        assert doors.received(image.sop_instance_uid) == image.data
    assert findings(doors) == []
