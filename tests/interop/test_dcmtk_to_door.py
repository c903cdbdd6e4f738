"""DCMTK's clients against the DICOM door."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from reconcile.errors import SOPInstanceMismatch
from reconcile.flows.arrival import Arrival, Stored
from tests.support.door import Doorway, changed, doorway
from tests.support.kept import file_of

pytestmark = pytest.mark.skipif(
    shutil.which("storescu") is None, reason="DCMTK is not installed"
)


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Doorway]:
    with doorway(tmp_path) as opened:
        yield opened


def run(way: Doorway, program: str, *arguments: str, title: str = "CT_A") -> str:
    """Run a client; what it printed, and its exit code at the end."""
    done = subprocess.run(
        [
            *(program, "-v", "-aet", title, "-aec", "RECONCILE"),
            *("127.0.0.1", str(way.port), *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    return f"{done.stdout}{done.stderr}\nexit {done.returncode}"


def file(name: str) -> str:
    return str(get_testdata_file(name))


def test_echoscu(way: Doorway) -> None:
    """C-ECHO, also when proposed in many contexts."""
    assert "exit 0" in run(way, "echoscu")
    assert "exit 0" in run(way, "echoscu", "-ppc", "100", "-pts", "3")


def test_storescu_sends_and_is_told_success(way: Doorway, tmp_path: Path) -> None:
    """The stored file is read by another program, and holds what was sent."""
    said = run(way, "storescu", file("CT_small.dcm"))
    assert "Success" in said
    assert "exit 0" in said
    (arrival,) = way.arrivals
    stored = tmp_path / "stored.dcm"
    stored.write_bytes(file_of(way.storage, arrival.digest))
    sent, kept = dcmread(file("CT_small.dcm")), dcmread(stored)
    assert (kept.SOPInstanceUID, kept.PixelData) == (sent.SOPInstanceUID, sent.PixelData)
    assert subprocess.run(["dcmdump", stored], capture_output=True).returncode == 0


def test_storescu_is_told_of_coercion(way: Doorway) -> None:
    """B000 is a warning, and DCMTK goes on sending."""
    way.answer = lambda _: Stored(coerced=("00100020",))
    said = run(way, "storescu", file("CT_small.dcm"), file("MR_small.dcm"))
    assert said.count("CoercionOfDataElements") == 2
    assert "exit 0" in said


def test_storescu_is_told_of_an_error(way: Doorway) -> None:
    """A9xx arrives as such."""

    def refuse(_: Arrival) -> Stored:
        raise SOPInstanceMismatch("SOP Instance UID of the data set is another")

    way.answer = refuse
    said = run(way, "storescu", file("CT_small.dcm"))
    assert "DataSetDoesNotMatchSOPClass" in said


@pytest.mark.parametrize("title", ["NOBODY"])
def test_who_is_unknown_is_rejected(way: Doorway, title: str) -> None:
    """DCMTK reads the reason of the rejection."""
    said = run(way, "echoscu", title=title)
    assert "Calling AE Title Not Recognized" in said


def test_dcmsend_sends_compressed_and_deflated(way: Doorway) -> None:
    """Whatever the file is encoded in, it is sent and kept as it is."""
    names = ["JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"]
    said = run(way, "dcmsend", "--decompress-never", *map(file, names))
    assert "exit 0" in said
    syntaxes = {arrival.transfer_syntax for arrival in way.arrivals}
    assert len(way.arrivals) == len(names)
    assert {"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5"} <= syntaxes


def test_dcmsend_uses_several_associations_and_small_pdus(way: Doorway) -> None:
    """Both sides keep to the other's maximum PDU length."""
    names = ["CT_small.dcm", "MR_small.dcm"]
    said = run(
        way, "dcmsend", "--max-send-pdu", "4096", "--multi-associations", *map(file, names)
    )
    assert "exit 0" in said
    assert len(way.arrivals) == 2


def test_storescu_is_told_of_a_limit(tmp_path: Path) -> None:
    """A702 after the whole data set."""
    with doorway(tmp_path, changed(instance_bytes=25_000)) as way:
        said = run(way, "storescu", file("CT_small.dcm"))
        assert "Refused: OutOfResources" in said
        assert not way.arrivals
