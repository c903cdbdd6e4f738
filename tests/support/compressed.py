"""Instances compressed without loss, by GDCM and pydicom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.instances import part10
from tests.support.transcoded import transcoded

_NAMES = {
    str(JPEGLossless): "JPEGLosslessProcess14",
    str(JPEGLosslessSV1): "JPEGLosslessProcess14_1",
    str(JPEGLSLossless): "JPEGLSLossless",
    str(JPEG2000Lossless): "JPEG2000Lossless",
}
LOSSLESS = (str(RLELossless), *_NAMES)

# In a process of its own: it corrupts the memory of the one that it is in now and then.
_COMPRESS = """
import gdcm, sys
came, went, kind = sys.argv[1:]
reader = gdcm.ImageReader()
reader.SetFileName(came)
assert reader.Read()
change = gdcm.ImageChangeTransferSyntax()
change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
change.SetInput(reader.GetImage())
assert change.Change()
writer = gdcm.ImageWriter()
writer.SetFileName(went)
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write()
"""


def compressed(dataset: Dataset, syntax: str, folder: Path) -> Dataset:
    """A native instance in one of `LOSSLESS`."""
    if syntax == RLELossless:
        return transcoded(dataset, syntax)
    came, went = folder / "native.dcm", folder / "compressed.dcm"
    came.write_bytes(part10(dataset))
    command = [sys.executable, "-c", _COMPRESS, str(came), str(went), _NAMES[syntax]]
    subprocess.run(command, check=True, timeout=60)
    found: Dataset = pydicom.dcmread(went)
    assert found.file_meta.TransferSyntaxUID == syntax
    for path in (came, went):
        path.unlink()
    return found
