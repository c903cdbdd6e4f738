"""What comes after the images: patients, orders, names; and what is then given out."""

from __future__ import annotations

import pytest

from tests.scenarios.acting import Patient, found, reviewed, reviews, shown, studies
from tests.scenarios.seen import (
    Seen,
    assert_coerced,
    assert_provisional,
    assigned_id,
    look,
    message,
    person,
    store,
)
from tests.support.asking import worklist
from tests.support.instances import instance, uid
from tests.support.messages import Ordered, joined
from tests.support.running import Archive, code


def now(archive: Archive, seen: Seen) -> Seen:
    """A stored instance as it is today."""
    return look(archive, seen.sent, seen.status)


def causes(seen: Seen) -> list[tuple[str, str]]:
    """What happened to an instance: level and cause of each event."""
    return [(each["level"], each["cause"]) for each in seen.events]


# -- Patients and their names ------------------------------------------------------------


def test_row_09_a_feed_links_what_was_proposed(archive: Archive):
    """9: what the header proposed is linked when a feed says it; images follow by it."""
    known = Patient("901^^^A", "XREF^XENIA", "19720202", "F")
    known.told(archive)
    other = known.image(PatientID="9777")
    seen = store(archive, known.image())
    known._replace(identifiers="901^^^A~9777^^^B").told(archive)
    late = store(archive, other, "MR_B")
    assert_coerced(late, seen.patient[0])
    assert (late.rung, late.reviews) == ("I+G:CONFIRM", set())


def test_row_66_yesterdays_name_is_the_patients_still(archive: Archive):
    """66: the scanner was told a name that is another one by the time of its images.

    The image is the patient's, under today's name and the order's study; nothing is held.
    """
    rose = Patient("966^^^A~E966^^^E", "OLDNAME^ROSE", "19830606", "F")
    rose.told(archive)
    rose.ordered(archive, Ordered(sps_id="SPS66"), accession="ACC66")
    keys = ("PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID")
    wanted = {**dict.fromkeys(keys, ""), "AccessionNumber": "ACC66"}
    [entry], codes = worklist(archive, step={"Modality": "CT"}, PatientID="966", **wanted)
    assert (codes, str(entry.PatientName)) == ([0xFF00, 0x0000], rose.name)
    rose._replace(name="NEWNAME^ROSE").told(archive, "A08")
    said = {key: entry[key].value for key in (*keys, "PatientID", "AccessionNumber")}
    seen = store(archive, instance(**said))
    assert_coerced(seen, "E966")
    assert str(seen.given.PatientName) == "NEWNAME^ROSE"
    assert str(seen.original.PatientName) == rose.name
    assert seen.given.StudyInstanceUID == entry.StudyInstanceUID
    assert seen.given.AccessionNumber == "ACC66"
    assert seen.holds == set()
    [entry], _ = worklist(archive, PatientID="966", **wanted)
    assert str(entry.PatientName) == "NEWNAME^ROSE"
    assert entry.StudyInstanceUID == seen.given.StudyInstanceUID


def test_row_20_a_message_with_the_new_name_closes_its_item(archive: Archive):
    """20: and every image is given out with it, from the acknowledgement on."""
    before = Patient("2001^^^A", "MAIDEN^MARY", "19800102", "F")
    before.told(archive)
    old = store(archive, before.image())
    married = before._replace(name="SMITH^MARY")
    seen = store(archive, married.image())
    assert seen.reviews == {"NAME-CHANGE"}
    married.told(archive, "A08")
    for each in (old, seen):
        after = now(archive, each)
        assert (after.given.PatientName, after.reviews) == (married.name, set())
        [answer] = found(archive, StudyInstanceUID=str(each.sent.StudyInstanceUID))
        assert answer.PatientName == married.name
    assert causes(now(archive, old)) == [("instance", "c-store"), ("study", "adt-a08")]


def test_row_27_what_is_stored_of_a_newborn_gets_the_name(archive: Archive):
    """27: all studies are coerced anew; what was known before can still be asked."""
    baby = Patient("2703^^^A", "KOCH^BABY GIRL A", "20260228", "F")
    baby.told(archive)
    seen = [store(archive, baby.image()) for _ in range(2)]
    between = archive.get(f"/api/v1/instances/{seen[1].sent.SOPInstanceUID}/history")
    at = between["items"][-1]["recorded_at"]
    named = baby._replace(name="KOCH^MIA")
    named.told(archive, "A08", control_id="row-27-all")
    assert message(archive, "row-27-all")["state"] == "applied"
    for each in seen:
        after = now(archive, each)
        assert (after.given.PatientName, after.reviews) == ("KOCH^MIA", set())
        assert after.original.PatientName == "KOCH^BABY GIRL A"
    assert shown(person(archive, baby.first)) == "KOCH^MIA"
    path = f"/api/v1/patients/{person(archive, baby.first)['id']}"
    assert shown(archive.get(path, as_of=at)) == "KOCH^BABY GIRL A"


def test_row_49_what_is_stored_is_given_out_as_the_patient_who_comes(archive: Archive):
    """49: verified, coerced anew, and the item closes itself."""
    known = Patient("4901^^^A", "JONES^MARTHA", "19551212", "F")
    seen = store(archive, known.image())
    assert_provisional(seen, "4901", "A", coerced=True)
    known.told(archive, "A04")
    after = now(archive, seen)
    assert after.patient == (assigned_id(archive, known.first), "E")
    assert (after.holds, after.reviews) == (set(), set())
    assert causes(after) == [("instance", "c-store"), ("study", "adt-a04")]


def test_row_50_a_message_that_contradicts_the_images_makes_another_person(
    archive: Archive,
):
    """50: the studies stay provisional and visible; a person sees both."""
    images = Patient("5001^^^A", "JONES^MABEL", "19551212", "F")
    seen = store(archive, images.image())
    before = person(archive, images.first)
    told = Patient("5001^^^A", "ROE^REGINALD", "19750506", "M")
    told.told(archive, "A04", control_id="row-50")
    owner = person(archive, told.first)
    assert (owner["state"], shown(owner)) == ("verified", told.name)
    both = {before["id"], owner["id"]}
    assert reviewed(archive, "DEMOGRAPHIC-CONFLICT", "row-50") == both
    assert now(archive, seen).given == seen.given
    [answer] = found(archive, StudyInstanceUID=str(seen.sent.StudyInstanceUID))
    assert (answer.PatientName, answer.PatientID) == (images.name, "5001")
    assert owner["studies"] == []
    assert_coerced(store(archive, told.image()), assigned_id(archive, told.first))


def test_row_77_an_export_of_before_a_merge_is_known_after_it(archive: Archive):
    """77: given out before and after an A40, sent to us again: nothing happens."""
    one = Patient("7701^^^A", "EXPORT^EVA", "19800102", "F")
    other = Patient("7702^^^A", "EXPORT^EVA", "19800102", "F")
    for each in (one, other):
        each.told(archive)
    first = store(archive, other.image())
    assert code(archive.send(joined("A40", one.first, other.first))) == "AA"
    merged = now(archive, first)
    assert merged.patient == (assigned_id(archive, one.first), "E")
    for export in (first.given, merged.given):
        again = look(archive, first.sent, archive.store(export))
        assert (again.code, again.holds) == (0, set())
        assert (again.given, again.events) == (merged.given, merged.events)


# -- Orders ------------------------------------------------------------------------------

JULIA = Patient("7101^^^A", "LATE^JULIA", "19800102", "F")


@pytest.fixture
def julia(archive: Archive) -> Patient:
    """Somebody for whom something is ordered late."""
    JULIA.told(archive)
    return JULIA


def test_row_71_an_order_with_a_uid_names_the_study(archive: Archive, julia: Patient):
    """71: nobody has used it: mapped, with one event; late images follow."""
    ordered, image = uid(), julia.image(AccessionNumber="ACC71")
    status = archive.store(image)
    julia.ordered(archive, Ordered(study_uid=ordered), accession="ACC71")
    seen = look(archive, image, status)
    assert seen.given.StudyInstanceUID == ordered
    assert seen.given.StudyDescription == "CT THORAX"
    assert causes(seen) == [("instance", "c-store"), ("study", "orm-o01")]
    late = julia.image(
        AccessionNumber="ACC71", StudyInstanceUID=str(image.StudyInstanceUID)
    )
    assert store(archive, late).given.StudyInstanceUID == ordered
    for known in (ordered, str(image.StudyInstanceUID)):
        assert studies(found(archive, StudyInstanceUID=known)) == {ordered}
    assert studies(found(archive, AccessionNumber="ACC71")) == {ordered}
    assert seen.reviews == set()


def test_row_72_a_study_that_somebody_has_keeps_its_uid(archive: Archive, julia: Patient):
    """72: retrieved before the order came: its UID finds the study too, at every door."""
    ordered = uid()
    seen = store(archive, julia.image(AccessionNumber="ACC72"))
    own = str(seen.sent.StudyInstanceUID)
    julia.ordered(archive, Ordered(study_uid=ordered), accession="ACC72")
    after = now(archive, seen)
    assert (after.given.StudyInstanceUID, after.reviews) == (own, {"LATE-ORDER"})
    assert after.given.StudyDescription == "CT THORAX"
    for known in (ordered, own):
        assert studies(found(archive, StudyInstanceUID=known)) == {own}
        assert archive.get(f"/api/v1/uids/{known}")["assigned"] == own
        path = (known, str(seen.sent.SeriesInstanceUID), str(seen.sent.SOPInstanceUID))
        assert archive.retrieve(*path).status_code == 200
    late = store(archive, julia.image(AccessionNumber="ACC72", StudyInstanceUID=ordered))
    assert late.given.StudyInstanceUID == own


def test_row_73_what_is_stored_carries_the_words_of_its_late_order(
    archive: Archive, julia: Patient
):
    """73: an order without a UID adopts the modality's."""
    seen = store(archive, julia.image(AccessionNumber="ACC73B"))
    julia.ordered(archive, accession="ACC73B")
    after = now(archive, seen)
    assert after.given.StudyInstanceUID == seen.sent.StudyInstanceUID
    assert (after.given.StudyDescription, after.reviews) == ("CT THORAX", set())
    [order] = archive.items("/api/v1/orders", accession="ACC73B")
    assert order["studies"] == [seen.sent.StudyInstanceUID]


def test_row_74_an_order_moves_with_its_images_where_they_fit(archive: Archive):
    """74: none yet: it moves. They fit: it moves with them. They do not: it stays."""
    one = Patient("7401^^^A", "MOVE^MONA", "19800102", "F")
    same = one._replace(identifiers="7402^^^A")
    other = Patient("7403^^^A", "OTHER^OSCAR", "19470404", "M")
    for each in (one, same, other):
        each.told(archive)
    images = {}
    for accession in ("ACC74A", "ACC74B", "ACC74C"):
        one.ordered(archive, accession=accession)
        if accession != "ACC74A":
            images[accession] = store(archive, one.image(AccessionNumber=accession))
    other.ordered(archive, accession="ACC74A", control="XO")
    same.ordered(archive, accession="ACC74B", control="XO")
    other.ordered(archive, accession="ACC74C", control="XO")
    owners = {
        accession: archive.items("/api/v1/orders", accession=accession)[0]["person"]
        for accession in ("ACC74A", "ACC74B", "ACC74C")
    }
    expected = dict(zip(owners, (other, same, one), strict=True))
    assert owners == {a: person(archive, p.first)["id"] for a, p in expected.items()}
    moved, stayed = (now(archive, seen) for seen in images.values())
    assert moved.patient == (assigned_id(archive, same.first), "E")
    assert causes(moved)[-1] == ("study", "orm-o01")
    assert stayed.given == images["ACC74C"].given
    assert (moved.reviews, stayed.reviews) == (set(), {"ORDER-MOVED"})


def test_row_75_a_study_of_a_cancelled_order_is_flagged(archive: Archive, julia: Patient):
    """75: it stays, and a person is told at once, without another image."""
    julia.ordered(archive, accession="ACC75B")
    seen = store(archive, julia.image(AccessionNumber="ACC75B"))
    julia.ordered(archive, accession="ACC75B", control="CA")
    after = now(archive, seen)
    assert (after.given, after.reviews) == (seen.given, {"ORDER-CLOSED"})
    assert seen.sent.StudyInstanceUID in {
        each["study_instance_uid"] for each in reviews(archive, "ORDER-CLOSED")
    }
