"""Everything can be taken back: what is given out is what it was, and everybody agrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select, update

from reconcile.core.identity import (
    Demographics,
    Issuer,
    PatientIdentifier,
    PatientUpdate,
    PersonName,
)
from reconcile.core.merge import VisitMove
from reconcile.core.order import RequestedProcedure
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import views_holds, views_patients, views_studies
from reconcile.db.embedded import Urls
from reconcile.db.views import Where, plain
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.attempt import Done
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.resolve import ResolveFlow, Wanted
from reconcile.flows.steward import By, Steward
from reconcile.flows.steward_patients import StewardPatients
from reconcile.flows.undo import AlreadyUndone, Undo
from tests.support.canonical import answers
from tests.support.given import disagreements, given, history
from tests.support.hospital import ANNA, JANE, RICHARD, RIS_A, Hospital, source_of
from tests.support.instances import instance, uid

BY = By("ann", "a mistake")
ORDERED = "2.25.77"
SHOWN = By("ann", "a mistake", dry_run=True)


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    assert disagreements(hospital) == []
    hospital.database.close()


def last(hospital: Hospital, cause: str) -> str:
    """The last happening of a cause."""
    g = h.happening.c
    with hospital.database.read_only() as connection:
        query = select(g.id).where(g.cause == cause).order_by(g.id.desc()).limit(1)
        return str(connection.execute(query).scalar_one())


def undo(hospital: Hospital, wanted: str, by: By = BY) -> Done:
    return Undo(kept(hospital)).happening(wanted, by)


def kept(hospital: Hospital) -> KeptArrivals:
    return KeptArrivals(hospital.flow().recording, source_of)


def stored(hospital: Hospital, **attributes: Any) -> Dataset:
    image = instance(**attributes)
    hospital.store(image)
    return image


def out(hospital: Hospital, image: Dataset) -> Dataset:
    return given(hospital, image.SOPInstanceUID)


def items(hospital: Hospital) -> list[str]:
    with hospital.database.read_only() as connection:
        found = views_holds.holds(connection, Where(), state="open").items
    return [each.code for each in found]


def person(hospital: Hospital, identifier: str) -> Any:
    """A person as everybody is told, without what only says when."""
    value, domain = identifier.split("^^^")
    with hospital.database.read_only() as connection:
        named = PatientIdentifier(value, domain)
        [found] = views_patients.by_identifier(connection, named, None)
    told = plain(found)
    told.pop("merges")
    return told


# -- What the RIS said --------------------------------------------------------------


def test_an_update_is_taken_back(hospital: Hospital) -> None:
    """Bytes as they were; the history says what was undone; again is refused."""
    image = stored(hospital)
    before, known = out(hospital, image), person(hospital, "100^^^A")
    hospital.patient(replace(JANE, name=PersonName("SMITH^JANE")), "100^^^A")
    event = history(hospital, image.SOPInstanceUID)[-1]
    assert undo(hospital, str(event.id), SHOWN).dry_run
    assert out(hospital, image).PatientName == "SMITH^JANE"
    undo(hospital, str(event.id))

    assert out(hospital, image) == before
    assert person(hospital, "100^^^A") == known
    with hospital.database.read_only() as connection:
        told = views_studies.study_explained(connection, image.StudyInstanceUID)
    assert [each.cause for each in told.since] == ["adt-a08"]
    assert any("taken back" in sentence for sentence in told.sentences)
    assert history(hospital, image.SOPInstanceUID)[-1].undone_by is not None
    with pytest.raises(AlreadyUndone):
        undo(hospital, str(event.id))
    with pytest.raises(NotFound):
        undo(hospital, "01890000-0000-7000-8000-000000000000")


def test_what_came_since_is_said_anew(hospital: Hospital) -> None:
    """An image stored after the update has its name in itself, and loses it too."""
    first = stored(hospital)
    hospital.patient(replace(JANE, name=PersonName("SMITH^JANE")), "100^^^A")
    second = stored(
        hospital,
        StudyInstanceUID=first.StudyInstanceUID,
        SeriesInstanceUID=first.SeriesInstanceUID,
    )
    undo(hospital, last(hospital, "adt-a08"))

    assert {str(out(hospital, i).PatientName) for i in (first, second)} == {"DOE^JANE"}


def test_row_35_a_merge_and_its_undoing(hospital: Hospital) -> None:
    """The survivor's everywhere; and back, exactly."""
    images = [stored(hospital), stored(hospital, PatientID="200", **RICHARDS)]
    before = [out(hospital, image) for image in images]
    known = [person(hospital, i) for i in ("100^^^A", "200^^^A")]
    said = hospital.merge("100^^^A", "200^^^A")
    assert (said.state, said.acknowledgement) == ("applied", "AA")
    assert [out(hospital, i).PatientID for i in images] == ["E1", "E1"]
    assert [i.PatientID for i in out(hospital, images[1]).OtherPatientIDsSequence] == [
        "200"
    ]
    assert "RISKY-MERGE" in items(hospital)
    undo(hospital, last(hospital, "adt-a40"))

    assert [out(hospital, image) for image in images] == before
    assert [person(hospital, i) for i in ("100^^^A", "200^^^A")] == known
    assert items(hospital) == []


RICHARDS = {
    "PatientName": "ROE^RICHARD",
    "PatientBirthDate": "19750506",
    "PatientSex": "M",
}


def test_row_81_what_came_under_the_prior_id_goes_back_with_it(hospital: Hospital) -> None:
    """Later images under the prior ID, in a study of the survivor: split, for a person."""
    study = uid()
    first = stored(hospital, StudyInstanceUID=study)
    hospital.merge("100^^^A", "200^^^A")
    late = stored(hospital, StudyInstanceUID=study, PatientID="200", **RICHARDS)
    assert out(hospital, late).PatientID == "E1"
    undo(hospital, last(hospital, "adt-a40"))

    assert out(hospital, first).PatientID == "E1"
    assert out(hospital, late).PatientID == "E2"
    assert out(hospital, late).PatientName == "ROE^RICHARD"
    assert "STUDY-IDENTITY-SPLIT" in items(hospital)


def test_what_only_a_merge_explained_is_held_again(hospital: Hospital) -> None:
    """Released because the merged patient was known by that name; not for ever."""
    hospital.patient(ANNA, "300^^^A", "E3^^^E")
    hers = {"PatientName": "MEIER^ANNA", "PatientBirthDate": "19900304"}
    image = stored(hospital, PatientID="100", **hers)
    before = out(hospital, image)
    assert items(hospital) == ["DEMOGRAPHIC-CONFLICT"]
    hospital.merge("100^^^A", "300^^^A")
    assert out(hospital, image).PatientID == "E1"
    StewardPatients(kept(hospital)).unmerge("100^^^A", "300^^^A", BY)

    after = out(hospital, image)
    for each in (before, after):
        for name in ("OriginalAttributesSequence", "InstanceCoercionDateTime"):
            del each[name]
    assert after == before
    assert "DEMOGRAPHIC-CONFLICT" in items(hospital)


def test_what_an_unmerge_held_is_released_when_that_is_taken_back(
    hospital: Hospital,
) -> None:
    """It is filed as the merge had filed it; and held again when the undo is undone."""
    hospital.patient(ANNA, "300^^^A", "E3^^^E")
    image = stored(hospital, PatientName="MEIER^ANNA", PatientBirthDate="19900304")
    hospital.merge("100^^^A", "300^^^A")
    before, asked = out(hospital, image), items(hospital)
    StewardPatients(kept(hospital)).unmerge("100^^^A", "300^^^A", BY)
    assert out(hospital, image).PatientID != "E1"
    taken_back = undo(hospital, last(hospital, "steward"))

    assert out(hospital, image).PatientID == before.PatientID == "E1"
    assert items(hospital) == asked
    undo(hospital, str(taken_back.happening))
    assert out(hospital, image).PatientID != "E1"
    assert "DEMOGRAPHIC-CONFLICT" in items(hospital)


def test_row_38_a_chain_of_merges(hospital: Hospital) -> None:
    """Edges as said; taking the second back gives both back."""
    hospital.patient(ANNA, "300^^^A", "E3^^^E")
    image = stored(hospital, PatientID="200", **RICHARDS)
    hospital.merge("100^^^A", "200^^^A")
    hospital.merge("300^^^A", "100^^^A")
    assert out(hospital, image).PatientID == "E3"
    undo(hospital, last(hospital, "adt-a40"))

    assert out(hospital, image).PatientID == "E1"


def test_row_51_an_image_after_the_merge(hospital: Hospital) -> None:
    """Under the prior ID it is the survivor's."""
    hospital.merge("100^^^A", "200^^^A")
    image = stored(hospital, PatientID="200", **RICHARDS)

    assert out(hospital, image).PatientID == "E1"


def test_a_late_order_is_taken_back(hospital: Hospital) -> None:
    """The modality's UID again; the same order does not rename it once more."""
    image, late = stored(hospital, AccessionNumber="ACC5"), uid()
    before = out(hospital, image)
    procedure = RequestedProcedure("RP1", late, "CT HEAD")
    hospital.order(JANE, "100^^^A", accession="ACC5", procedures=(procedure,))
    assert out(hospital, image).StudyInstanceUID == late
    undo(hospital, last(hospital, "orm-o01"))

    assert out(hospital, image) == before
    with hospital.database.read_only() as connection:
        assert views_studies.uids(connection, image.StudyInstanceUID).assigned == (
            image.StudyInstanceUID
        )
    hospital.order(JANE, "100^^^A", accession="ACC5", procedures=(procedure,))
    again = out(hospital, image)
    assert (again.StudyInstanceUID, again.AccessionNumber) == (
        image.StudyInstanceUID,
        "ACC5",
    )


# -- What people did ----------------------------------------------------------------


def test_row_60_a_resolution_is_taken_back(hospital: Hospital) -> None:
    """Held again, asked again; and what a person took back no message does."""
    image = stored(hospital, PatientBirthDate="19910102")
    before = out(hospital, image)
    [item] = [i for i in holds_of(hospital) if i.kind == "hold"]
    wanted = Wanted(str(item.id), "accept", "seen", "ann")
    happening = ResolveFlow(hospital.flow(), source_of).resolve(wanted)
    assert out(hospital, image).PatientID == "E1"
    undo(hospital, str(happening))

    assert out(hospital, image) == before
    assert items(hospital) == ["DEMOGRAPHIC-CONFLICT"]
    later = stored(
        hospital, StudyInstanceUID=image.StudyInstanceUID, PatientBirthDate="19910102"
    )
    assert out(hospital, later).IssuerOfPatientID == "H"
    hospital.patient(replace(JANE, birth_date="19810102"), "100^^^A")
    assert out(hospital, image).IssuerOfPatientID == "H"


def holds_of(hospital: Hospital) -> Any:
    with hospital.database.read_only() as connection:
        return views_holds.holds(connection, Where(), state="open").items


def test_a_correction_is_taken_back_and_done_again(hospital: Hospital) -> None:
    """An undo is a happening itself: taking it back does it again."""
    image = stored(hospital)
    before = out(hospital, image)
    Steward(kept(hospital)).assign(image.StudyInstanceUID, "200^^^A", BY)
    assert out(hospital, image).PatientID == "E2"
    undo(hospital, last(hospital, "steward"))
    assert out(hospital, image) == before


def test_what_was_decided_at_storing_is_taken_back(hospital: Hospital) -> None:
    """The header is what was received; the study waits, and the rule does not act again."""
    image = stored(hospital)
    event = history(hospital, image.SOPInstanceUID)[0]
    undo(hospital, str(event.id))

    assert out(hospital, image) == image_as_sent(image)
    assert items(hospital) == ["UNDONE"]
    later = stored(hospital, StudyInstanceUID=image.StudyInstanceUID)
    assert out(hospital, later).IssuerOfPatientID == "H"
    for item in holds_of(hospital):
        wanted = Wanted(str(item.id), "assign", "seen", "ann", patient="100^^^A")
        ResolveFlow(hospital.flow(), source_of).resolve(wanted)
    assert {out(hospital, i).PatientID for i in (image, later)} == {"E1"}


def image_as_sent(image: Dataset) -> Dataset:
    sent = Dataset()
    sent.update({e.tag: e for e in image if e.tag.group != 2})
    return sent


def test_a_study_whose_images_are_as_they_came_is_found_as_it_came(
    hospital: Hospital,
) -> None:
    """Under the UID that its images bear; it stays so until a person decides."""
    procedure = RequestedProcedure("RP1", ORDERED, "CT HEAD")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    image = stored(hospital, AccessionNumber="ACC1")
    own = image.StudyInstanceUID
    assert named(hospital, own) == ORDERED
    taken_back = undo(hospital, last(hospital, "c-store"))

    assert out(hospital, image).StudyInstanceUID == own
    assert named(hospital, own) == own
    with pytest.raises(NotFound):
        named(hospital, ORDERED)
    later = stored(
        hospital, AccessionNumber="ACC1", StudyInstanceUID=own, SeriesInstanceUID=uid()
    )
    assert out(hospital, later).StudyInstanceUID == own
    with pytest.raises(WrongUse, match="worklist"):
        undo(hospital, str(taken_back.happening))


def test_what_is_left_of_a_study_is_found_and_followed_still(hospital: Hospital) -> None:
    """A later image holds the map; when it is undone as well, the study is as it came."""
    procedure = RequestedProcedure("RP1", ORDERED, "CT HEAD")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    first = stored(hospital, AccessionNumber="ACC1")
    own = first.StudyInstanceUID
    earlier = last(hospital, "c-store")
    stored(hospital, StudyInstanceUID=own, SeriesInstanceUID=uid())
    later = last(hospital, "c-store")
    undo(hospital, earlier)

    assert named(hospital, own) == ORDERED
    next_one = stored(hospital, StudyInstanceUID=own, SeriesInstanceUID=uid())
    assert out(hospital, next_one).StudyInstanceUID == ORDERED
    for each in (last(hospital, "c-store"), later):
        undo(hospital, each)
    assert named(hospital, own) == own
    assert out(hospital, first).StudyInstanceUID == own


def named(hospital: Hospital, study_uid: str) -> str:
    """What a Study UID has become."""
    with hospital.database.read_only() as connection:
        return views_studies.uids(connection, study_uid).assigned


def test_an_order_goes_back_when_its_move_is_taken_back(hospital: Hospital) -> None:
    """Moved with its visit, or by another message of it; and again after that."""
    hospital.order(JANE, "100^^^A", accession="V1")
    visit = update(t.imaging_order).values(visit_number="V1")
    hospital.database.run(lambda connection: connection.execute(visit))
    before = answers(hospital)

    def by_visit() -> None:
        prior = (("100", Issuer("A")),)
        to = PatientUpdate((("200", Issuer("A")),), Demographics())
        hospital.identify("A45", VisitMove(to, prior, visits=("V1",)), RIS_A)

    def by_order() -> None:
        hospital.order(RICHARD, "200^^^A", accession="V1")

    for move, cause in (
        (by_visit, "adt-a45"),
        (by_order, "orm-o01"),
        (by_visit, "adt-a45"),
    ):
        move()
        moved = answers(hospital)
        assert moved.orders != before.orders
        undo(hospital, last(hospital, cause))
        assert answers(hospital) == before
        undo(hospital, last(hospital, "undo"))
        assert answers(hospital) == moved
        undo(hospital, last(hospital, "undo"))
        assert answers(hospital) == before


def test_an_identifier_that_is_nobodys_again_can_be_given_again(hospital: Hospital) -> None:
    """Who was registered by mistake is forgotten; registered again, they are known."""
    hospital.patient(ANNA, "300^^^A")
    undo(hospital, last(hospital, "adt-a08"))
    with pytest.raises(ValueError, match="unpack"):
        person(hospital, "300^^^A")

    assert hospital.patient(ANNA, "300^^^A").state == "applied"
    assert person(hospital, "300^^^A")["state"] == "verified"


def test_what_others_rest_on_stays_whose_it_is(hospital: Hospital) -> None:
    """A merge made somebody known, an image came under the ID: it stays theirs."""
    hospital.merge("400^^^A", "500^^^A")
    image = stored(hospital, PatientID="400", PatientName="NEW^ONE")
    undo(hospital, last(hospital, "adt-a40"))

    assert out(hospital, image).PatientID == "400"
    assert person(hospital, "400^^^A")["state"] == "provisional"
    assert hospital.patient(ANNA, "500^^^A").state == "applied"


def test_an_item_that_closed_of_itself_is_open_again(hospital: Hospital) -> None:
    """What explained it is taken back."""
    stored(hospital, PatientID="600", PatientName="MEIER^ANNA", PatientBirthDate="19900304")
    assert items(hospital) == ["PROVISIONAL"]
    hospital.patient(ANNA, "600^^^A")
    assert items(hospital) == []
    undo(hospital, last(hospital, "adt-a08"))

    assert items(hospital) == ["PROVISIONAL"]


def test_rows_are_closed_and_never_written_over(hospital: Hospital) -> None:
    """What was held to be true meanwhile can still be asked."""
    hospital.merge("100^^^A", "200^^^A")
    undo(hospital, last(hospital, "adt-a40"))
    with hospital.database.read_only() as connection:
        edges = connection.execute(select(t.merge_edge)).all()
    assert [e.ended_by is not None for e in edges] == [True]
