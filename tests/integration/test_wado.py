"""WADO-RS, over a real server, by a client that is not ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from reconcile.core.order import RequestedProcedure
from reconcile.web.accept import NOT_FOR_THE_WEB
from tests.support.archive import http_door
from tests.support.database import Cluster
from tests.support.hospital import EMPI, JANE, RICHARD, Hospital
from tests.support.instances import instance, uid, with_meta
from tests.support.kept import locations, lose
from tests.support.multipart import parts_of
from tests.support.transcoded import NATIVE, transcoded

DICOM = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'
MULTIFRAME = "1.2.840.10008.5.1.4.1.1.7.3"
FRAMES = [bytes([10 * n + i for i in range(32)]) for n in range(1, 4)]
JPEG = b"\xff\xd8not quite a picture\xff\xd9"


class Filled(NamedTuple):
    """A study in each of some transfer syntaxes, of which its images are coerced."""

    hospital: Hospital
    client: httpx.Client
    images: dict[str, Dataset]

    @property
    def study(self) -> str:
        return str(next(iter(self.images.values())).StudyInstanceUID)

    def path(self, image: Dataset) -> str:
        return (
            f"/dicom-web/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
            f"/instances/{image.SOPInstanceUID}"
        )

    @property
    def reader(self) -> DICOMwebClient:
        return DICOMwebClient(f"{self.client.base_url}/dicom-web")

    def parts(self, path: str, accept: str = DICOM) -> list[tuple[str, bytes]]:
        answer = self.client.get(path, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        return list(parts_of(answer.headers["content-type"], answer.content))

    def status(self, path: str, accept: str = DICOM) -> int:
        return self.client.get(path, headers={"Accept": accept}).status_code


def multiframe(**attributes: Any) -> Dataset:
    return instance(
        **{
            "SOPClassUID": MULTIFRAME,
            "NumberOfFrames": 3,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelData": b"".join(FRAMES),
            **attributes,
        }
    )


def lossy(**attributes: Any) -> Dataset:
    image = instance(
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=encapsulate([JPEG]),
        **attributes,
    )
    image["PixelData"].is_undefined_length = True
    return with_meta(image, JPEGBaseline8Bit)


@pytest.fixture(scope="module")
def filled(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("instances")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        hospital.patient(JANE, "100^^^A", "E1^^^E")
        study = uid()
        images = {
            str(syntax): transcoded(
                multiframe(StudyInstanceUID=study, SeriesInstanceUID=uid()), syntax
            )
            for syntax in (*NATIVE, RLELossless)
        }
        for image in images.values():
            hospital.store(image)
        with http_door(hospital) as client:
            yield Filled(hospital, client, images)


def file_of(part: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(part))


def frames_of(dataset: Dataset) -> bytes:
    return bytes(dataset.pixel_array.astype("<u2").tobytes())


# -- Instances --------------------------------------------------------------------------


def test_a_study_and_its_series_are_retrieved(filled: Filled) -> None:
    """
    Every instance once, as it is given out; where no transfer syntax is named, what is
    not compressed is in Explicit VR Little Endian.
    """
    found = filled.reader.retrieve_study(filled.study)
    assert {each.SOPInstanceUID for each in found} == {
        each.SOPInstanceUID for each in filled.images.values()
    }
    for each in found:
        assert each.PatientID == "E1"
        assert frames_of(each) == b"".join(FRAMES)
        assert len(each.OriginalAttributesSequence) == 1
    for image in filled.images.values():
        [one] = filled.reader.retrieve_series(filled.study, image.SeriesInstanceUID)
        assert one.SOPInstanceUID == image.SOPInstanceUID
    heads = [head for head, _ in filled.parts(f"/dicom-web/studies/{filled.study}")]
    explicit = [f"transfer-syntax={ExplicitVRLittleEndian}\r" in head for head in heads]
    assert explicit.count(True) >= len(NATIVE)


@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_transfer_syntax_is_asked_for(filled: Filled, target: str) -> None:
    """
    Each native instance in it, its values the same; "*" is as it is stored, save what is
    not for the web.
    """
    for syntax in NATIVE:
        image = filled.images[syntax]
        stored = ExplicitVRLittleEndian if syntax in NOT_FOR_THE_WEB else syntax
        for wanted, expected in ((target, target), ("*", stored)):
            [(head, part)] = filled.parts(
                filled.path(image), f"{DICOM}; transfer-syntax={wanted}"
            )
            assert head == f"Content-Type: application/dicom; transfer-syntax={expected}"
            given = file_of(part)
            assert given.file_meta.TransferSyntaxUID == expected
            assert frames_of(given) == b"".join(FRAMES)
            assert given.PatientID == "E1"


def test_what_is_lossy_is_as_stored_or_not_at_all(filled: Filled) -> None:
    """
    As it is to whoever names no transfer syntax; 406 to whoever names another.
    """
    image = lossy()
    filled.hospital.store(image)
    path = filled.path(image)
    [(head, part)] = filled.parts(path)
    assert head.endswith(f"transfer-syntax={JPEGBaseline8Bit}")
    assert file_of(part).PixelData == image.PixelData
    assert filled.status(path, f"{DICOM}; transfer-syntax={JPEGBaseline8Bit}") == 200
    for wanted in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless):
        assert filled.status(path, f"{DICOM}; transfer-syntax={wanted}") == 406
    study = f"/dicom-web/studies/{image.StudyInstanceUID}"
    assert filled.status(study, f"{DICOM}; transfer-syntax={RLELossless}") == 406


def test_some_of_a_study_is_206(filled: Filled) -> None:
    """
    Those that can be given so, and how many cannot.
    """
    study = uid()
    native, other = (
        instance(StudyInstanceUID=study, SeriesInstanceUID=uid()),
        lossy(StudyInstanceUID=study, SeriesInstanceUID=uid()),
    )
    for image in (native, other):
        filled.hospital.store(image)
    answer = filled.client.get(
        f"/dicom-web/studies/{study}",
        headers={"Accept": f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"},
    )
    assert answer.status_code == 206
    assert "1 instances cannot be given" in answer.headers["warning"]
    [(_, part)] = parts_of(answer.headers["content-type"], answer.content)
    assert file_of(part).SOPInstanceUID == native.SOPInstanceUID
    assert len(filled.parts(f"/dicom-web/studies/{study}")) == 2


def test_what_is_lost_ends_the_answer_early(filled: Filled) -> None:
    """
    The others are sent; that one is missing cannot be taken for the end.
    """
    study, series = uid(), uid()
    images = [
        instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n)
        for n in (1, 2)
    ]
    for image in images:
        filled.hospital.store(image)
    came = filled.client.get(
        f"/api/v1/instances/{images[0].SOPInstanceUID}/receipts"
    ).json()
    digest = came["items"][0]["digest"]
    [place] = [e for e in locations(filled.hospital.storage) if e.digest == digest]
    lose(filled.hospital.storage, place)
    kept: list[bytes] = []
    with filled.client.stream("GET", f"/dicom-web/studies/{study}") as answer:
        assert answer.status_code == 200
        chunks = answer.iter_bytes()
        with pytest.raises(httpx.RemoteProtocolError):
            kept.extend(chunks)
    received = b"".join(kept)
    assert str(images[1].SOPInstanceUID).encode() in received
    assert not received.endswith(b"--\r\n")


@pytest.mark.parametrize("rest", ["", "/metadata"])
def test_what_is_not_here_is_404(filled: Filled, rest: str) -> None:
    """
    At every level, also where the parts do not belong together.
    """
    one, other = list(filled.images.values())[:2]
    study = f"/dicom-web/studies/{filled.study}"
    for path in (
        f"/dicom-web/studies/{uid()}",
        f"{study}/series/{uid()}",
        f"/dicom-web/studies/{uid()}/series/{one.SeriesInstanceUID}",
        f"{study}/series/{one.SeriesInstanceUID}/instances/{other.SOPInstanceUID}",
    ):
        assert filled.status(path + rest, "*/*") == 404, path


def test_the_parameter_stands_above_the_header(filled: Filled) -> None:
    """
    PS3.18 8.3.3.1: whoever cannot set a header says what is accepted in the address.
    """
    image = filled.images[ExplicitVRLittleEndian]
    answer = filled.client.get(filled.path(image), params={"accept": "application/dicom"})
    assert answer.headers["content-type"] == "application/dicom"


# -- Identity ---------------------------------------------------------------------------


def test_received_assigned_and_subsumed_are_the_same(filled: Filled) -> None:
    """
    Before and after an A40: both UIDs of a study, at every resource, the patient of today.
    """
    hospital = filled.hospital
    hospital.patient(RICHARD, "300^^^A", "E7^^^E")
    hospital.patient(RICHARD, "301^^^A", "E8^^^E")
    ordered = uid()
    hospital.order(
        RICHARD,
        "301^^^A",
        accession="WADO1",
        procedures=(RequestedProcedure("RP1", study_instance_uid=ordered),),
    )
    image = instance(
        PatientID="301",
        PatientName="ROE^RICHARD",
        PatientBirthDate="19750506",
        PatientSex="M",
        AccessionNumber="WADO1",
    )
    hospital.store(image)
    for patient in ("E8", "E7"):
        for study in (str(image.StudyInstanceUID), ordered):
            [whole] = filled.reader.retrieve_study(study)
            [same] = filled.reader.retrieve_series(study, image.SeriesInstanceUID)
            [said] = filled.reader.retrieve_study_metadata(study)
            assert whole == same
            assert (whole.PatientID, whole.StudyInstanceUID) == (patient, ordered)
            assert said["00100020"]["Value"] == [patient]
            assert said["0020000D"]["Value"] == [ordered]
            [frame] = filled.reader.retrieve_instance_frames(
                study, image.SeriesInstanceUID, image.SOPInstanceUID, [1]
            )
            assert frame == image.PixelData
        hospital.merge("300^^^A", "301^^^A", feed=EMPI)


# -- Metadata ---------------------------------------------------------------------------


def test_metadata_says_what_the_instance_says(filled: Filled) -> None:
    """
    All but pixel data, which is at the address that is given; the same in every syntax.
    """
    for syntax, image in filled.images.items():
        [said] = filled.client.get(
            f"{filled.path(image)}/metadata", headers={"Accept": "application/dicom+json"}
        ).json()
        address = said["7FE00010"]["BulkDataURI"]
        read = Dataset.from_json(said, bulk_data_uri_handler=lambda tag, vr, uri: b"")
        [(_, part)] = filled.parts(filled.path(image))
        given = file_of(part)
        del given.PixelData, read.PixelData
        assert read == given, syntax
        assert address.endswith(f"{filled.path(image)}/bulkdata/7FE00010")
        if syntax in NATIVE:
            [pixels] = filled.reader.retrieve_bulkdata(address)
            assert pixels == b"".join(FRAMES)


def test_metadata_of_many_is_one_list(filled: Filled) -> None:
    """
    Of a study and of a series, as a client reads it.
    """
    found = filled.reader.retrieve_study_metadata(filled.study)
    assert {each["00080018"]["Value"][0] for each in found} == {
        str(each.SOPInstanceUID) for each in filled.images.values()
    }
    image = filled.images[ImplicitVRLittleEndian]
    [one] = filled.reader.retrieve_series_metadata(filled.study, image.SeriesInstanceUID)
    assert one["00080018"]["Value"] == [image.SOPInstanceUID]
    xml = 'multipart/related; type="application/dicom+xml"'
    assert filled.status(f"/dicom-web/studies/{filled.study}/metadata", xml) == 406


def test_bulk_data_in_an_item_has_an_address(filled: Filled) -> None:
    """
    By its place; what is not there, or no place, is not found.
    """
    wave = Dataset()
    wave.WaveformBitsAllocated = 8
    wave.add_new(0x54001010, "OB", bytes(range(256)) * 8)
    image = instance(PixelData=None)
    image.WaveformSequence = [Dataset(), wave]
    image.TextValue = "x" * 70_000
    filled.hospital.store(image)
    [said] = filled.client.get(f"{filled.path(image)}/metadata").json()
    address = said["54000100"]["Value"][1]["54001010"]["BulkDataURI"]
    assert filled.reader.retrieve_bulkdata(address) == [bytes(range(256)) * 8]
    [text] = filled.reader.retrieve_bulkdata(said["0040A160"]["BulkDataURI"])
    assert text == b"x" * 70_000
    for place in (
        "54000100/3/54001010",
        "54000100/1/54001010",
        "54000101",
        "00100010/1/00100020",
    ):
        assert filled.status(f"{filled.path(image)}/bulkdata/{place}", "*/*") == 404, place
    for wrong in ("pixels", "54000100/1", "../../../etc"):
        assert filled.status(f"{filled.path(image)}/bulkdata/{wrong}", "*/*") in (400, 404)


# -- Frames -----------------------------------------------------------------------------


def test_frames_are_those_of_the_instance(filled: Filled) -> None:
    """
    In the order that is asked for; native ones in little endian, however they are stored.
    """
    for syntax in NATIVE:
        image = filled.images[syntax]
        place = (image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID)
        found = filled.reader.retrieve_instance_frames(*place, [3, 1, 1])
        assert found == [FRAMES[2], FRAMES[0], FRAMES[0]]
        path = f"{filled.path(image)}/frames/2"
        for accept in ("*/*", OCTETS, f"{OCTETS}; transfer-syntax=*"):
            [(head, frame)] = filled.parts(path, accept)
            kind = f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
            assert head == f"Content-Type: {kind}"
            assert frame == FRAMES[1]


def test_a_compressed_frame_is_sent_as_it_is(filled: Filled) -> None:
    """
    Under its media type, or as octets to whoever takes any transfer syntax.
    """
    image = lossy()
    filled.hospital.store(image)
    path = f"{filled.path(image)}/frames/1"
    for accept, kind in (
        ("*/*", "image/jpeg"),
        ('multipart/related; type="image/jpeg"', "image/jpeg"),
        ('multipart/related; type="image/*"; transfer-syntax=*', "image/jpeg"),
        (f"{OCTETS}; transfer-syntax=*", "application/octet-stream"),
    ):
        [(head, frame)] = filled.parts(path, accept)
        assert head == f"Content-Type: {kind}; transfer-syntax={JPEGBaseline8Bit}"
        assert frame.rstrip(b"\0") == JPEG
    for accept in (OCTETS, 'multipart/related; type="image/jls"', "application/json"):
        assert filled.status(path, accept) == 406
    [whole] = filled.parts(f"{filled.path(image)}/bulkdata/7FE00010", "*/*")
    assert whole[1].rstrip(b"\0") == JPEG


def test_a_frame_that_is_not_there_is_404(filled: Filled) -> None:
    """
    0, one too many, and those of what has no pixel data; what is no list is 400.
    """
    image = filled.images[ImplicitVRLittleEndian]
    for numbers in ("0", "4", "1,4"):
        assert filled.status(f"{filled.path(image)}/frames/{numbers}", "*/*") == 404
    for wrong in ("one", "1,", "1-2"):
        assert filled.status(f"{filled.path(image)}/frames/{wrong}", "*/*") == 400
    blind = instance(PixelData=None)
    short = instance(PixelData=bytes(30))
    for each in (blind, short):
        filled.hospital.store(each)
        assert filled.status(f"{filled.path(each)}/frames/1", "*/*") == 404


def test_who_goes_away_closes_the_file(filled: Filled) -> None:
    """
    No file of the archive stays open, and none is left in the spool.
    """

    def open_files() -> int:
        root = str(filled.hospital.storage.root)
        names = []
        for each in os.listdir("/proc/self/fd"):
            try:
                names.append(os.readlink(f"/proc/self/fd/{each}"))
            except OSError:
                continue
        return sum(name.startswith(root) and "/segments/" not in name for name in names)

    image = multiframe(Rows=1024, Columns=1024, PixelData=bytes(3 * 2 << 20))
    image = transcoded(image, ExplicitVRBigEndian)
    filled.hospital.store(image)
    before = open_files()
    for rest in ("", "/frames/1,2,3"):
        with filled.client.stream("GET", filled.path(image) + rest) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw(1024))
    ends = time.monotonic() + 20
    while open_files() > before:
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert filled.hospital.storage.spooled() == []
