"""dicomweb-client against the running archive."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from tests.support.instances import instance, uid
from tests.support.messages import Ordered, adt, joined, orm
from tests.support.running import Archive, code
from tests.support.transcoded import transcoded

SOURCE = {"source": "CT_A"}


@pytest.fixture
def client(archive: Archive) -> DICOMwebClient:
    return DICOMwebClient("http://{}:{}/dicom-web".format(*archive.doors.http))


def series(number: int = 3, **attributes: Any) -> list[Dataset]:
    same = {"StudyInstanceUID": uid(), "SeriesInstanceUID": uid(), **attributes}
    return [
        instance(InstanceNumber=n, PixelData=bytes([n] * 32), **same)
        for n in range(1, number + 1)
    ]


def by_uid(datasets: list[Dataset]) -> dict[str, Dataset]:
    return {str(each.SOPInstanceUID): each for each in datasets}


def without_bulk(said: list[dict[str, Any]]) -> dict[str, Dataset]:
    read = [
        Dataset.from_json(each, bulk_data_uri_handler=lambda tag, vr, uri: b"")
        for each in said
    ]
    for each in read:
        del each.PixelData
    return by_uid(read)


def test_an_instance_is_retrieved_as_it_is_given_out(
    archive: Archive, client: DICOMwebClient
) -> None:
    """By the UIDs that its sender knows, and by those that it was assigned."""
    ordered = uid()
    procedure = Ordered(study_uid=ordered)
    archive.send(orm("100^^^A", "DOE^JANE", "19800102", "F", procedure, accession="WEB1"))
    image = instance(AccessionNumber="WEB1")
    archive.store(image)
    found = [
        client.retrieve_instance(study, image.SeriesInstanceUID, image.SOPInstanceUID)
        for study in (image.StudyInstanceUID, ordered)
    ]
    assert found[0] == found[1]
    assert (found[0].PatientID, found[0].StudyInstanceUID) == ("E1", ordered)
    [kept] = found[0].OriginalAttributesSequence
    [previous] = kept.ModifiedAttributesSequence
    assert previous.PatientID == "100"
    assert previous.StudyInstanceUID == image.StudyInstanceUID
    assert found[0].PixelData == image.PixelData


def test_what_is_stored_is_what_a_scanner_would_have_stored(
    archive: Archive, client: DICOMwebClient
) -> None:
    """Coerced and told so; at every resource as the API gives it out."""
    images = series()
    told = client.store_instances(images, additional_params=SOURCE)
    assert [each.ReferencedSOPInstanceUID for each in told.ReferencedSOPSequence] == [
        each.SOPInstanceUID for each in images
    ]
    for each in told.ReferencedSOPSequence:
        assert each.WarningReason == 0xB000
        [item] = each.OriginalAttributesSequence
        assert item.ModifiedAttributesSequence[0].PatientID == "100"
    study, of = str(images[0].StudyInstanceUID), str(images[0].SeriesInstanceUID)
    expected = {sop: archive.given_out(sop) for sop in by_uid(images)}
    assert {each.PatientID for each in expected.values()} == {"E1"}
    assert by_uid(client.retrieve_study(study)) == expected
    assert by_uid(client.retrieve_series(study, of)) == expected
    for image in images:
        sop = str(image.SOPInstanceUID)
        assert client.retrieve_instance(study, of, sop) == expected[sop]
        assert client.retrieve_instance_frames(study, of, sop, [1]) == [image.PixelData]
        said = client.retrieve_instance_metadata(study, of, sop)
        address = said["7FE00010"]["BulkDataURI"]
        # its Host header leaves the port out, and so does the address that it is told
        _, path = address.split("/dicom-web/")
        pixels = client.retrieve_bulkdata(f"{client.base_url}/{path}")
        assert pixels == [image.PixelData]
        scu = archive.received(sop)
        assert scu == image
    for each in expected.values():
        del each.PixelData
    assert without_bulk(client.retrieve_study_metadata(study)) == expected
    assert without_bulk(client.retrieve_series_metadata(study, of)) == expected


def test_a_study_of_its_own_takes_no_other(client: DICOMwebClient) -> None:
    """409 where none is stored; the others where some are."""
    mine, other = instance(), instance()
    with pytest.raises(requests.HTTPError) as error:
        client.store_instances([other], str(mine.StudyInstanceUID), SOURCE)
    assert error.value.response is not None
    assert error.value.response.status_code == 409
    told = client.store_instances([mine, other], str(mine.StudyInstanceUID), SOURCE)
    assert [each.FailureReason for each in told.FailedSOPSequence] == [0xA902]
    assert len(told.ReferencedSOPSequence) == 1


def test_every_identity_finds_the_same(archive: Archive, client: DICOMwebClient) -> None:
    """Received and assigned, through every resource; after an A40 under the survivor."""
    person = "WEB^MERGED", "19610203", "F"
    for identifiers in ("771^^^A~E771^^^E", "772^^^A~E772^^^E"):
        assert code(archive.send(adt("A28", identifiers, *person))) == "AA"
    ordered = uid()
    procedure = Ordered(study_uid=ordered)
    archive.send(orm("772^^^A", *person, procedure, accession="WEB2"))
    images = series(
        PatientID="772",
        PatientName=person[0],
        PatientBirthDate=person[1],
        PatientSex=person[2],
        AccessionNumber="WEB2",
    )
    client.store_instances(images, additional_params=SOURCE)
    received, of = str(images[0].StudyInstanceUID), str(images[0].SeriesInstanceUID)
    for patient in ("E772", "E771"):
        found = [by_uid(client.retrieve_study(study)) for study in (received, ordered)]
        found += [
            by_uid(client.retrieve_series(study, of)) for study in (received, ordered)
        ]
        assert all(each == found[0] for each in found)
        assert set(found[0]) == set(by_uid(images))
        assert {each.PatientID for each in found[0].values()} == {patient}
        assert {each.StudyInstanceUID for each in found[0].values()} == {ordered}
        for study in (received, ordered):
            said = client.retrieve_study_metadata(study)
            assert {each["00100020"]["Value"][0] for each in said} == {patient}
        merge = joined("A40", "771^^^A", "772^^^A")
        assert code(archive.send(merge)) == "AA"


def test_compression_without_loss_is_undone(
    archive: Archive, client: DICOMwebClient
) -> None:
    """By a process of the running archive, for whoever does not take what is stored."""
    native = instance(BitsStored=16, HighBit=15)
    image = transcoded(native, RLELossless)
    client.store_instances([image], additional_params=SOURCE)
    place = (image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID)
    assert client.retrieve_instance(*place).PixelData == image.PixelData
    plain = (("application/dicom", "1.2.840.10008.1.2.1"),)
    found = client.retrieve_instance(*place, media_types=plain)
    assert found.PixelData == native.PixelData
    octets = (("application/octet-stream", "1.2.840.10008.1.2.1"),)
    frames = client.retrieve_instance_frames(*place, [1], media_types=octets)
    assert frames == [native.PixelData]
    assert len(archive.workers("web")) == 1


def test_what_is_not_here_is_not_found(client: DICOMwebClient) -> None:
    """404, as the standard has it."""
    with pytest.raises(requests.HTTPError) as error:
        client.retrieve_instance(uid(), uid(), uid())
    assert error.value.response is not None
    assert error.value.response.status_code == 404
