"""DCMTK's clients against the running archive."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.support.instances import instance, part10, with_meta
from tests.support.rejecting import note
from tests.support.running import Archive

pytestmark = [
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed"),
]

#: Explicit, JPEG baseline, JPEG 2000, RLE, deflated: dcmsend sends these as they are.
AS_THEY_ARE = (
    "CT_small.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG2000.dcm",
    "MR_small_RLE.dcm",
    "image_dfl.dcm",
)
#: Of what is not compressed it writes explicit little endian.
REWRITTEN = ("MR_small_implicit.dcm", "ExplVR_BigEnd.dcm")


def run(archive: Archive, program: str, *arguments: str, title: str = "CT_A") -> str:
    """Run a client that has to succeed; what it printed."""
    host, port = archive.doors.dicom
    calling = ["-v", "-aet", title, "-aec", "RECONCILE", host, str(port)]
    done = subprocess.run(
        [program, *calling, *arguments], capture_output=True, text=True, timeout=120
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def written(folder: Path, **attributes: object) -> tuple[pydicom.Dataset, str]:
    """An instance of P1, and the file that it is in."""
    image = instance(**attributes)
    path = folder / f"{image.SOPInstanceUID}.dcm"
    path.write_bytes(part10(image))
    return image, str(path)


def test_echoscu(archive: Archive) -> None:
    """C-ECHO is answered with success."""
    assert "Received Echo Response (Success)" in run(archive, "echoscu")


def test_storescu_is_told_of_coercion_and_goes_on(archive: Archive, tmp_path: Path) -> None:
    """B000 is a warning: all files are sent over one association, and all are coerced."""
    images = [written(tmp_path, InstanceNumber=number) for number in range(3)]
    said = run(archive, "storescu", *(path for _, path in images))
    assert said.count("CoercionOfDataElements") == len(images)
    for image, _ in images:
        assert archive.given_out(image.SOPInstanceUID).PatientID == "E1"


def test_storescu_again_changes_nothing(archive: Archive, tmp_path: Path) -> None:
    """The same files again: the same warning, and no further event."""
    image, path = written(tmp_path)
    for _ in range(2):
        assert "CoercionOfDataElements" in run(archive, "storescu", path)
    events = archive.items("/api/v1/coercions", instance=image.SOPInstanceUID)
    assert len(events) == 1


def test_what_storescu_rejects_findscu_does_not_find(
    archive: Archive, tmp_path: Path
) -> None:
    """A rejection note is sent like an image: what it names is gone for every client."""
    image, path = written(tmp_path)
    made = note("113037", [image])
    rejects = tmp_path / "note.dcm"
    rejects.write_bytes(part10(made))
    run(archive, "storescu", path, str(rejects))
    study = f"StudyInstanceUID={image.StudyInstanceUID}"
    keys = ["-k", "QueryRetrieveLevel=SERIES", "-k", study, "-k", "SeriesInstanceUID"]
    said = run(archive, "findscu", "-S", *keys)
    assert str(made.SeriesInstanceUID) in said
    assert str(image.SeriesInstanceUID) not in said


def test_dcmsend_sends_many_files_in_many_transfer_syntaxes(archive: Archive) -> None:
    """Each is kept in the transfer syntax that it came in, pixels untouched."""
    paths = [str(get_testdata_file(name)) for name in AS_THEY_ARE + REWRITTEN]
    run(archive, "dcmsend", "--decompress-never", *paths)
    for path in paths[len(AS_THEY_ARE) :]:
        archive.given_out(pydicom.dcmread(path).SOPInstanceUID)
    for path in paths[: len(AS_THEY_ARE)]:
        sent = pydicom.dcmread(path)
        given = archive.given_out(sent.SOPInstanceUID)
        assert given.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert given.PixelData == sent.PixelData


def test_dcmtk_reads_what_is_given_out(archive: Archive, tmp_path: Path) -> None:
    """A coerced instance is a file that another program reads whole."""
    image = with_meta(instance(PatientName="DOE^JANE"))
    archive.store(image)
    path = tmp_path / "given.dcm"
    archive.given_out(image.SOPInstanceUID).save_as(path)
    dumped = subprocess.run(["dcmdump", str(path)], capture_output=True, text=True)
    assert dumped.returncode == 0, dumped.stderr
    assert "[E1]" in dumped.stdout
    assert "OriginalAttributesSequence" in dumped.stdout
