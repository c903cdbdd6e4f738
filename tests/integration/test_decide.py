"""The engine behind another archive: a header in, what is to be done to it out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset

from reconcile.core.order import RequestedProcedure
from reconcile.db.embedded import Urls
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.given import disagreements, given
from tests.support.hospital import JANE, RICHARD, Hospital, source_of
from tests.support.instances import instance, uid

URL = "/api/v1/decide"
CT = {"source": "CT_A"}


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    ordered = RequestedProcedure("RP1", study_instance_uid=uid())
    hospital.order(JANE, "100^^^A", "E1^^^E", accession="ACC1", procedures=(ordered,))
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    assert disagreements(hospital) == []
    hospital.database.close()


@pytest.fixture
def client(hospital: Hospital) -> Iterator[httpx.Client]:
    parts = Parts(
        hospital.database,
        hospital.storage,
        hospital.rules,
        require_keys=False,
        listed=lambda title: source_of(title) if title == "CT_A" else None,
    )
    with open_door(parts) as found:
        yield found


def header(dataset: Dataset) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(
        dataset.to_json(bulk_data_element_handler=lambda _: "")
    )
    said.pop("7FE00010", None)
    return said


def applied(dataset: Dataset, decided: dict[str, Any]) -> Dataset:
    """What another archive makes of its own copy."""
    for tag in decided["remove"]:
        del dataset[int(tag, 16)]
    for tag, element in decided["replace"].items():
        one = Dataset.from_json({tag: element})
        dataset[int(tag, 16)] = one[int(tag, 16)]
    items = [Dataset.from_json(item) for item in decided["original_attributes"]]
    dataset.OriginalAttributesSequence = items
    return dataset


def test_what_is_decided_is_what_this_archive_would_give_out(
    hospital: Hospital, client: httpx.Client
) -> None:
    """Applied by somebody else it is the same; the Study UID is mapped once for both."""
    first, second = (
        instance(AccessionNumber="ACC1", StudyInstanceUID="1.2.3.99") for _ in range(2)
    )
    answers = [client.post(URL, params=CT, json=header(each)) for each in (first, second)]
    assert [each.status_code for each in answers] == [200, 200], answers[0].text
    one, two = (each.json() for each in answers)
    assert (one["status"], one["held"], one["already"]) == (0xB000, "", False)
    assert one["replace"]["00100020"]["Value"] == ["E1"]
    assert one["replace"]["0020000D"] == two["replace"]["0020000D"]
    for dataset, decided in ((first, one), (second, two)):
        here = given(hospital, dataset.SOPInstanceUID)
        there = applied(dataset, decided)
        for element in here:
            if element.keyword != "SpecificCharacterSet":
                assert there[element.tag] == element, element.keyword
    asked = client.get(f"/api/v1/coercions/{one['events'][0]}").json()
    assert asked["cause"] == "decide"
    again = client.post(URL, params=CT, json=header(second)).json()
    assert again["already"] is False or again["events"] == two["events"]


def test_a_later_correction_is_told_when_it_is_asked_again(
    hospital: Hospital, client: httpx.Client
) -> None:
    """After a merge the same header is answered as of now; each event has its item."""
    image = instance()
    said = header(image)
    before = client.post(URL, params=CT, json=said).json()
    assert before["replace"]["00100020"]["Value"] == ["E1"]
    hospital.merge("200^^^A", "100^^^A")
    after = client.post(URL, params=CT, json=said).json()
    assert after["already"] is True
    assert after["replace"]["00100020"]["Value"] == ["E2"]
    assert len(after["original_attributes"]) == 2
    assert after["events"][0] == before["events"][0]


def test_what_is_held_is_told(client: httpx.Client) -> None:
    """With the code, and the ID under which it is to stand meanwhile."""
    other = instance(PatientName="OTHER^BODY", PatientBirthDate="20010101")
    decided = client.post(URL, params=CT, json=header(other)).json()
    assert decided["held"] == "DEMOGRAPHIC-CONFLICT"
    assert decided["replace"]["00100021"]["Value"] == ["H"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"00080018": {"vr": "UI", "Value": ["1.2"]}},
        {"PatientID": {"vr": "LO", "Value": ["1"]}},
        {"00080016": {"vr": "UI", "Value": ["1.2"]}, "00080018": 7},
    ],
)
def test_what_is_no_header_is_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    """With 400, and nothing is recorded."""
    done = client.post(URL, params=CT, json=wrong)
    assert done.status_code == 400, done.text
    assert done.headers["content-type"] == "application/problem+json"
    assert client.post(URL, params={"source": "NOBODY"}, json=wrong).status_code == 400
