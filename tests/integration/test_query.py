"""Questions about studies: asked by any identifier, answered as a retrieve would show."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select, update

from reconcile.core.facts import Source
from reconcile.core.identity import Demographics, PersonName
from reconcile.core.order import RequestedProcedure
from reconcile.db import tables as t
from reconcile.db import views_found, views_query
from reconcile.db.database import Connection
from reconcile.db.embedded import Urls
from tests.support.archive import http_door
from tests.support.hospital import (
    ANNA,
    EMPI,
    JANE,
    MR_B,
    Hospital,
)
from tests.support.instances import instance, uid


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Hospital:
    made = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    made.patient(JANE, "100^^^A", "E1^^^E")
    made.patient(ANNA, "100^^^B", "E3^^^E", feed=EMPI)
    return made


@pytest.fixture
def http(hospital: Hospital) -> Iterator[httpx.Client]:
    with http_door(hospital) as client:
        yield client


def studies(http: httpx.Client, path: str = "/dicom-web/studies", **keys: Any) -> list[Any]:
    """Answers, each as {keyword: value}."""
    answer = http.get(path, params=keys).raise_for_status()
    if answer.status_code == 204:
        return []
    found: list[Any] = [Dataset.from_json(each) for each in answer.json()]
    return found


def one(http: httpx.Client, **keys: Any) -> Dataset:
    found: Dataset
    [found] = studies(http, **keys)
    return found


def retrieved(http: httpx.Client, image: Dataset) -> Dataset:
    path = f"/api/v1/instances/{image.SOPInstanceUID}/file"
    found: Dataset = pydicom.dcmread(BytesIO(http.get(path).raise_for_status().content))
    return found


SAME = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def assert_as_retrieved(http: httpx.Client, image: Dataset) -> Dataset:
    """What is answered of a study is what a retrieve shows."""
    found, given = (
        one(http, StudyInstanceUID=image.StudyInstanceUID),
        retrieved(http, image),
    )
    assert {k: str(found.get(k) or "") for k in SAME} == {
        k: str(given.get(k) or "") for k in SAME
    }
    return found


def test_an_answer_is_what_a_retrieve_shows(hospital: Hospital, http: httpx.Client) -> None:
    """Verified, provisional, held; with an order and without one."""
    ordered = uid()
    procedure = RequestedProcedure("RP1", ordered, "CT THORAX")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    with_order = instance(AccessionNumber="ACC1", StudyDescription="LOCAL")
    coerced = instance(StudyDescription="SKULL", ReferringPhysicianName="HOUSE^G")
    provisional = instance(PatientID="77", PatientName="NEW^ONE")
    held = instance(PatientID="100", PatientName="WRONG^MAN", PatientBirthDate="19010203")
    for image in (with_order, coerced, provisional, held):
        hospital.store(image)
    found = assert_as_retrieved(http, with_order)
    assert (found.StudyInstanceUID, found.StudyDescription) == (ordered, "CT THORAX")
    assert assert_as_retrieved(http, coerced).PatientID == "E1"
    assert assert_as_retrieved(http, provisional).IssuerOfPatientID == "A"
    found = assert_as_retrieved(http, held)
    assert (found.PatientID[:1], found.IssuerOfPatientID) == ("H", "H")
    assert str(found.PatientName) == "WRONG^MAN"
    assert len(studies(http)) == 4


def test_received_and_assigned_identifiers_find_the_same(
    hospital: Hospital, http: httpx.Client
) -> None:
    """A study by both its UIDs; a patient by every identifier, however it is written."""
    ordered = uid()
    procedure = RequestedProcedure("RP1", ordered, "CT")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    image = instance(AccessionNumber="ACC1")
    hospital.store(image)
    for key in (image.StudyInstanceUID, ordered, f"{uid()},{ordered}"):
        assert one(http, StudyInstanceUID=key).StudyInstanceUID == ordered
    for keys in (
        {"PatientID": "100^^^A"},
        {"PatientID": "100", "IssuerOfPatientID": "A"},
        {"PatientID": "100", "IssuerOfPatientID": "HISA"},
        {"PatientID": "E1"},
        {"PatientID": "10*", "IssuerOfPatientID": "A"},
        {"00100020": "E?"},
        {"AccessionNumber": "ACC1"},
        {"AccessionNumber": "ACC*"},
    ):
        assert one(http, **keys).PatientID == "E1", keys
    for keys in (
        {"PatientID": "100^^^B"},
        {"PatientID": "100^^^UNHEARD"},
        {"PatientID": "10"},
        {"AccessionNumber": "ACC"},
    ):
        assert studies(http, **keys) == [], keys


def test_a_bare_id_is_of_whoever_asks(hospital: Hospital) -> None:
    """Row 4: A's 100 for A, B's for B; who has no domain is shown both."""
    hospital.store(instance(PatientID="100"))
    anna = instance(PatientName="MEIER^ANNA", PatientBirthDate="19900304", PatientSex="F")
    hospital.store(anna, MR_B)
    assert asked(hospital, "A", PatientID="100") == {("100", "A", "DOE^JANE")}
    assert asked(hospital, "B", PatientID="100") == {("100", "B", "MEIER^ANNA")}
    assert asked(hospital, "A", PatientID="E3") == {("E3", "E", "MEIER^ANNA")}
    both = {("E1", "E", "DOE^JANE"), ("E3", "E", "MEIER^ANNA")}
    assert asked(hospital, "", PatientID="100") == both
    assert asked(hospital, "X", PatientID="100") == set()


def asked(hospital: Hospital, view: str, **keys: str) -> set[tuple[str, str, str]]:
    """(Patient ID, issuer, name) of the studies that somebody of a domain finds."""
    from reconcile.core import attributes as at
    from reconcile.core.matchkeys import question_of
    from reconcile.core.querykeys import Level
    from reconcile.dataset.keywords import tag_of
    from reconcile.flows.query import QueryFlow

    elements = {str(tag_of(k)): at.element("LO", v) for k, v in keys.items()}
    flow = QueryFlow(hospital.database, hospital.rules, hospital.storage)
    pages = flow.pages(question_of(Level.STUDY, elements), view)
    tags = (at.PATIENT_ID, at.ISSUER_OF_PATIENT_ID, at.PATIENT_NAME)
    return {
        (at.text(e.get(tags[0])), at.text(e.get(tags[1])), at.text(e.get(tags[2])))
        for page in pages
        for e in page
    }


@pytest.mark.parametrize(
    ("keys", "number"),
    [
        ({"PatientName": "müller*"}, 1),
        ({"PatientName": "MULLER^J*"}, 1),
        ({"PatientName": "M?LLER^*"}, 1),
        ({"PatientName": "Muller"}, 0),
        ({"PatientName": "ИВАНОВ^ИВАН"}, 1),
        ({"PatientName": "иванов*"}, 1),
        ({"PatientName": "山田*"}, 1),
        ({"PatientName": "YAMADA^TARO=山田^太郎"}, 1),
        ({"PatientName": "YAMADA^TARO=山本^太郎"}, 0),
        ({"PatientName": "*"}, 4),
        ({"PatientName": "doe^jane"}, 1),
        ({"StudyDate": "20260301"}, 1),
        ({"StudyDate": "20260301-20260302"}, 2),
        ({"StudyDate": "20260303-"}, 2),
        ({"StudyDate": "-20260301"}, 1),
        ({"StudyDate": "20260302", "StudyTime": "10-11"}, 1),
        ({"StudyDate": "20260302", "StudyTime": "1200-"}, 0),
        ({"ModalitiesInStudy": "MR"}, 1),
        ({"ModalitiesInStudy": "MR,CT"}, 4),
        ({"ModalitiesInStudy": "US"}, 0),
        ({"PatientBirthDate": "19800102"}, 4),
        ({"PatientBirthDate": "19800103-"}, 0),
        ({"StudyID": "S3"}, 1),
        ({"StudyDescription": "Skull*"}, 1),
        ({"StudyDescription": "skull*"}, 0),
        ({"ReferringPhysicianName": "house^*"}, 1),
        ({"PatientSex": "F", "StudyID": "S1"}, 1),
        ({"PatientSex": "M"}, 0),
        ({"limit": "3"}, 3),
        ({"limit": "3", "offset": "3"}, 1),
    ],
)
def test_keys_match_as_the_standard_says(
    matched: httpx.Client, keys: dict[str, str], number: int
) -> None:
    """PS3.4 C.2.2.2: single value, list, wild card, range, names."""
    assert len(studies(matched, **keys)) == number


@pytest.fixture(scope="module")
def matched(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An archive with four studies that nobody changes."""
    with cluster.database() as urls:
        made = Hospital.at(urls.writer, tmp_path_factory.mktemp("query"), urls.reader)
        made.patient(JANE, "100^^^A", "E1^^^E")
        names = ("Müller^Jörg", "ИВАНОВ^ИВАН", "YAMADA^TARO=山田^太郎=やまだ^たろう")
        for day, name in enumerate(names, 1):
            image = instance(
                SpecificCharacterSet="ISO_IR 192",
                PatientID=f"70{day}",
                PatientName=name,
                StudyDate=f"2026030{day}",
                StudyID=f"S{day}",
                StudyDescription="Skull lateral" if day == 1 else "",
                ReferringPhysicianName="House^G" if day == 2 else "",
            )
            made.store(image)
            if day == 2:
                same = {e.keyword: e.value for e in image if e.keyword}
                second = instance(**{**same, "SOPInstanceUID": uid()})
                second.SeriesInstanceUID, second.Modality = uid(), "MR"
                made.store(second)
        made.store(instance(StudyDate="20260309", PatientName="DOE^JANE"))
        with http_door(made) as client:
            yield client


def test_what_a_study_has_is_counted(matched: httpx.Client) -> None:
    """Modalities, series and instances, of the study and of each series."""
    found = one(matched, StudyID="S2")
    assert list(found.ModalitiesInStudy) == ["CT", "MR"]
    assert (found.NumberOfStudyRelatedSeries, found.NumberOfStudyRelatedInstances) == (2, 2)
    assert found.RetrieveURL.endswith(f"/dicom-web/studies/{found.StudyInstanceUID}")
    path = f"/dicom-web/studies/{found.StudyInstanceUID}/series"
    series = studies(matched, path)
    assert {each.Modality for each in series} == {"CT", "MR"}
    assert [each.NumberOfSeriesRelatedInstances for each in series] == [1, 1]
    [only] = studies(matched, path, Modality="MR")
    again = studies(matched, "/dicom-web/series", SeriesInstanceUID=only.SeriesInstanceUID)
    assert [str(each.PatientName) for each in again] == ["ИВАНОВ^ИВАН"]


def test_bad_questions_are_refused(matched: httpx.Client) -> None:
    """400 for what no key can be, 406 for another form; nothing of a value is repeated."""
    for keys in ({"StudyDate": "yesterday"}, {"limit": "-1"}, {"StudyTime": "1-2-3"}):
        answer = matched.get("/dicom-web/studies", params=keys)
        assert answer.status_code == 400
        assert "yesterday" not in answer.text
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    assert matched.get("/dicom-web/studies", headers=xml).status_code == 406
    answer = matched.get("/dicom-web/studies", params={"limit": 2})
    assert "299" in answer.headers["Warning"]
    assert answer.headers["content-type"] == "application/dicom+json"
    odd = matched.get("/dicom-web/studies", params={"Manufacturer": "Maker"})
    assert "299" in odd.headers["Warning"]


def test_test_patients_are_found_by_name_of_their_id_only(
    hospital: Hospital, http: httpx.Client
) -> None:
    """Row 32: not in a list of the day; who asks for the phantom itself finds it."""
    phantom = instance(PatientID="1", IssuerOfPatientID="X", PatientName="ZZTEST^PHANTOM")
    hospital.store(phantom)
    assert studies(http) == studies(http, StudyDate="20260301") == []
    assert str(one(http, PatientID="1^^^X").PatientName) == "ZZTEST^PHANTOM"
    assert one(http, StudyInstanceUID=phantom.StudyInstanceUID).PatientID == "1"


def test_hidden_instances_are_not_shown(hospital: Hospital, http: httpx.Client) -> None:
    """What is given out of nobody is told to nobody, a coerce = false source's hold."""
    quiet = Source("CT_QUIET", domain="A", coerce=False)
    hidden = instance(PatientName="WRONG^MAN", PatientBirthDate="19010203")
    hospital.store(hidden, quiet)
    shown = instance()
    hospital.store(shown, quiet)
    [found] = studies(http)
    assert (found.StudyInstanceUID, found.PatientID) == (shown.StudyInstanceUID, "100")


def test_a_study_of_two_patients_is_two_answers(
    hospital: Hospital, http: httpx.Client
) -> None:
    """Each under its own patient, with its own series: one is held."""
    study = uid()
    hospital.store(instance(StudyInstanceUID=study))
    wrong = instance(StudyInstanceUID=study, PatientName="WRONG^MAN", Modality="MR")
    wrong.PatientBirthDate = "19010203"
    hospital.store(wrong)
    found = {each.PatientID[:1]: each for each in studies(http, StudyInstanceUID=study)}
    assert sorted(found) == ["E", "H"]
    assert found["E"].ModalitiesInStudy == "CT"
    assert found["H"].ModalitiesInStudy == "MR"
    [by_id] = studies(http, PatientID=found["H"].PatientID)
    assert str(by_id.PatientName) == "WRONG^MAN"


def test_the_newest_comes_first_whatever_the_page(
    hospital: Hospital, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of two: every study once, in order; those without a date at the end."""
    monkeypatch.setattr(views_query, "PAGE", 2)
    days = ["20260305", "", "20260301", "20260309", "20260305"]
    for day in days:
        hospital.store(instance(StudyDate=day))
    found = [each.get("StudyDate") or "" for each in studies(http)]
    assert found == sorted(days, reverse=True)
    assert len(studies(http, PatientID="E1")) == 5
    assert len(studies(http, PatientID="E1", StudyDate="20260302-")) == 3


def test_a_key_that_many_have_is_matched_all_the_same(
    hospital: Hospital, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past a number the index is left aside, and every study is looked at."""
    monkeypatch.setattr(views_found, "NARROW", 1)
    monkeypatch.setattr(views_query, "PAGE", 2)
    for number in range(3):
        hospital.store(instance())
        hospital.store(instance(PatientID=f"88{number}", PatientName="OTHER^ONE"))
    assert len(studies(http, PatientName="DOE*")) == 3
    assert len(studies(http, PatientName="OTHER^*", PatientBirthDate="19800102")) == 3
    assert len(studies(http, PatientName="NOBODY*")) == 0


def test_what_a_feed_says_later_is_answered_at_once(
    hospital: Hospital, http: httpx.Client
) -> None:
    """A name that was corrected finds the study; the one before does not any more."""
    hospital.store(instance())
    hospital.patient(Demographics(PersonName("SMITH^JANE"), "19800102", "F"), "100^^^A")
    assert one(http, PatientName="smith*").PatientID == "E1"
    assert studies(http, PatientName="DOE*") == []


def test_retrieving_marks_a_study_as_used_once(
    hospital: Hospital, http: httpx.Client
) -> None:
    """From the first instance that is given out; a query alone does not."""
    image = instance()
    hospital.store(image)
    one(http, StudyInstanceUID=image.StudyInstanceUID)
    assert _used(hospital, image) is None
    retrieved(http, image)
    first = _used(hospital, image)
    assert first is not None
    retrieved(http, image)
    assert _used(hospital, image) == first


def test_a_retrieve_goes_on_where_its_use_cannot_be_noted(
    hospital: Hospital, http: httpx.Client
) -> None:
    """Somebody holds the study's row: the instance is given out all the same."""
    image = instance()
    hospital.store(image)
    with hospital.database.writer.begin() as connection:
        connection.execute(update(t.study).values(version=t.study.c.version))
        assert retrieved(http, image).PatientID == "E1"
    assert _used(hospital, image) is None


def _used(hospital: Hospital, image: Dataset) -> Any:
    def step(connection: Connection) -> Any:
        uid = image.StudyInstanceUID
        query = select(t.study.c.used_at).where(t.study.c.study_instance_uid == uid)
        return connection.execute(query).scalar()

    return hospital.database.run(step)
