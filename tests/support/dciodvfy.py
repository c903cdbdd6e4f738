"""The checker of IODs of dicom3tools: what it finds wrong with an instance.

What it says about UIDs is compared without them: they are what changes. The releases in
use know the standard as of 2022; of later classes they say nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from collections import Counter
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from tests.support.instances import data_offset, uid

IS_INSTALLED = shutil.which("dciodvfy") is not None
_UNKNOWN = "Information Object Not found"
_UID = re.compile(r"\d+(?:\.\d+){3,}")
# Transfer Syntax UID (0002,0010), explicit VR, with its length.
_SYNTAX = b"\x02\x00\x10\x00UI"
_DEFLATED, _PLAIN = DeflatedExplicitVRLittleEndian.encode(), ExplicitVRLittleEndian.encode()


def errors(file: bytes, folder: Path) -> Counter[str] | None:
    """The errors in a file, each as often as it is there; None: the class is unknown.

    `folder` is one to write in.
    """
    path = folder / f"{uid()}.dcm"
    path.write_bytes(_inflated(file))
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60)
    path.unlink()
    said = (done.stdout + done.stderr).decode("latin-1").splitlines()
    found = Counter(_UID.sub("UID", line) for line in said if line.startswith("Error"))
    return None if any(_UNKNOWN in line for line in found) else found


def _inflated(file: bytes) -> bytes:
    """A deflated file as one that it can read: the same data set, explicit VR."""
    at = data_offset(file)
    meta = file[:at]
    if _field(_DEFLATED) not in meta:
        return file
    shorter = len(_field(_DEFLATED)) - len(_field(_PLAIN))
    meta = meta.replace(_field(_DEFLATED), _field(_PLAIN))
    length = (at - 144 - shorter).to_bytes(4, "little")
    data = zlib.decompress(file[at:], -zlib.MAX_WBITS)
    return meta[:140] + length + meta[144:] + data


def _field(uid: bytes) -> bytes:
    padded = uid + b"\0" * (len(uid) % 2)
    return _SYNTAX + len(padded).to_bytes(2, "little") + padded
