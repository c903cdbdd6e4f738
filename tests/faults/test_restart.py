"""A child that dies is started again; a child outlives its supervisor by nothing."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.support.instances import instance
from tests.support.running import SPREAD, Archive

ROLES = ("receiver", "hl7", "web", "jobs")


@pytest.fixture
def archive(database_urls, tmp_path):
    """A running archive."""
    with Archive(tmp_path, database_urls, SPREAD) as opened:
        yield opened


def wait_until(holds, seconds: float = 60) -> bool:
    """Whether something holds within some time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.2)
    return False


def listening(archive, role: str) -> set[int]:
    """The ports that processes of one role hold open."""
    held = [c for each in archive.workers(role) for c in each.net_connections("tcp")]
    return {c.laddr.port for c in held if c.status == psutil.CONN_LISTEN}


def test_killed_children_are_replaced_and_the_doors_stay_open(archive):
    """
    Every process of the archive is killed; the ports never close, and all is served.
    Each holds its own door, and no other.
    """
    dicom, hl7, http = ({door[1]} for door in archive.doors)
    doors = {"receiver": dicom, "hl7": hl7, "web": http, "jobs": set()}
    assert {role: listening(archive, role) for role in ROLES} == doors
    before = {role: archive.workers(role) for role in ROLES}
    for role in ROLES:
        for process in before[role]:
            process.kill()
    for role in ROLES:
        wanted = len(before[role])
        assert wait_until(lambda r=role, n=wanted: len(archive.workers(r)) == n)

    assert wait_until(lambda: {role: listening(archive, role) for role in ROLES} == doors)
    assert 0xB000 == archive.store(instance()).Status
    assert 1 == len(archive.items("/api/v1/coercions"))


def test_no_child_outlives_a_killed_supervisor(archive):
    """
    kill -9 of the supervisor: its children see their leash end, and stop.
    """
    orphans = [process for role in ROLES for process in archive.workers(role)]
    psutil.Process(archive.pid).kill()

    assert wait_until(lambda: not any(process.is_running() for process in orphans))
