"""The same SOP Instance UID again: the same content, or a version for a person."""

from __future__ import annotations

import threading
from copy import deepcopy
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import RLELossless
from sqlalchemy import func, select, update

from reconcile.core.facts import Source
from reconcile.core.order import RequestedProcedure
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import versions, views_audit, views_holds, views_instances
from reconcile.db.unresolved import later_assignment
from reconcile.db.views import Where
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.check import CheckFlow
from reconcile.flows.doctor import Doctor
from reconcile.flows.resolve import AlreadyDecided, ResolveFlow, Wanted
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.store import StoreFlow
from tests.support.hospital import CT_A, IMPORT_CD, JANE, MR_B, RICHARD, Hospital, clock
from tests.support.instances import data_offset, instance, part10, uid, with_meta
from tests.support.kept import locations, lose
from tests.support.transcoded import NATIVE, transcoded

ORDERED = "1.2.3.4.5"
KOS = "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital that knows Jane and Richard, and has ordered a study for her."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    ordered = RequestedProcedure("RP1", study_instance_uid=ORDERED)
    hospital.order(JANE, "100^^^A", "E1^^^E", accession="ACC1", procedures=(ordered,))
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    return hospital


def changed(image: Dataset, **attributes: Any) -> Dataset:
    """The same instance with other values."""
    other = deepcopy(image)
    for keyword, value in attributes.items():
        setattr(other, keyword, value)
    return other


def selected(image: Dataset) -> Dataset:
    """A key object selection that names the study of an image."""
    item, within = Dataset(), Dataset()
    item.StudyInstanceUID, within.SeriesInstanceUID = image.StudyInstanceUID, uid()
    item.ReferencedSeriesSequence = [within]
    evidence = {"CurrentRequestedProcedureEvidenceSequence": [item], "Modality": "KO"}
    return instance(SOPClassUID=KOS, PixelData=None, **evidence)


def file(hospital: Hospital, sop: str, receipt: str | None = None) -> bytes:
    """An instance as it is given out, or one of its arrivals as it came."""
    flow = RetrieveFlow(hospital.database, hospital.storage)
    found = flow.instance(sop) if receipt is None else flow.received(sop, receipt)
    return b"".join(found.file())


def given(hospital: Hospital, image: Dataset) -> Dataset:
    return pydicom.dcmread(DicomBytesIO(file(hospital, image.SOPInstanceUID)))


def counted(hospital: Hospital) -> tuple[int, ...]:
    """What nothing may be added to where the content is not new."""
    tables = (h.coercion_event, h.happening, t.hold, t.instance, t.series, t.study)
    with hospital.database.read_only() as connection:
        queries = (select(func.count()).select_from(table) for table in tables)
        return tuple(connection.execute(query).scalar_one() for query in queries)


def receipts(hospital: Hospital, image: Dataset) -> list[views_instances.Arrived]:
    with hospital.database.read_only() as connection:
        return list(views_instances.arrivals(connection, str(image.SOPInstanceUID)))


def events(hospital: Hospital, image: Dataset) -> tuple[views_audit.Event, ...]:
    with hospital.database.read_only() as connection:
        return views_audit.history(connection, str(image.SOPInstanceUID))


def items(hospital: Hospital, state: str = "open") -> dict[str, views_holds.Hold]:
    """What is held, by code."""
    with hospital.database.read_only() as connection:
        found = views_holds.holds(connection, Where(), kind="hold", state=state)
    return {each.code: each for each in found.items}


def findings(hospital: Hospital) -> list[tuple[str, str]]:
    """What `doctor` and the independent checker find."""
    doctor = Doctor(hospital.database, hospital.storage, clock)
    found = [(each.code, each.subject) for each in doctor.findings()]
    checked = CheckFlow(hospital.database, hospital.storage).instances()
    wrong = {each.sop_instance_uid for each in checked if not each.ok}
    return found + [("check", uid) for uid in sorted(wrong)]


def resolve(
    hospital: Hospital, hold_id: Any, action: str, source: Source = CT_A, **said: Any
) -> None:
    """As a steward does it."""
    store = StoreFlow(hospital.database, hospital.storage, hospital.rules, clock, "resolve")
    flow = ResolveFlow(store, lambda _: source)
    wanted = {"reason": "the console was wrong", "actor": "steward", **said}
    flow.resolve(Wanted(str(hold_id), action, **wanted))


def replaced(hospital: Hospital, first: Dataset, second: Dataset) -> None:
    """The second one is given out in the place of the first one."""
    hospital.store(first)
    assert hospital.store(second).held == "DUPLICATE-DIFFERS"
    resolve(hospital, items(hospital)["DUPLICATE-DIFFERS"].id, "replace")


# -- The same content -------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=lambda s: s.name)
def test_another_transfer_syntax_is_the_same_content(hospital, syntax):
    """
    Row 78: a receipt and nothing else, answered as at first; the first one is kept.
    """
    image = instance(AccessionNumber="ACC1")
    first = hospital.store(image)
    before = counted(hospital), file(hospital, image.SOPInstanceUID)
    again = [hospital.store(transcoded(image, syntax)) for _ in range(2)]

    assert {(first.coerced, "", True)} == {(s.coerced, s.held, s.already) for s in again}
    assert before == (counted(hospital), file(hospital, image.SOPInstanceUID))
    assert [True, False, False] == [each.current for each in receipts(hospital, image)]


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=lambda s: s.name)
def test_our_own_export_is_known_in_every_transfer_syntax(hospital, syntax):
    """
    Row 77, and a viewer that wrote it in its own way: it is what is given out, so
    nothing of it is coerced.
    """
    image = instance(AccessionNumber="ACC1")
    hospital.store(image)
    before = counted(hospital)
    back = hospital.store(transcoded(given(hospital, image), syntax), IMPORT_CD)

    assert ((), "", True) == (back.coerced, back.held, back.already)
    assert before == counted(hospital)


def test_an_export_is_compared_in_its_own_uid_domain(hospital):
    """
    The same SOP Instance UID, with its patient and without: two instances, each of
    which is known when it comes back.
    """
    image = instance()
    removed = changed(image, PatientIdentityRemoved="YES", PatientID="SUBJECT")
    for each in (image, removed):
        assert not hospital.store(each).already
    with hospital.database.read_only() as connection:
        r, i = t.receipt.c, t.instance.c
        ids = connection.execute(select(r.id).join(t.instance, i.receipt_id == r.id))
        holdings = [views_instances.holding_of(connection, each) for each in ids.scalars()]
    flow = RetrieveFlow(hospital.database, hospital.storage)
    before = counted(hospital)
    for holding in filter(None, holdings):
        header = part10(image)[: data_offset(part10(image))]
        data = b"".join(flow.as_given(holding).chunks)
        back = hospital.store(pydicom.dcmread(DicomBytesIO(header + data)))
        assert ((), "", True) == (back.coerced, back.held, back.already)
    assert before == counted(hospital)


def test_what_was_given_out_earlier_is_known_too(hospital):
    """
    An export of before its references followed their study is no other content.
    """
    image = instance(AccessionNumber="ACC1")
    selection = selected(image)
    hospital.store(selection)
    exported = given(hospital, selection)
    hospital.store(image)
    assert exported != given(hospital, selection)
    before = counted(hospital)

    assert hospital.store(exported).already
    assert hospital.store(given(hospital, selection)).already
    assert before == counted(hospital)
    assert findings(hospital) == []


def test_what_is_held_and_hidden_is_compared_as_it_came(database_urls, tmp_path):
    """
    Nothing of it is given out; in another transfer syntax it is known all the same.
    """
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    image = instance(PatientID="")
    quiet = Source("QUIET", coerce=False)
    assert hospital.store(image, quiet).held == "NO-IDENTITY"
    before = counted(hospital)

    assert hospital.store(transcoded(image, NATIVE[0]), quiet).already
    assert before == counted(hospital)


def test_a_version_that_is_held_is_known_in_another_syntax(hospital):
    """
    The other content, written otherwise, is no third one.
    """
    image = instance()
    other = changed(image, SeriesDescription="right")
    hospital.store(image)
    hospital.store(other)
    before = counted(hospital)
    again = hospital.store(transcoded(other, NATIVE[0]))

    assert ((), "", True) == (again.coerced, again.held, again.already)
    assert before == counted(hospital)


def test_bytes_that_are_lost_make_nothing_alike(hospital):
    """
    What cannot be compared is held, and not taken for the same.
    """
    image = instance()
    hospital.store(image)
    [location] = locations(hospital.storage)
    lose(hospital.storage, location)

    assert hospital.store(transcoded(image, NATIVE[0])).held == "DUPLICATE-DIFFERS"


def test_a_peer_that_never_repeats_itself_is_compared_with_few(hospital):
    """
    Other contents under one UID cost the same however many there are.
    """
    image = instance()
    hospital.store(image)
    for number in range(versions.VERSIONS_MAX + 2):
        held = hospital.store(changed(image, SeriesDescription=str(number))).held
        assert held == "DUPLICATE-DIFFERS"
    with hospital.database.read_only() as connection:
        found = versions.versions(connection, "", str(image.SOPInstanceUID))

    assert versions.VERSIONS_MAX == len(found)
    assert [True] + [False] * (versions.VERSIONS_MAX - 1) == [v.current for v in found]
    assert hospital.store(transcoded(image, NATIVE[0])).already
    assert 1 == len(items(hospital))


# -- Another content, decided by a person -----------------------------------------------


@pytest.mark.parametrize(
    "other", [{"SeriesDescription": "right"}, {"PixelData": bytes(32)}], ids=list
)
def test_a_version_that_was_held_takes_the_place_of_the_first(hospital, other):
    """
    Rows 79, 80: it is given out, coerced by an event of its own; the first one keeps
    its bytes, its receipt and its event.
    """
    image = instance(AccessionNumber="ACC1")
    second = changed(image, **other)
    replaced(hospital, image, second)
    now, told = given(hospital, image), events(hospital, image)

    assert {k: now.get(k) for k in other} == {k: second.get(k) for k in other}
    assert ("E1", ORDERED) == (now.PatientID, now.StudyInstanceUID)
    assert ["c-store", "resolve"] == [each.cause for each in told]
    assert ["CT_A", "steward"] == [each.actor for each in told]
    assert told[0].new_attributes == told[1].new_attributes
    came = receipts(hospital, image)
    assert [False, True] == [each.current for each in came]
    assert [str(each.id) for each in came] == [str(each.receipt) for each in told]
    for each, dataset in zip(came, (image, second), strict=True):
        kept = file(hospital, image.SOPInstanceUID, str(each.id))
        assert kept[data_offset(kept) :] == part10(dataset)[data_offset(part10(dataset)) :]
    assert {} == items(hospital)
    assert findings(hospital) == []


def test_after_it_was_replaced_both_versions_are_known(hospital):
    """
    The new one is answered as at first, the old one and its export as kept beside it.
    """
    image = instance(AccessionNumber="ACC1")
    second = changed(image, SeriesDescription="right")
    coerced = hospital.store(image).coerced
    exported = given(hospital, image)
    replaced(hospital, image, second)
    before = counted(hospital)
    for same in (second, transcoded(second, NATIVE[0])):
        stored = hospital.store(same)
        assert (coerced, True) == (stored.coerced, stored.already)
    known = (image, transcoded(image, NATIVE[2]), exported, given(hospital, image))
    for same in (*known, transcoded(exported, NATIVE[0])):
        stored = hospital.store(same)
        assert ((), "", True) == (stored.coerced, stored.held, stored.already)
    assert before == counted(hospital)
    assert findings(hospital) == []


def test_a_correction_may_move_an_instance(hospital):
    """
    Another patient, study and class: it is filed as if it arrived now.
    """
    image = instance(AccessionNumber="ACC1")
    corrected = {"PatientID": "200", "PatientName": "ROE^RICHARD", "PatientSex": "M"}
    corrected |= {"PatientBirthDate": "19750506", "AccessionNumber": ""}
    new = {"StudyInstanceUID": uid(), "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1"}
    second = with_meta(changed(image, **corrected, **new))
    replaced(hospital, image, second)
    now = given(hospital, image)

    assert ("E2", new["StudyInstanceUID"]) == (now.PatientID, now.StudyInstanceUID)
    assert new["SOPClassUID"] == now.SOPClassUID == now.file_meta.MediaStorageSOPClassUID
    flow = RetrieveFlow(hospital.database, hospital.storage)
    with pytest.raises(NotFound):
        flow.instance(str(image.SOPInstanceUID), ORDERED)
    assert findings(hospital) == []


def test_a_version_that_nobody_can_decide_is_held_in_its_turn(hospital):
    """
    To be given out is one thing, under which identity another: the ladder holds.
    """
    replaced(hospital, image := instance(), changed(image, PatientID="200"))

    assert {"STUDY-IDENTITY-SPLIT"} == set(items(hospital))
    assert "H" == given(hospital, image).IssuerOfPatientID
    assert findings(hospital) == []


def test_one_that_is_not_coerced_takes_the_place_of_one_that_is(hospital):
    """
    And the other way round: state and history agree.
    """
    quiet = Source("QUIET", domain="A", coerce=False)
    image = instance()
    hospital.store(image, quiet)
    assert () == events(hospital, image)
    hospital.store(changed(image, SeriesDescription="right"))
    resolve(hospital, items(hospital)["DUPLICATE-DIFFERS"].id, "replace")
    assert "E1" == given(hospital, image).PatientID
    assert findings(hospital) == []
    hospital.store(changed(image, SeriesDescription="again"), quiet)
    resolve(hospital, items(hospital)["DUPLICATE-DIFFERS"].id, "replace", quiet)

    assert "100" == given(hospital, image).PatientID
    assert 1 == len(events(hospital, image))
    assert "OriginalAttributesSequence" not in given(hospital, image)
    assert findings(hospital) == []


def test_a_rejected_version_is_kept_and_not_asked_about_again(hospital):
    """
    What is given out stays; the arrival has its receipt, its bytes and a happening.
    """
    image = instance()
    second = changed(image, SeriesDescription="right")
    hospital.store(image)
    hospital.store(second)
    before = file(hospital, image.SOPInstanceUID), events(hospital, image)
    resolve(hospital, items(hospital)["DUPLICATE-DIFFERS"].id, "reject")

    assert before == (file(hospital, image.SOPInstanceUID), events(hospital, image))
    closed = items(hospital, "closed")["DUPLICATE-DIFFERS"]
    assert ("steward", 2) == (closed.closed_by, closed.version)
    assert hospital.store(second).already
    assert {} == items(hospital)
    with hospital.database.read_only() as connection:
        query = select(h.happening).where(h.happening.c.cause == "resolve")
        row = connection.execute(query).one()
    assert (str(closed.id), "steward") == (row.cause_id, row.actor)
    assert "reject" == row.explanation["action"]
    assert "the console was wrong" == row.explanation["reason"]


def test_a_third_content_after_a_decision_opens_another_item(hospital):
    """
    A decision is about what was there, not about what may still come.
    """
    image = instance()
    replaced(hospital, image, changed(image, SeriesDescription="right"))
    held = hospital.store(changed(image, SeriesDescription="third")).held

    assert ("DUPLICATE-DIFFERS", 1) == (held, len(items(hospital)))


def test_of_several_versions_one_must_be_named(hospital):
    """
    Nobody guesses which of two held contents is meant.
    """
    image = instance()
    hospital.store(image)
    for word in ("second", "third"):
        hospital.store(changed(image, SeriesDescription=word))
    hold_id = items(hospital)["DUPLICATE-DIFFERS"].id
    for receipt in ("", uid(), str(receipts(hospital, image)[0].id)):
        with pytest.raises(WrongUse, match="receipt is one of"):
            resolve(hospital, hold_id, "replace", receipt=receipt)
    resolve(hospital, hold_id, "replace", receipt=str(receipts(hospital, image)[1].id))

    assert "second" == given(hospital, image).SeriesDescription


# -- What is not done -------------------------------------------------------------------


def test_an_item_is_resolved_once(hospital):
    """
    Of two people at the same time one decides; the other learns who it was.
    """
    image = instance()
    hospital.store(image)
    hospital.store(changed(image, SeriesDescription="right"))
    hold_id = items(hospital)["DUPLICATE-DIFFERS"].id
    both, said = threading.Barrier(2), []

    def decide(action: str) -> None:
        both.wait()
        try:
            resolve(hospital, hold_id, action, actor=action)
        except AlreadyDecided as error:
            said.append((action, str(error)))

    threads = [threading.Thread(target=decide, args=(a,)) for a in ("replace", "reject")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [(late, why)] = said
    first = {"replace": "reject", "reject": "replace"}[late]
    assert why.startswith(f"resolved by {first} at ")
    assert (first == "replace") == ("SeriesDescription" in given(hospital, image))
    assert findings(hospital) == []


def test_a_stale_version_is_not_acted_on(hospital):
    """
    Who has seen another version decides about something else.
    """
    image = instance()
    hospital.store(image)
    hospital.store(changed(image, SeriesDescription="right"))
    hold_id = items(hospital)["DUPLICATE-DIFFERS"].id
    with pytest.raises(AlreadyDecided, match="version 1"):
        resolve(hospital, hold_id, "reject", version=2)

    assert 1 == len(items(hospital))


@pytest.mark.parametrize(
    ("action", "said", "why"),
    [
        ("accept", {}, "replace or reject"),
        ("", {}, "replace or reject"),
        ("reject", {"reason": "  "}, "needs a reason"),
    ],
)
def test_what_cannot_be_done_is_said(hospital, action, said, why):
    """
    And what can be is named.
    """
    image = instance()
    hospital.store(image)
    hospital.store(changed(image, SeriesDescription="right"))
    before = counted(hospital)
    with pytest.raises(WrongUse, match=why):
        resolve(hospital, items(hospital)["DUPLICATE-DIFFERS"].id, action, **said)

    assert before == counted(hospital)
    assert 1 == len(items(hospital))


def test_other_items_are_resolved_otherwise(hospital):
    """
    They stay open, and the answer says what can be done with them.
    """
    hospital.store(instance(PatientID=""))
    with pytest.raises(WrongUse, match="NO-IDENTITY is: accept or assign"):
        resolve(hospital, items(hospital)["NO-IDENTITY"].id, "replace")
    for nobodys in ("", uid(), "0192d000-0000-7000-8000-000000000000"):
        with pytest.raises(NotFound):
            resolve(hospital, nobodys, "reject")


def test_a_version_of_another_uid_domain_takes_nobodys_place(hospital):
    """
    Where its source's rules have changed since, it would be another instance.
    """
    image = instance()
    second = changed(image, PatientIdentityRemoved="YES")
    trusted = Source("CT_A", domain="A", deidentified="trust-source")
    hospital.store(image, trusted)
    assert hospital.store(second, trusted).held == "DUPLICATE-DIFFERS"
    with pytest.raises(WrongUse, match="deidentified"):
        resolve(hospital, items(hospital)["DUPLICATE-DIFFERS"].id, "replace", MR_B)

    assert "PatientIdentityRemoved" not in given(hospital, image)


# -- State and history ------------------------------------------------------------------


def test_doctor_finds_what_the_events_do_not_say(hospital):
    """
    After a replacement too, and of what was assigned later.
    """
    image = instance(AccessionNumber="ACC1")
    replaced(hospital, image, changed(image, SeriesDescription="right"))
    with hospital.database.writer.begin() as connection:
        connection.execute(update(t.instance).values(assignment_id=None, coerced_at=None))

    assert ("state-not-fold", image.SOPInstanceUID) in findings(hospital)


def test_doctor_finds_what_was_assigned_later_and_nobody_told(hospital):
    """
    A reference that followed its study is an event of its own.
    """
    image = instance(AccessionNumber="ACC1")
    selection = selected(image)
    for each in (selection, image):
        hospital.store(each)
    assert findings(hospital) == []
    with hospital.database.writer.begin() as connection:
        connection.execute(update(later_assignment).values(coerced_at=func.now()))

    assert ("state-not-fold", selection.SOPInstanceUID) in findings(hospital)
