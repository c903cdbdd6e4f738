"""dicomweb-client against the running archive."""

from __future__ import annotations

import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests.support.instances import instance, uid
from tests.support.messages import Ordered, orm
from tests.support.running import Archive


@pytest.fixture
def client(archive: Archive) -> DICOMwebClient:
    return DICOMwebClient("http://{}:{}/dicom-web".format(*archive.doors.http))


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


def test_what_is_not_here_is_not_found(client: DICOMwebClient) -> None:
    """404, as the standard has it."""
    with pytest.raises(requests.HTTPError) as error:
        client.retrieve_instance(uid(), uid(), uid())
    assert error.value.response is not None
    assert error.value.response.status_code == 404
