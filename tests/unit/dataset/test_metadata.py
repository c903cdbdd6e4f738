"""Data sets as JSON with bulk data by address."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from reconcile.dataset.facts import Received, read
from reconcile.dataset.metadata import BYTES_MAX, find, write_metadata
from reconcile.errors import NotFound
from tests.support.instances import data_offset, instance, part10
from tests.support.transcoded import NATIVE, transcoded

BULK = "http://archive/bulkdata"


def received(dataset: Dataset) -> Received:
    file = part10(dataset)
    return read(file[data_offset(file) :], str(dataset.file_meta.TransferSyntaxUID))


def said(state: Received) -> dict[str, Any]:
    file = io.BytesIO()
    write_metadata(state, BULK, file)
    found: dict[str, Any] = json.loads(file.getvalue())
    assert list(found) == sorted(found)
    return found


def rich() -> Dataset:
    inner = Dataset()
    inner.TextValue = "nested"
    inner.add_new(0x54001010, "OW", bytes(BYTES_MAX + 2))
    outer = Dataset()
    outer.WaveformSequence = [inner, Dataset()]
    image = instance(SpecificCharacterSet="ISO_IR 100", PatientName="Äpfel^Öl")
    image.ContentSequence = [outer]
    image.RequestAttributesSequence = []
    image.FrameIncrementPointer = [0x00181063]
    return image


@pytest.mark.parametrize("syntax", [s for s in NATIVE if not s.is_deflated])
def test_it_is_what_pydicom_says(syntax: str) -> None:
    """
    In every way of writing; text is in UTF-8, so that its character set is said to be.
    """
    image = transcoded(rich(), syntax)
    image.PatientName = "Äpfel^Öl"
    found = said(received(image))
    assert found.pop("00080005") == {"vr": "CS", "Value": ["ISO_IR 192"]}
    pixels = found.pop("7FE00010")
    assert pixels["BulkDataURI"] == f"{BULK}/7FE00010"
    place = f"{BULK}/0040A730/1/54000100/1/54001010"
    expected = image.to_json_dict()
    for tag in ("7FE00010", "00080005"):
        expected.pop(tag)
    [content] = found["0040A730"]["Value"]
    assert content["54000100"]["Value"][0].pop("54001010")["BulkDataURI"] == place
    [expected_content] = expected["0040A730"]["Value"]
    expected_content["54000100"]["Value"][0].pop("54001010")
    assert Dataset.from_json(found) == Dataset.from_json(expected)


def test_short_bytes_are_said_long_ones_have_an_address() -> None:
    """
    Text that no address may stand for is said whatever its length.
    """
    image = instance()
    image.add_new(0x00091010, "OB", bytes(BYTES_MAX))
    image.add_new(0x00091011, "OB", bytes(BYTES_MAX + 2))
    image.TextValue = "x" * 70_000
    image.ImageComments = "x" * 9000
    found = said(received(image))
    assert "InlineBinary" in found["00091010"]
    assert found["00091011"] == {"vr": "OB", "BulkDataURI": f"{BULK}/00091011"}
    assert "BulkDataURI" in found["0040A160"]
    assert found["00204000"]["Value"] == ["x" * 9000]


def test_what_cannot_be_understood_harms_none_beside_it() -> None:
    """
    A sequence that is broken inside is bytes with an address.
    """
    image = instance()
    image.add_new(0x00091010, "OB", b"\xfe\xff\x00\xe0\x10\0\0\0" + bytes(8))
    file = part10(image)
    start = data_offset(file)
    broken = file[start:].replace(b"\x09\x00\x10\x10OB", b"\x09\x00\x10\x10SQ")
    found = said(read(broken, "1.2.840.10008.1.2.1"))
    assert found["00091010"] == {"vr": "UN", "BulkDataURI": f"{BULK}/00091010"}
    assert found["00100020"]["Value"] == ["100"]


def test_an_element_is_found_by_its_place() -> None:
    """
    And nothing else is.
    """
    state = received(rich())
    raw, _ = find(state, "0040A730/1/54000100/1/0040A160")
    assert bytes(raw.value) == b"nested"
    assert bytes(find(state, "7FE00010")[0].value) == bytes(range(32))
    for place in (
        "",
        "7FE0",
        "00091010",
        "0040A730/2/54000100",
        "0040A730/0/54000100",
        "0040A730/1/54000100/2/0040A160",
        "00100020/1/00100020",
        "0040A730/1",
        "../7FE00010",
    ):
        with pytest.raises(NotFound):
            find(state, place)


def test_numbers_are_read_in_their_byte_order() -> None:
    """
    Also in big endian.
    """
    image = transcoded(instance(Rows=258), ExplicitVRBigEndian)
    assert said(received(image))["00280010"]["Value"] == [258]
