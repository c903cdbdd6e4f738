"""Files around data sets."""

from __future__ import annotations

import io

import pytest
from pydicom import dcmread

from reconcile.dataset.part10 import file_meta, split
from reconcile.errors import CannotUnderstand
from tests.unit.dataset.made import BIG_ENDIAN, CT, EXPLICIT, IMPLICIT, MINIMAL, data_set


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_a_file_that_we_make_is_one(syntax: str) -> None:
    """To pydicom, and to ourselves; its preamble is zeros."""
    held = data_set(MINIMAL, syntax)
    whole = file_meta(CT, "1.2.3", syntax, "CT_A") + held
    theirs = dcmread(io.BytesIO(whole))
    assert whole[:128] == bytes(128)
    assert theirs.file_meta.MediaStorageSOPClassUID == CT
    assert theirs.file_meta.SourceApplicationEntityTitle == "CT_A"
    assert theirs.file_meta.ImplementationVersionName == "RECONCILE_0_1"
    assert theirs.PatientName == "Doe^Jane"
    ours = split(whole)
    assert ours.transfer_syntax == syntax
    assert whole[ours.data_set_offset :] == held
    assert ours.meta + held == whole


def test_the_group_length_is_right() -> None:
    """It counts what follows it (PS3.10 section 7.1)."""
    meta = file_meta(CT, "1.2.3", EXPLICIT)
    assert int.from_bytes(meta[140:144], "little") == len(meta) - 144


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_a_bare_data_set_is_guessed(syntax: str) -> None:
    """By its first element, as pydicom does."""
    held = data_set(MINIMAL, syntax)
    assert split(held) == (syntax, b"", 0)


def test_a_missing_preamble_does_not_matter() -> None:
    """Meta information may begin at once."""
    whole = file_meta(CT, "1.2.3", IMPLICIT)[132:] + data_set(MINIMAL, IMPLICIT)
    found = split(whole)
    assert found.transfer_syntax == IMPLICIT
    assert whole[found.data_set_offset :] == data_set(MINIMAL, IMPLICIT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not DICOM at all, but long enough to have a tag" * 5,
        bytes(200),
        b"\x08\0\x05\0",
        file_meta(CT, "1.2.3", EXPLICIT),
        file_meta(CT, "1.2.3", EXPLICIT)[:200],
        bytes(128) + b"DICM" + b"\2\0\1\0OB\0\0\xff\xff\xff\xff" + bytes(100),
        bytes(128) + b"DICM" + b"\2\0\1\0OB\0\0\xf0\xff\xff\xff" + bytes(100),
    ],
)
def test_what_is_no_file_is_refused(data: bytes) -> None:
    """Cut off, endless, or something else."""
    with pytest.raises(CannotUnderstand):
        split(data)
