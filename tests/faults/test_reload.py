"""Peers and feeds are added while the archive runs; nobody who sends notices."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconcile.db.embedded import Urls
from tests.support.archive import associated, sendable, store
from tests.support.instances import instance
from tests.support.messages import adt
from tests.support.running import HOSPITAL, Archive, code

MORE = """
[[source]]
ae_title = "NEW_CT"
domain = "A"

[[feed]]
application = "RIS_NEW"
authority = ["A"]
"""
NEW = adt("A28", "777^^^A", "NEW^PERSON", "19700101", "F", sender="RIS_NEW")


@pytest.fixture
def archive(database_urls: Urls, tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path, database_urls, HOSPITAL) as running:
        running.register()
        yield running


def reload(archive: Archive, config: str) -> subprocess.CompletedProcess[str]:
    """Change the file, and let it be read."""
    path = archive.folder / "hospital.toml"
    path.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "reconcile", "reload", "--config", str(path)]
    command += ["--data", str(archive.folder / "data")]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **archive.environment()}
    )


def test_a_scanner_and_a_feed_are_added_while_another_sends(archive: Archive) -> None:
    """
    The association that is open stays open over it; the new ones are known at once. A
    file that is wrong changes nothing, and is told; so is what needs a restart. It
    stops in order afterwards.
    """
    port = archive.doors.dicom[1]
    with pytest.raises(AssertionError):
        archive.store(instance(), "NEW_CT")
    assert code(archive.send(NEW)) != "AA"
    before = {process.pid for process in archive.workers("receiver")}
    images = [sendable(instance()) for _ in range(2)]
    with associated(port, images) as association:
        assert store(association, images[0]).status == 0xB000
        done = reload(archive, HOSPITAL + MORE)
        assert (done.returncode, done.stdout) == (0, "reloaded\n"), done.stderr
        assert archive.store(instance(), "NEW_CT").Status == 0xB000
        assert code(archive.send(NEW)) == "AA"
        assert archive.get("/api/v1/patients", identifier="777^^^A")
        assert store(association, images[1]).status == 0xB000
    assert {process.pid for process in archive.workers("receiver")} - before

    done = reload(archive, HOSPITAL.replace("receivers = 1", "receivers = 3"))
    assert done.returncode == 2
    assert "[serve] receivers" in done.stderr
    assert archive.store(instance(), "NEW_CT").Status == 0xB000
    assert archive.stop() == 0
    done = reload(archive, HOSPITAL)
    assert done.returncode == 1
    assert "no archive is running" in done.stderr
