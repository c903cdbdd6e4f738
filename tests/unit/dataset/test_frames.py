"""Where each frame of pixel data is, native and compressed."""

from __future__ import annotations

import struct
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000Lossless

from reconcile.dataset.facts import read
from reconcile.dataset.frames import Frames, frames_of
from reconcile.errors import NotFound
from tests.support.instances import data_offset, instance, part10, with_meta

ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
PICTURES = [b"\xff\xd8" + bytes([n]) * 11 * n + b"\xff\xd9" for n in (1, 2, 3)]


def read_frames(dataset: Dataset) -> Frames:
    file = part10(dataset)
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    return frames_of(read(file[data_offset(file) :], syntax))


def whole(frames: Frames) -> list[bytes]:
    return [b"".join(frames.frame(n)) for n in range(1, len(frames) + 1)]


def compressed(pixels: bytes, frames: int = 3, **attributes: Any) -> Dataset:
    image = instance(PixelData=pixels, NumberOfFrames=frames, **attributes)
    image["PixelData"].is_undefined_length = True
    return with_meta(image, JPEG2000Lossless)


def items(*contents: bytes) -> bytes:
    padded = (each + b"\0" * (len(each) % 2) for each in contents)
    return b"".join(ITEM + len(each).to_bytes(4, "little") + each for each in padded)


def without_padding(frames: list[bytes]) -> list[bytes]:
    return [each.rstrip(b"\0") for each in frames]


def test_native_frames_are_slices() -> None:
    """
    Of rows, columns, samples and bits; one that the data does not reach is not there.
    """
    image = instance(NumberOfFrames=3, PixelData=bytes(range(64)))
    frames = read_frames(image)
    assert [b"".join(frames.frame(n)) for n in (1, 2)] == [
        bytes(range(32)),
        bytes(range(32, 64)),
    ]
    for number in (0, 3, 4):
        with pytest.raises(NotFound):
            frames.frame(number)


def test_bits_are_packed_again() -> None:
    """
    Segmentations have one bit for a pixel and no padding between frames.
    """
    image = instance(
        Rows=3, Columns=3, BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=4
    )
    bits = [n % 3 == 0 or n > 20 for n in range(36)]
    image.PixelData = bytes(
        sum(bits[8 * i + j] << j for j in range(min(8, 36 - 8 * i))) for i in range(5)
    )
    for number, frame in enumerate(whole(read_frames(image))):
        found = [frame[i // 8] >> i % 8 & 1 for i in range(9)]
        assert found == bits[9 * number : 9 * number + 9]


def test_subsampled_chrominance_takes_two_samples() -> None:
    """
    YBR_FULL_422 (PS3.3 C.7.6.3.1.2).
    """
    image = instance(
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="YBR_FULL_422",
        BitsAllocated=8,
        NumberOfFrames=2,
        PixelData=bytes(range(64)),
    )
    assert [len(each) for each in whole(read_frames(image))] == [32, 32]


@pytest.mark.parametrize("has_table", [True, False])
def test_one_fragment_for_each_frame(has_table: bool) -> None:
    """
    With a Basic Offset Table and without.
    """
    image = compressed(encapsulate(PICTURES, has_bot=has_table))
    assert without_padding(whole(read_frames(image))) == PICTURES


def test_frames_in_many_fragments() -> None:
    """
    By the table; without one by the marker that ends a picture; one frame has them all.
    """
    for has_table in (True, False):
        pixels = encapsulate(PICTURES, fragments_per_frame=2, has_bot=has_table)
        assert without_padding(whole(read_frames(compressed(pixels)))) == PICTURES
    pixels = encapsulate(PICTURES[2:], fragments_per_frame=3, has_bot=False)
    assert without_padding(whole(read_frames(compressed(pixels, 1)))) == PICTURES[2:]


def test_an_extended_offset_table_is_followed() -> None:
    """
    (7FE0,0001), of 64 bits.
    """
    pixels, offsets, lengths = encapsulate_extended(PICTURES)
    image = compressed(
        pixels, ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths
    )
    assert without_padding(whole(read_frames(image))) == PICTURES


@pytest.mark.parametrize(
    "table",
    [
        struct.pack("<3I", 0, 1, 2),
        struct.pack("<3I", 8, 16, 24),
        struct.pack("<3I", 0, 0xFFFFFFFF, 0),
        struct.pack("<3I", 0, 0, 0),
        b"\0\0",
    ],
)
def test_a_table_that_lies_is_not_believed(table: bytes) -> None:
    """
    Fragments are counted then.
    """
    image = compressed(items(table, *PICTURES))
    assert without_padding(whole(read_frames(image))) == PICTURES


def test_where_frames_end_is_not_guessed() -> None:
    """
    Two frames in three fragments that end nowhere.
    """
    for pixels, number in (
        (items(b"", b"aa", b"bb", b"cc"), 2),
        (items(b"", b"aa")[:-1] + ITEM, 2),
        (items(b""), 1),
    ):
        with pytest.raises(NotFound):
            read_frames(compressed(pixels, number))


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_rle_2frame.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
        "MR_small_RLE.dcm",
        "rtdose_rle.dcm",
        "JPEG2000-embedded-sequence-delimiter.dcm",
    ],
)
def test_frames_are_those_that_pydicom_finds(name: str) -> None:
    """
    In files that others made.
    """
    path = str(get_testdata_file(name))
    dataset = pydicom.dcmread(path)
    number = int(dataset.get("NumberOfFrames", 1))
    with open(path, "rb") as file:
        content = file.read()
    start = data_offset(content)
    found = read(content[start:], str(dataset.file_meta.TransferSyntaxUID))
    assert whole(frames_of(found)) == list(
        generate_frames(dataset.PixelData, number_of_frames=number)
    )
