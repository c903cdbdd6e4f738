"""What a held message does once its cause is mended; an archive of these rows' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.acting import Patient, post, reviews, same, waiting
from tests.scenarios.seen import (
    assert_provisional,
    assigned_id,
    look,
    message,
    person,
    store,
)
from tests.support.database import Cluster
from tests.support.messages import joined
from tests.support.running import HOSPITAL, Archive, code

HOLDS = """
[holds]
temporary_hours = 0
"""
CLINIC = """
[[domain]]
name = "CLINIC9"

[[feed]]
application = "RIS_9"
authority = ["CLINIC9"]
"""


@pytest.fixture(scope="module")
def mended(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive whose configuration is to be mended, and where a day has no hours."""
    folder = tmp_path_factory.mktemp("mended")
    with cluster.database() as urls, Archive(folder, urls, HOSPITAL + HOLDS) as opened:
        yield opened


def replay(archive: Archive, control_id: str) -> None:
    told = message(archive, control_id)
    assert post(archive, f"/api/v1/messages/{told['id']}/replay").is_success


def test_row_29_a_temporary_patient_is_listed_after_the_time_of_grace(
    mended: Archive, archive: Archive
):
    """29: the item is there at once; on the worklist after 24 hours, or as configured."""
    trauma = Patient("TR-29^^^T", "UNKNOWN^MALE 3", "19000101", "M")
    image = trauma.image(IssuerOfPatientID="T")
    for each, is_listed in ((mended, True), (archive, False)):
        seen = store(each, image)
        assert_provisional(seen, "TR-29", "T", coerced=False)
        waiting_for = {i["study_instance_uid"] for i in reviews(each, "PROVISIONAL")}
        assert (seen.sent.StudyInstanceUID in waiting_for) == is_listed


def test_row_06_a_held_message_is_replayed_when_its_domain_is_known(mended: Archive):
    """6: after the domain is configured, and its images are its patient's."""
    known = Patient("6^^^CLINIC9", "CLINIC^CLARA", "19800102", "F")
    image = known.image(IssuerOfPatientID="CLINIC9")
    seen = store(mended, image, "IMPORT_CD")
    assert_provisional(seen, "6", "CLINIC9", coerced=False)
    known.told(mended, "A08", control_id="row-6-held")
    assert waiting(mended, "UNKNOWN-DOMAIN", "row-6-held")
    mended.stop()
    given = ', "R", "V"'
    assert given in HOSPITAL
    config = HOSPITAL.replace(given, given + ', "CLINIC9"')
    mended.config = config + HOLDS + CLINIC
    mended.start()
    replay(mended, "row-6-held")
    assert message(mended, "row-6-held")["state"] == "applied"
    assert person(mended, known.first)["state"] == "verified"
    now = look(mended, image, seen.status)
    assert now.patient == (assigned_id(mended, known.first), "E")


def test_row_10_a_message_of_two_persons_is_replayed_when_they_are_one(archive: Archive):
    """10: what was held does what it says, once a merge has made its cause go away."""
    one = Patient("1001^^^A", "TWO^TESS", "19800102", "F")
    other = one._replace(identifiers="1002^^^B")
    for each in (one, other):
        each.told(archive)
    both = one._replace(identifiers="1001^^^A~1002^^^B", name="TWO^TESSA")
    both.told(archive, "A08", control_id="row-10-held")
    assert waiting(archive, "IDENTITY-CONFLICT", "row-10-held")
    merged = joined("A40", one.first, other.first, sender="EMPI")
    assert code(archive.send(merged)) == "AA"
    replay(archive, "row-10-held")
    assert message(archive, "row-10-held")["state"] == "applied"
    assert same(archive, one.first, other.first)
    assert store(archive, both.image()).given.PatientName == "TWO^TESSA"
