"""`reconcile serve --demo`, as a person starts it: what it prints is what the doors say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset

from reconcile.cli.demo import LAST_LINE
from reconcile.db.embedded import EmbeddedPostgres

SECONDS = 180
FREE_PORTS = """
[listen]
dicom = "127.0.0.1:0"
hl7 = "127.0.0.1:0"
http = "127.0.0.1:0"

[serve]
receivers = 1
"""


class Demo:
    """A demonstration that has told its story."""

    def __init__(self, process: subprocess.Popen[str], printed: list[str]) -> None:
        self.process = process
        self.printed = printed
        self.text = "\n".join(printed)
        address = re.search(r" http=(\S+)", printed[0])
        assert address, self.text
        self.http = httpx.Client(base_url=f"http://{address[1]}", timeout=60)

    def get(self, path: str, **query: str) -> Any:
        return self.http.get(path, params=query).raise_for_status().json()

    def image(self, uid: str, form: str) -> Dataset:
        answer = self.http.get(f"/api/v1/instances/{uid}/{form}").raise_for_status()
        return pydicom.dcmread(BytesIO(answer.content))

    @property
    def instances(self) -> list[str]:
        return re.findall(r"^   instance (\S+)$", self.text, re.MULTILINE)

    @property
    def statuses(self) -> list[str]:
        return re.findall(r"was answered ([0-9A-F]{4})", self.text)

    def stop(self) -> int:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def demo(folder: Path) -> Iterator[Demo]:
    """Start one, wait for the last line of its story, stop it."""
    config = folder / "ports.toml"
    config.write_text(FREE_PORTS)
    command = [sys.executable, "-m", "reconcile", "serve", "--demo"]
    command += ["--config", str(config), "--data", str(folder)]
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        yield Demo(process, _story(process, log))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        # Of one that was killed, the database lives on until the next start.
        EmbeddedPostgres(folder / "demo").stop()


def _story(process: subprocess.Popen[str], log: Path) -> list[str]:
    assert process.stdout is not None
    printed: list[str] = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and LAST_LINE not in printed:
        line = process.stdout.readline()
        assert line, f"it ended:\n{log.read_text()}"
        printed.append(line.rstrip("\n"))
    return printed


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder that the database's user can enter."""
    path = Path(tempfile.mkdtemp(prefix="reconcile-demo-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def played(folder: Path) -> Iterator[Demo]:
    with demo(folder) as running:
        yield running
        assert running.stop() == 0


def test_every_instance_of_the_story_is_coerced_and_its_scanner_told(played: Demo) -> None:
    """B000 to each scanner, and one event for each instance."""
    assert played.statuses == ["B000"] * 4
    assert len(set(played.instances)) == 4
    for uid in played.instances:
        assert len(played.get(f"/api/v1/instances/{uid}/history")["items"]) == 1


def test_one_bare_id_at_two_scanners_stays_two_patients(played: Demo) -> None:
    """100 came twice, and goes out as two identifiers of the archive's own domain."""
    jane, anna = played.instances[:2]
    given = [played.image(uid, "file") for uid in (jane, anna)]
    received = [played.image(uid, "received") for uid in (jane, anna)]
    assert [each.PatientID for each in received] == ["100", "100"]
    assert [each.IssuerOfPatientID for each in given] == ["E", "E"]
    assert given[0].PatientID == "E1"
    assert given[1].PatientID not in ("100", "E1")
    for each in given:
        assert re.search(rf"PatientID +100 +{each.PatientID}$", played.text, re.MULTILINE)


def test_an_order_gives_its_study_uid_and_the_late_image_follows(played: Demo) -> None:
    """Both images of the first study go out under the order's Study Instance UID."""
    first, walk_in, _, late = played.instances
    given = [played.image(uid, "file").StudyInstanceUID for uid in (first, late)]
    received = [played.image(uid, "received").StudyInstanceUID for uid in (first, late)]
    assert len(set(given)) == len(set(received)) == 1
    assert given[0] != received[0]
    assert given[0] in played.text
    kept = played.image(walk_in, "file").StudyInstanceUID
    assert kept == played.image(walk_in, "received").StudyInstanceUID


def test_the_contradicting_instance_is_held(played: Demo) -> None:
    """It waits for a person, and goes out under an ID of its own, as nobody's patient."""
    uid = played.instances[2]
    held = played.get("/api/v1/holds", kind="hold", state="open")["items"]
    assert [(each["code"], each["sop_instance_uids"]) for each in held] == [
        ("DEMOGRAPHIC-CONFLICT", [uid])
    ]
    assert played.image(uid, "file").IssuerOfPatientID == "H"
    assert "Held as DEMOGRAPHIC-CONFLICT" in played.text


def test_every_printed_address_answers(played: Demo) -> None:
    """Where to look: nothing printed leads nowhere."""
    printed = re.findall(r"(http://\S+)$", played.text, re.MULTILINE)
    assert len(printed) >= 8
    for url in printed:
        assert played.http.get(url).status_code == 200, url


def test_every_printed_command_works(played: Demo, tmp_path: Path) -> None:
    """The commands name the demonstration's own folder."""
    printed = re.findall(r"^   (\S.* -m reconcile .*)$", played.text, re.MULTILINE)
    assert len(printed) == 3
    for command in printed:
        done = subprocess.run(
            command.split(),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    got = pydicom.dcmread(tmp_path / "given-out.dcm")
    assert got.PatientID == "E1"


def test_nothing_is_coloured_but_on_a_terminal(played: Demo) -> None:
    """What is piped on is plain text."""
    assert "\033" not in played.text


def test_a_killed_demonstration_can_be_started_again(folder: Path) -> None:
    """The next start empties the folder, and the story comes out the same."""
    elsewhere = folder / "again"
    elsewhere.mkdir(mode=0o711)
    with demo(elsewhere) as first:
        assert first.statuses == ["B000"] * 4, first.text
        first.process.kill()
        first.process.wait()
    with demo(elsewhere) as second:
        assert second.statuses == ["B000"] * 4, second.text
        assert len(second.get("/api/v1/coercions")["items"]) == 4
        assert not set(first.instances) & set(second.instances)
        assert second.stop() == 0


def test_a_folder_of_somebody_else_is_not_emptied(folder: Path) -> None:
    """`demo` below the data folder is only emptied if a demonstration made it."""
    kept = folder / "strange" / "demo" / "thesis.txt"
    kept.parent.mkdir(parents=True)
    kept.touch()
    command = [sys.executable, "-m", "reconcile", "serve", "--demo"]
    command += ["--data", str(folder / "strange")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not a demonstration's" in done.stderr
    assert kept.exists()
