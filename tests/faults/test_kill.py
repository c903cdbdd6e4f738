"""kill -9 under load: nothing acknowledged is lost, and nothing is half there unnamed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from reconcile.db.embedded import Urls
from reconcile.storage.content import Location
from reconcile.storage.local import LocalStorage
from tests.support.archive import Sent, associated, sendable, store
from tests.support.instances import instance
from tests.support.kept import digests as kept_digests
from tests.support.kept import extract
from tests.support.running import SPREAD, Archive

SOAK = bool(os.environ.get("RECONCILE_SOAK"))
KILLS = 40 if SOAK else 3
SENDERS = 4
#: pynetdicom does not tell a sender that its peer has gone: it waits so long.
ANSWER_SECONDS = 5
STORED = {0x0000, 0xB000}


class Sender(threading.Thread):
    """Sends instances one after the other, whatever happens to its connection."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(daemon=True)
        self._archive = archive
        self._enough = threading.Event()
        self.acknowledged: dict[str, Sent] = {}
        self.unanswered: list[Sent] = []

    def run(self) -> None:
        while not self._enough.is_set():
            batch = [sendable(instance()) for _ in range(20)]
            try:
                self._send(batch)
            except (AssertionError, OSError, RuntimeError, ValueError):
                time.sleep(0.05)  # the door was shut, or cut off: knock again

    def _send(self, batch: list[Sent]) -> None:
        port = self._archive.doors.dicom[1]
        with associated(port, batch, seconds=ANSWER_SECONDS) as association:
            for each in batch:
                told = store(association, each)
                if told.status in STORED:
                    self.acknowledged[each.sop_instance_uid] = each
                else:
                    self.unanswered.append(each)
                if self._enough.is_set() or not association.is_established:
                    return

    def stop(self) -> None:
        self._enough.set()
        self.join(120)
        assert not self.is_alive()


@pytest.fixture
def archive(database_urls: Urls, tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path, database_urls, SPREAD) as running:
        running.register()
        yield running


@pytest.fixture
def senders(archive: Archive) -> Iterator[list[Sender]]:
    """A load that goes on until the test has seen enough."""
    sending = [Sender(archive) for _ in range(SENDERS)]
    for sender in sending:
        sender.start()
    yield sending
    for sender in sending:
        sender.stop()


def wait_for(senders: list[Sender], more: int) -> None:
    """Until so many more instances were acknowledged."""
    wanted = more + sum(len(sender.acknowledged) for sender in senders)
    end = time.monotonic() + 120
    while sum(len(sender.acknowledged) for sender in senders) < wanted:
        assert time.monotonic() < end, "nothing is acknowledged any more"
        time.sleep(0.01)


def all_of(senders: list[Sender]) -> dict[str, Sent]:
    found: dict[str, Sent] = {}
    for sender in senders:
        sender.stop()
        found |= sender.acknowledged
    return found


def storage(archive: Archive) -> LocalStorage:
    return LocalStorage(archive.folder / "data" / "instances")


def rows(archive: Archive, query: str) -> list[Any]:
    assert archive.urls
    engine = create_engine(archive.urls.reader)
    with engine.connect() as connection:
        found: list[Any] = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def nothing_is_lost(archive: Archive, acknowledged: dict[str, Sent]) -> None:
    """Each has its row, its one event, and a file that holds the bytes."""
    known = {
        uid: (Location(digest.hex(), segment, offset), length, events)
        for uid, digest, segment, offset, length, events in rows(
            archive,
            "select i.sop_instance_uid, r.digest, coalesce(r.segment, ''),"
            " coalesce(r.segment_offset, 0), r.length,"
            " (select count(*) from coercion_event e where e.instance_id = i.id)"
            " from instance i join receipt r on r.id = i.receipt_id",
        )
    }
    kept = storage(archive)
    for uid, sent in acknowledged.items():
        location, length, events = known[uid]
        assert extract(kept, location, length) == sent.data
        assert location.digest == sha256(sent.data).hexdigest()
        assert events == 1
    orphans = (
        "select count(*) from coercion_event e left join instance i"
        " on i.id = e.instance_id where e.instance_id is not null and i.id is null"
    )
    assert rows(archive, orphans) == [(0,)]


def findings(archive: Archive) -> tuple[set[str], set[str]]:
    """(what `doctor` calls what it finds, digests of files without a row)."""
    folder = archive.folder
    command = [sys.executable, "-m", "reconcile", "doctor", "--json"]
    command += ["--config", str(folder / "hospital.toml"), "--data", str(folder / "data")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **archive.environment()}
    )
    assert done.returncode in (0, 1), done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    lost = {each["subject"] for each in said if each.get("code") == "bytes-without-row"}
    return {each["code"] for each in said if "code" in each}, lost


def what_is_left_over_is_named(archive: Archive) -> None:
    """Files without a row are what `doctor` says they are; nothing else is wrong."""
    digests = {row[0].hex() for row in rows(archive, "select digest from receipt")}
    codes, lost = findings(archive)
    assert codes <= {"bytes-without-row"}
    kept = set(kept_digests(storage(archive)))
    assert lost == kept - digests
    assert digests <= kept


def test_killed_receivers_lose_nothing_that_was_acknowledged(
    archive: Archive, senders: list[Sender]
) -> None:
    """Under load, again and again; the supervisor brings each back."""
    for _ in range(KILLS):
        wait_for(senders, 10)
        archive.workers("receiver")[0].kill()
    wait_for(senders, 20)
    acknowledged = all_of(senders)

    assert len(acknowledged) >= 10 * KILLS
    nothing_is_lost(archive, acknowledged)
    archive.stop()
    archive.start()
    assert not storage(archive).spooled()
    what_is_left_over_is_named(archive)


def test_a_stop_under_load_finishes_what_it_began(
    archive: Archive, senders: list[Sender]
) -> None:
    """SIGTERM while peers send without end: in time, by itself, nothing left behind."""
    wait_for(senders, 30)
    assert archive.stop() == 0
    acknowledged = all_of(senders)
    assert "did not stop in time" not in (archive.folder / "log").read_text()
    segments = storage(archive).segments
    ends = [segments.path(name).read_bytes()[-1024:] for name in segments.names()]
    assert ends
    assert set(ends) == {bytes(1024)}, "an archive of tar ends with two blocks of zeros"
    assert not storage(archive).spooled()
    archive.start()
    nothing_is_lost(archive, acknowledged)
    assert findings(archive)[0] == set()


def test_a_machine_that_loses_power_loses_nothing_that_was_acknowledged(
    archive: Archive, senders: list[Sender]
) -> None:
    """The whole tree at once; it starts again, and what was not answered can be sent."""
    wait_for(senders, 30)
    archive.kill()
    acknowledged = all_of(senders)
    archive.start()

    nothing_is_lost(archive, acknowledged)
    assert not storage(archive).spooled()
    what_is_left_over_is_named(archive)
    again = [sent for sender in senders for sent in sender.unanswered]
    if again:
        with associated(archive.doors.dicom[1], again) as association:
            assert {store(association, each).status for each in again} <= STORED
        nothing_is_lost(archive, {each.sop_instance_uid: each for each in again})
    assert findings(archive)[0] <= {"bytes-without-row"}
