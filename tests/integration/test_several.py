"""Many instances given out: by every identifier, in order, as who gets them knows them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from sqlalchemy import select, update

from reconcile.core import attributes as at
from reconcile.core.facts import Source
from reconcile.core.matchkeys import Level, question_of
from reconcile.db import tables as t
from reconcile.db import views_retrieve
from reconcile.db.embedded import Urls
from reconcile.errors import CannotConvert
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.several import Ready, SeveralFlow, Wanted
from tests.support.given import disagreements, given, history
from tests.support.hospital import ANNA, EMPI, JANE, MR_B, RICHARD, Hospital
from tests.support.instances import instance, uid
from tests.support.transcoded import transcoded

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Hospital:
    made = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    made.patient(JANE, "100^^^A", "E1^^^E")
    made.patient(ANNA, "100^^^B", "E3^^^E", feed=EMPI)
    return made


def several(hospital: Hospital) -> SeveralFlow:
    retrieve = RetrieveFlow(hospital.database, hospital.storage)
    return SeveralFlow(retrieve, QueryFlow(hospital.database, hospital.rules))


def wanted(level: Level, view: str = "", only: tuple[str, ...] = (), **keys: str) -> Wanted:
    said = {
        "patient": at.PATIENT_ID,
        "issuer": at.ISSUER_OF_PATIENT_ID,
        "study": at.STUDY_INSTANCE_UID,
        "series": at.SERIES_INSTANCE_UID,
    }
    elements = {
        said[key]: at.element(
            "LO" if key in ("patient", "issuer") else "UI", *values.split()
        )
        for key, values in keys.items()
    }
    return Wanted(question_of(level, elements), only, view)


def found(hospital: Hospital, asked: Wanted) -> list[Ready]:
    return list(several(hospital).instances(asked))


def uids(ready: list[Ready]) -> set[str]:
    return {each.sop_instance_uid for each in ready}


def given_as(ready: Ready, *syntaxes: str) -> Dataset:
    outgoing = ready.give(syntaxes)
    return pydicom.dcmread(io.BytesIO(b"".join(outgoing.file())))


def series_of(**attributes: Any) -> list[Dataset]:
    same = {"StudyInstanceUID": uid(), "SeriesInstanceUID": uid(), **attributes}
    return [instance(InstanceNumber=n, **same) for n in (1, 2, 3)]


def test_received_assigned_and_subsumed_find_the_same(hospital: Hospital) -> None:
    """At each level, before and after an A40; what is given out is as of now."""
    images = series_of(
        PatientID="200",
        PatientName="ROE^RICHARD",
        PatientBirthDate="19750506",
        PatientSex="M",
    )
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    for image in images:
        hospital.store(image)
    all_of = {str(image.SOPInstanceUID) for image in images}
    study, series = str(images[0].StudyInstanceUID), str(images[0].SeriesInstanceUID)
    one = given(hospital, str(images[0].SOPInstanceUID))
    questions = [
        wanted(Level.PATIENT, patient="200", issuer="A"),
        wanted(Level.PATIENT, patient="E2", issuer="E"),
        wanted(Level.STUDY, patient="E2", study=study),
        wanted(Level.STUDY, study=f"{study} {uid()}"),
        wanted(Level.STUDY, study=str(one.StudyInstanceUID)),
        wanted(Level.SERIES, study=study, series=series),
        wanted(Level.SERIES, series=str(one.SeriesInstanceUID)),
        wanted(Level.SERIES, series=series, only=tuple(all_of)),
    ]
    for asked in questions:
        assert uids(found(hospital, asked)) == all_of
    hospital.patient(RICHARD, "300^^^A", "E9^^^E")
    hospital.merge("300^^^A", "200^^^A", said=RICHARD)
    for asked in (*questions, wanted(Level.PATIENT, patient="E9", issuer="E")):
        ready = found(hospital, asked)
        assert uids(ready) == all_of
        assert {given_as(each).PatientID for each in ready} == {"E9"}
    two = tuple(sorted(all_of))[:2]
    assert uids(found(hospital, wanted(Level.SERIES, series=series, only=two))) == set(two)
    assert found(hospital, wanted(Level.PATIENT, patient="200", issuer="B")) == []


def test_pages_are_of_one_order(hospital: Hospital, monkeypatch) -> None:
    """Whatever a page holds, all come, each once, those of one series together."""
    images = [*series_of(), *series_of()]
    for image in images:
        hospital.store(image)
    whose = wanted(Level.PATIENT, patient="E1", issuer="E")
    before = found(hospital, whose)
    monkeypatch.setattr(views_retrieve, "PAGE", 2)
    after = found(hospital, whose)
    assert [e.sop_instance_uid for e in after] == [e.sop_instance_uid for e in before]
    assert len(after) == 6
    of_series = [each.series_uid for each in after]
    assert of_series == sorted(of_series, key=of_series.index)
    assert len(set(of_series)) == 2
    assert list(several(hospital).instances(whose, ["1.2.3"])) == []
    ct = [str(images[0].SOPClassUID), "1.2.3"]
    assert len(list(several(hospital).instances(whose, ct))) == 6
    kinds = several(hospital).kinds(whose)
    assert kinds == {(str(images[0].SOPClassUID), EXPLICIT): 6}


def test_a_page_is_given_out_as_single_instances_are(hospital: Hospital) -> None:
    """Of what was coerced at storing, by a merge, and late: the same bytes."""
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    images = [*series_of(), *series_of(PatientID="100")]
    for image in images[:4]:
        hospital.store(image)
    hospital.merge("200^^^A", "100^^^A", said=RICHARD)
    hospital.store(images[4])
    ready = found(hospital, wanted(Level.PATIENT, patient="200", issuer="A"))
    assert len(ready) == 5
    single = RetrieveFlow(hospital.database, hospital.storage)
    for each in ready:
        other = single.instance(each.sop_instance_uid)
        assert b"".join(each.give().file()) == b"".join(other.file())


def test_each_sees_the_patient_in_its_own_domain(hospital: Hospital) -> None:
    """IHE MIMA: no event, no item, and the checker finds nothing; else the archive's."""
    image = instance()
    hospital.store(image)
    study = str(image.StudyInstanceUID)
    [own] = found(hospital, wanted(Level.STUDY, view="A", study=study))
    archive = given(hospital, str(image.SOPInstanceUID))
    shown = given_as(own)
    assert (archive.PatientID, archive.IssuerOfPatientID) == ("E1", "E")
    assert (shown.PatientID, shown.IssuerOfPatientID) == ("100", "A")
    assert [i.PatientID for i in shown.OtherPatientIDsSequence] == ["E1"]
    assert shown.OriginalAttributesSequence == archive.OriginalAttributesSequence
    assert shown.PixelData == image.PixelData
    for view in ("B", "E", ""):
        [other] = found(hospital, wanted(Level.STUDY, view=view, study=study))
        assert given_as(other) == archive
    assert disagreements(hospital) == []


def test_a_bare_id_is_of_whoever_asks(hospital: Hospital) -> None:
    """100 of A and of B."""
    jane, anna = instance(), instance(PatientName="MEIER^ANNA", PatientBirthDate="19900304")
    hospital.store(jane)
    hospital.store(anna, MR_B)
    for view, image in (("A", jane), ("B", anna)):
        asked = wanted(Level.PATIENT, patient="100", view=view)
        assert uids(found(hospital, asked)) == {str(image.SOPInstanceUID)}


def test_in_the_transfer_syntax_that_is_asked_for(hospital: Hospital) -> None:
    """As stored where that will do; converted, coerced as ever; or refused by name."""
    images = {
        syntax: transcoded(instance(), syntax)
        for syntax in (EXPLICIT, IMPLICIT, DEFLATED, str(RLELossless))
    }
    for image in images.values():
        hospital.store(image)
    for stored, image in images.items():
        [ready] = found(hospital, wanted(Level.STUDY, study=str(image.StudyInstanceUID)))
        assert ready.give([IMPLICIT, stored]).transfer_syntax_uid == stored
        if stored == RLELossless:
            with pytest.raises(CannotConvert):
                ready.give([EXPLICIT, IMPLICIT])
            continue
        for target in (EXPLICIT, IMPLICIT, DEFLATED):
            said = given_as(ready, target)
            assert said.file_meta.TransferSyntaxUID == target
            assert (said.PatientID, said.IssuerOfPatientID) == ("E1", "E")
            assert said.PixelData == image.PixelData
            assert "OriginalAttributesSequence" in said


def test_what_is_hidden_is_not_given(hospital: Hospital) -> None:
    """Held and hidden; as received where its source wants it so."""
    raw = Source("RAW", domain="A", coerce=False)
    image, held = instance(), instance(PatientName="SOMEBODY^ELSE", PatientSex="M")
    hospital.store(image, raw)
    [ready] = found(
        hospital, wanted(Level.STUDY, study=str(image.StudyInstanceUID), view="A")
    )
    assert given_as(ready).PatientID == "100"
    hospital.store(held)
    [ready] = found(hospital, wanted(Level.STUDY, study=str(held.StudyInstanceUID)))
    assert given_as(ready).IssuerOfPatientID == "H"
    hide(hospital, str(held.SOPInstanceUID))
    assert found(hospital, wanted(Level.STUDY, study=str(held.StudyInstanceUID))) == []


def hide(hospital: Hospital, sop_instance_uid: str) -> None:
    hidden = update(t.instance).where(t.instance.c.sop_instance_uid == sop_instance_uid)
    hospital.database.run(lambda connection: connection.execute(hidden.values(hidden=True)))


def test_what_was_given_out_comes_back_and_nothing_happens(hospital: Hospital) -> None:
    """As it was shown in somebody's domain, and in another transfer syntax: no event."""
    image = instance()
    hospital.store(image)
    uid_, study = str(image.SOPInstanceUID), str(image.StudyInstanceUID)
    before = history(hospital, uid_)
    for view, syntax in (("A", EXPLICIT), ("A", IMPLICIT), ("", IMPLICIT)):
        [ready] = found(hospital, wanted(Level.STUDY, view=view, study=study))
        stored = hospital.store(given_as(ready, syntax))
        assert (stored.held, stored.coerced) == ("", ())
    assert history(hospital, uid_) == before
    assert disagreements(hospital) == []
    # somebody else's ID is none that anybody was given it under
    [ready] = found(hospital, wanted(Level.STUDY, view="A", study=study))
    other = given_as(ready, EXPLICIT)
    other.PatientID = "999"
    assert hospital.store(other).held == "DUPLICATE-DIFFERS"


def test_a_study_that_was_given_out_is_used(hospital: Hospital) -> None:
    """It keeps its UID from then on, as one does that was given out by itself."""
    for image in series_of():
        hospital.store(image)
    used = select(t.study.c.used_at)
    flow = several(hospital)
    asked = wanted(Level.PATIENT, patient="E1", issuer="E")
    flow.kinds(asked)
    with hospital.database.read_only() as connection:
        assert connection.execute(used).scalar_one() is None
    next(flow.instances(asked))
    with hospital.database.read_only() as connection:
        assert connection.execute(used).scalar_one() is not None
