"""Instances of any size pass through in constant memory, both ways, through real doors.

Native, deflated and encapsulated. 176 MB here, 2 GB in the soak. What counts is the
proportional set size of all processes of the archive together, its own PostgreSQL among
them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import httpx
import psutil
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.support.database import name_folder
from tests.support.instances import data_offset, instance, part10, with_meta
from tests.support.running import Archive

SOAK = bool(os.environ.get("RECONCILE_SOAK"))
MIB = 1 << 20
FRAMES = 1024 if SOAK else 88  # of 1024 x 1024 pixels of 16 bits: 2 MiB each
PIXEL_BYTES = FRAMES * 2 * MIB
GROWTH_MAX = (300 if SOAK else 110) * MIB

PIXEL_DATA = b"\xe0\x7f\x10\x00OW\0\0" + PIXEL_BYTES.to_bytes(4, "little")
FRAGMENTS = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
ITEM = b"\xfe\xff\x00\xe0"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
STORESCU = shutil.which("storescu")
DCMSEND = shutil.which("dcmsend")

Making = Callable[[Path], Dataset]


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    """Over an embedded server of its own, which counts too."""
    folder = name_folder()
    folder.mkdir()
    folder.chmod(0o711)  # entered by the server's user, where root runs the tests
    try:
        with Archive(folder / "archive") as running:
            running.register()
            yield running
    finally:
        shutil.rmtree(folder)


def large(path: Path) -> Dataset:
    """A multi-frame instance, written without ever being in memory; a sparse file."""
    dataset = instance(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3",
        NumberOfFrames=FRAMES,
        Rows=1024,
        Columns=1024,
        PixelData=None,
    )
    with path.open("wb") as file:
        file.write(part10(dataset) + PIXEL_DATA)
        start = file.tell()
        for frame in range(0, FRAMES, FRAMES // 8):
            file.seek(start + frame * 2 * MIB)
            file.write(hashlib.sha256(bytes([frame % 251])).digest())
        file.truncate(start + PIXEL_BYTES)
    return dataset


def frames() -> Iterator[bytes]:
    """Frames that no compression makes smaller, each of them another."""
    noise = os.urandom(2 * MIB)
    return (number.to_bytes(8, "big") + noise[8:] for number in range(FRAMES))


def write_preamble(file: BinaryIO, dataset: Dataset) -> None:
    file.write(bytes(128) + b"DICM")
    meta = DicomBytesIO()
    write_file_meta_info(meta, dataset.file_meta)
    file.write(meta.getvalue())


def headed(sop_class: str, transfer_syntax: str, **attributes: object) -> Dataset:
    dataset = instance(
        SOPClassUID=sop_class,
        NumberOfFrames=FRAMES,
        Rows=1024,
        Columns=1024,
        PixelData=None,
        **attributes,
    )
    return with_meta(dataset, transfer_syntax)


def deflated(path: Path) -> Dataset:
    """The same, deflated without making it smaller, as some writers do."""
    dataset = headed("1.2.840.10008.5.1.4.1.1.7.3", ExplicitVRLittleEndian)
    header = part10(dataset)
    offset = data_offset(header)
    dataset.file_meta.TransferSyntaxUID = UID(DEFLATED)
    into = zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    with path.open("wb") as file:
        write_preamble(file, dataset)
        for piece in (header[offset:], PIXEL_DATA, *frames()):
            file.write(into.compress(piece))
        file.write(into.flush())
        file.write(b"\0" * (file.tell() % 2))
    return dataset


def encapsulated(path: Path) -> Dataset:
    """A fragment for each frame, in pixel data of undefined length."""
    dataset = headed(
        "1.2.840.10008.5.1.4.1.1.7.4",
        JPEG_BASELINE,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="YBR_FULL_422",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    with path.open("wb") as file:
        file.write(part10(dataset) + FRAGMENTS + ITEM + bytes(4))
        for frame in frames():
            file.write(ITEM + len(frame).to_bytes(4, "little"))
            file.write(b"\xff\xd8" + frame[2:])
        file.write(b"\xfe\xff\xdd\xe0" + bytes(4))
    return dataset


class Memory(threading.Thread):
    """Samples how much memory the processes of an archive take together."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(daemon=True)
        self._archive = archive
        self._stop_sampling = threading.Event()
        self.idle = self.peak = self.sample()

    def run(self) -> None:
        while not self._stop_sampling.wait(0.15):
            self.peak = max(self.peak, self.sample())

    def stop(self) -> None:
        self._stop_sampling.set()
        self.join()

    @property
    def growth(self) -> int:
        return self.peak - self.idle

    def sample(self) -> int:
        return sum(_pss(process) for process in self._processes())

    def _processes(self) -> Iterator[psutil.Process]:
        postmaster = next(self._archive.folder.glob("data/pg*/postmaster.pid"))
        for pid in (self._archive.pid, int(postmaster.read_text().split()[0])):
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0  # it has just ended


@contextmanager
def sampled(archive: Archive, what: str) -> Iterator[None]:
    """Fails where memory grows past the bound meanwhile; prints the figures."""
    memory = Memory(archive)
    memory.start()
    try:
        yield
    finally:
        memory.stop()
    print(
        f"\n{what}: {PIXEL_BYTES // MIB} MiB of pixels, idle {memory.idle // MIB} MiB,"
        f" grew by {memory.growth // MIB} MiB"
    )
    assert memory.growth < GROWTH_MAX


def store(archive: Archive, path: Path) -> str:
    assert STORESCU, "DCMTK's storescu is needed"
    host, port = archive.doors.dicom
    to = ("-aet", "CT_A", "-aec", "RECONCILE", host, str(port))
    done = subprocess.run(
        [STORESCU, "-v", "--max-send-pdu", "131072", *to, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "TCP_NODELAY": "1", "TCP_BUFFER_LENGTH": "262144"},
    )
    return done.stdout + done.stderr


def send_as_it_is(archive: Archive, path: Path) -> str:
    assert DCMSEND, "DCMTK's dcmsend is needed"
    host, port = archive.doors.dicom
    pdu = ("--max-send-pdu", "131072")
    to = ("-aet", "CT_A", "-aec", "RECONCILE", host, str(port))
    done = subprocess.run(
        [DCMSEND, "-v", "--decompress-never", *pdu, *to, str(path)],
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def digest_after(chunks: Iterator[bytes], mark: bytes) -> tuple[bytes, str, int]:
    """(what comes before `mark` and the mark, digest and length of what follows)."""
    head, digest, length = b"", hashlib.sha256(), 0
    for chunk in chunks:
        if mark in head:
            digest.update(chunk)
            length += len(chunk)
            continue
        head += chunk
        at = head.find(mark)
        if at >= 0:
            rest = head[at + len(mark) :]
            head = head[: at + len(mark)]
            digest.update(rest)
            length += len(rest)
    return head, digest.hexdigest(), length


def fetched(
    archive: Archive, path: str, mark: bytes = PIXEL_DATA, *, inflate: bool = False
) -> tuple[bytes, str, int]:
    with archive.http.stream("GET", path, timeout=httpx.Timeout(120)) as answer:
        answer.raise_for_status()
        chunks = answer.iter_bytes()
        return digest_after(inflated(chunks) if inflate else chunks, mark)


def inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The data set of a file whose transfer syntax is deflated, in small pieces."""
    first = next(chunks)
    while len(first) < 1024:
        first += next(chunks)
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for chunk in chain((first[data_offset(first) :],), chunks):
        rest = chunk
        while rest:
            yield stream.decompress(rest, MIB)
            rest = stream.unconsumed_tail
    yield stream.flush()


def sent_pixels(
    path: Path, mark: bytes = PIXEL_DATA, *, inflate: bool = False
) -> tuple[bytes, str, int]:
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(MIB), b"")
        return digest_after(inflated(chunks) if inflate else chunks, mark)


@pytest.mark.timeout(1800 if SOAK else 300)
def test_a_large_instance_takes_constant_memory_in_and_out(
    archive: Archive, tmp_path: Path
) -> None:
    """And its pixels come out as they went in, also under another identity."""
    path = tmp_path / "large.dcm"
    dataset = large(path)
    _, digest, length = sent_pixels(path)
    assert length == PIXEL_BYTES
    with sampled(archive, "C-STORE"):
        said = store(archive, path)
    assert "CoercionOfDataElements" in said, said
    with sampled(archive, "given out over HTTP"):
        given = fetched(archive, f"/api/v1/instances/{dataset.SOPInstanceUID}/file")
    assert given[1:] == (digest, length)
    assert b"E1" in given[0]
    with sampled(archive, "received bytes over HTTP"):
        came = fetched(archive, f"/api/v1/instances/{dataset.SOPInstanceUID}/received")
    assert came[1:] == (digest, length)
    path.unlink()


@pytest.mark.timeout(1800 if SOAK else 300)
@pytest.mark.parametrize(
    ("made", "mark", "inflate"),
    [(deflated, PIXEL_DATA, True), (encapsulated, FRAGMENTS, False)],
    ids=["deflated", "encapsulated"],
)
def test_so_does_one_that_is_compressed(
    archive: Archive, tmp_path: Path, made: Making, mark: bytes, *, inflate: bool
) -> None:
    """Inflated and deflated on the way; fragments are passed on as they are."""
    path = tmp_path / "large.dcm"
    dataset = made(path)
    _, digest, length = sent_pixels(path, mark, inflate=inflate)
    assert length >= PIXEL_BYTES
    with sampled(archive, f"C-STORE, {made.__name__}"):
        said = send_as_it_is(archive, path)
    assert "CoercionOfDataElements" in said, said
    for name, what in (("file", "given out"), ("received", "received bytes")):
        with sampled(archive, f"{what} over HTTP, {made.__name__}"):
            url = f"/api/v1/instances/{dataset.SOPInstanceUID}/{name}"
            head, *rest = fetched(archive, url, mark, inflate=inflate)
        assert rest == [digest, length]
        assert (b"E1" in head) == (name == "file")
    path.unlink()
