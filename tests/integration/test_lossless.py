"""Lossless compression undone, by a process of its own that may break."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from reconcile.dataset.facts import read
from reconcile.dataset.frames import Shape, frames_of
from reconcile.dataset.overlay import pieces_of
from reconcile.errors import CannotConvert
from reconcile.flows.decoding import FRAME_BYTES_MAX, Decoding
from tests.support.archive import http_door
from tests.support.compressed import LOSSLESS, compressed
from tests.support.database import Cluster
from tests.support.hospital import JANE, Hospital
from tests.support.instances import data_offset, instance, part10, with_meta
from tests.support.multipart import parts_of
from tests.support.transcoded import transcoded

DICOM = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'
NOISE = random.Random(1)
ROWS, COLUMNS = 24, 20
FRAME_BYTES = 2 * ROWS * COLUMNS


def grey(frames: int = 3) -> Dataset:
    values = (NOISE.randrange(4096) for _ in range(frames * ROWS * COLUMNS))
    return instance(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3",
        NumberOfFrames=frames,
        Rows=ROWS,
        Columns=COLUMNS,
        PixelData=b"".join(value.to_bytes(2, "little") for value in values),
    )


def colour() -> Dataset:
    return instance(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        Rows=6,
        Columns=8,
        PixelData=NOISE.randbytes(144),
    )


def path_of(image: Dataset) -> str:
    series = f"/dicom-web/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
    return f"{series}/instances/{image.SOPInstanceUID}"


def broken() -> Dataset:
    image = grey(1)
    image.PixelData = encapsulate([b"\xff\x4f\xff\x51 not a picture"])
    image["PixelData"].is_undefined_length = True
    return with_meta(image, JPEG2000Lossless)


@pytest.fixture(scope="module")
def hospital(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("instances")
        found = Hospital.at(urls.writer, folder, urls.reader)
        found.patient(JANE, "100^^^A", "E1^^^E")
        yield found


@pytest.fixture(scope="module")
def client(hospital: Hospital) -> Iterator[httpx.Client]:
    with http_door(hospital) as opened:
        yield opened


@pytest.fixture(scope="module")
def decoding() -> Iterator[Decoding]:
    found = Decoding()
    yield found
    found.close()


def get(client: httpx.Client, path: str, accept: str) -> list[tuple[str, bytes]]:
    answer = client.get(path, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    return list(parts_of(answer.headers["content-type"], answer.content))


def undone(decoding: Decoding, image: Dataset, folder: Path) -> Dataset:
    file = part10(image)
    syntax = str(image.file_meta.TransferSyntaxUID)
    state = read(file[data_offset(file) :], syntax)
    with decoding.undone(state, syntax, folder) as plain:
        data = b"".join(bytes(piece) for piece in pieces_of(plain))
    head = part10(with_meta(instance(), ExplicitVRLittleEndian))
    return pydicom.dcmread(BytesIO(head[: data_offset(head)] + data))


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_whoever_names_no_transfer_syntax_gets_pixels(
    hospital: Hospital, client: httpx.Client, tmp_path: Path, syntax: str
) -> None:
    """
    Those that were compressed, bit for bit, under the identity of today; frames too. As
    it is stored to whoever takes that.
    """
    native = grey()
    image = compressed(native, syntax, tmp_path)
    hospital.store(image)
    for accept in (DICOM, f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"):
        [(head, part)] = get(client, path_of(image), accept)
        assert head.endswith(f"transfer-syntax={ExplicitVRLittleEndian}")
        given = pydicom.dcmread(BytesIO(part))
        assert given.PatientID == "E1"
        assert given.PixelData == native.PixelData
        assert given.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    [(head, part)] = get(client, path_of(image), f"{DICOM}; transfer-syntax=*")
    assert head.endswith(f"transfer-syntax={syntax}")
    assert pydicom.dcmread(BytesIO(part)).PixelData == image.PixelData
    found = get(client, f"{path_of(image)}/frames/3,1", "*/*")
    assert [frame for _, frame in found] == [
        native.PixelData[2 * FRAME_BYTES :],
        native.PixelData[:FRAME_BYTES],
    ]
    [(head, frame), *_] = get(
        client, f"{path_of(image)}/frames/1", f"{OCTETS}; transfer-syntax=*"
    )
    assert head.endswith(f"transfer-syntax={syntax}")
    assert frame != native.PixelData[:FRAME_BYTES]


@pytest.mark.parametrize("syntax", LOSSLESS[:4:3])
def test_colour_is_arranged_as_the_header_says(
    decoding: Decoding, tmp_path: Path, syntax: str
) -> None:
    """
    By pixel, or by plane.
    """
    native = colour()
    image = compressed(native, syntax, tmp_path)
    given = undone(decoding, image, tmp_path)
    assert given.PhotometricInterpretation == "RGB"
    assert given.PixelData == native.PixelData
    image.PlanarConfiguration = 1
    by_plane = undone(decoding, image, tmp_path).PixelData
    assert by_plane[:144] == b"".join(native.PixelData[n:144:3] for n in range(3))


def test_colour_of_jpeg_2000_comes_out_as_rgb(decoding: Decoding, tmp_path: Path) -> None:
    """
    As another decoder reads it; what is said of it changes with it.
    """
    image = pydicom.dcmread(str(get_testdata_file("examples_jpeg2k.dcm")))
    assert image.PhotometricInterpretation == "YBR_RCT"
    given = undone(decoding, image, tmp_path)
    assert given.PhotometricInterpretation == "RGB"
    assert given.PixelData == image.pixel_array.tobytes()


def test_what_contradicts_its_header_is_not_decoded(
    decoding: Decoding, tmp_path: Path
) -> None:
    """
    A codestream of other sign than the header says would be misread.
    """
    image = pydicom.dcmread(str(get_testdata_file("J2K_pixelrep_mismatch.dcm")))
    with pytest.raises(CannotConvert):
        undone(decoding, image, tmp_path)


def test_a_broken_one_harms_none_beside_it(
    hospital: Hospital, client: httpx.Client
) -> None:
    """
    It is given as it is stored, or not at all; what is asked next is given.
    """
    bad, good = broken(), transcoded(grey(), RLELossless)
    good.StudyInstanceUID = bad.StudyInstanceUID
    for image in (bad, good):
        hospital.store(image)
    [(head, part)] = get(client, path_of(bad), DICOM)
    assert head.endswith(f"transfer-syntax={JPEG2000Lossless}")
    assert pydicom.dcmread(BytesIO(part)).PixelData == bad.PixelData
    wanted = {"Accept": f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"}
    assert client.get(path_of(bad), headers=wanted).status_code == 406
    frames = client.get(f"{path_of(bad)}/frames/1", headers={"Accept": OCTETS})
    assert frames.status_code == 406
    [(head, _)] = get(client, f"{path_of(bad)}/frames/1", "*/*")
    assert head.startswith("Content-Type: image/jp2")
    [(head, _)] = get(client, path_of(good), DICOM)
    assert head.endswith(f"transfer-syntax={ExplicitVRLittleEndian}")
    assert len(get(client, f"/dicom-web/studies/{good.StudyInstanceUID}", DICOM)) == 2


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """
    And so is its process; others go on.
    """
    decoding = Decoding(seconds=0.0001)
    try:
        with pytest.raises(CannotConvert):
            undone(decoding, transcoded(grey(), RLELossless), tmp_path)
        assert decoding._idle == []
    finally:
        decoding.close()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_has_died_is_replaced(decoding: Decoding, tmp_path: Path) -> None:
    """
    Whatever it died of.
    """
    image = transcoded(grey(), RLELossless)
    first = undone(decoding, image, tmp_path)
    [idle] = decoding._idle
    idle._process.kill()
    idle._process.wait()
    assert undone(decoding, image, tmp_path) == first


def test_it_can_do_nothing_else(decoding: Decoding, tmp_path: Path) -> None:
    """
    No file that it could open, no core, and a limit to its memory and its time.
    """
    undone(decoding, transcoded(grey(), RLELossless), tmp_path)
    [idle] = decoding._idle
    process = psutil.Process(idle._process.pid)
    assert process.rlimit(psutil.RLIMIT_NOFILE) == (3, 3)
    assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_AS)[0] < 1 << 32
    assert process.rlimit(psutil.RLIMIT_CPU)[0] <= 600
    assert not any("RECONCILE" in name for name in process.environ())


@pytest.mark.parametrize(
    ("rows", "columns"), [(0, 10), (30_000, 30_000), (FRAME_BYTES_MAX, 1), (65_535, 2_000)]
)
def test_what_a_header_says_is_not_believed(
    decoding: Decoding, tmp_path: Path, rows: int, columns: int
) -> None:
    """
    A frame that would be too large is not asked for; one that is not so large is refused.
    """
    image = transcoded(grey(1), RLELossless)
    file = part10(image)
    frames = frames_of(read(file[data_offset(file) :], str(RLELossless)))
    shape = Shape(rows, columns, 1, 16, 12, False, 0, "MONOCHROME2", 1)
    with pytest.raises(CannotConvert):
        decoding.frame(str(RLELossless), shape, frames.frame(1))
    assert undone(decoding, image, tmp_path).Rows == ROWS


def test_no_other_process_has_a_codec() -> None:
    """
    Neither a door nor a worker loads what decodes pixels.
    """
    modules = "reconcile.web.app, reconcile.dicom.acceptor, reconcile.cli.worker"
    said = f"import sys, {modules}; print(sys.modules.get('gdcm'))"
    done = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "None"
