"""What was given out at a time, to the byte, whatever became of it since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconcile.core.identity import PersonName
from reconcile.db.embedded import Urls
from reconcile.errors import NotFound
from reconcile.flows.retrieve import RetrieveFlow
from tests.integration.test_web import served
from tests.support.canonical import answers
from tests.support.generated import Drawn
from tests.support.given import disagreements
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance
from tests.support.story import Act, Archive


def file_at(hospital: Hospital, uid: str, when: datetime) -> bytes:
    flow = RetrieveFlow(hospital.database, hospital.storage)
    return b"".join(flow.as_of(uid, when).file())


@pytest.mark.parametrize("seed", [3, 11])
def test_every_file_of_every_time_can_be_had_again(
    database_urls: Urls, tmp_path: Path, seed: int
) -> None:
    """
    Through updates, merges, orders, resolutions and undoing, of what stores did too: what
    was given out then is what is answered of then.
    """
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    archive, drawn, rng = Archive(hospital), Drawn(Random(seed)), Random(seed)
    seen: list[tuple[datetime, dict[str, bytes]]] = []
    for number in range(36):
        step = drawn.step(archive)
        if step is not None:
            archive.do(step)
        if number % 6 == 5:
            archive.do(Act("undo", rng.randrange(len(archive.happenings()))))
            seen.append((datetime.now(UTC), answers(hospital).files))
    changed = set()
    for when, files in seen:
        for uid, file in files.items():
            assert file_at(hospital, uid, when) == file, (uid, when)
            changed |= {uid} if file != seen[-1][1].get(uid) else set()
    assert changed
    assert disagreements(hospital) == []
    hospital.database.close()


def test_the_api_answers_of_a_time(database_urls: Urls, tmp_path: Path) -> None:
    """Before it came there was none; afterwards as it was then; no time is told as such."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A")
    image = instance()
    began = datetime.now(UTC)
    hospital.store(image)
    uid = str(image.SOPInstanceUID)
    with pytest.raises(NotFound):
        file_at(hospital, uid, began - timedelta(seconds=1))
    path = f"/api/v1/instances/{uid}/file"
    with served(hospital) as client:
        now = client.get(path).raise_for_status().content
        later = client.get(path, params={"as_of": datetime.now(UTC).isoformat()})
        assert later.content == now
        assert client.get(path, params={"as_of": "2001-01-01"}).status_code == 404
        assert client.get(path, params={"as_of": "soon"}).status_code == 400
        between = datetime.now(UTC).isoformat()
        hospital.patient(replace(JANE, name=PersonName("SMITH^JANE")), "100^^^A")
        study = f"/api/v1/studies/{image.StudyInstanceUID}/given-out"
        names = []
        for when in (between, ""):
            answer = client.get(study, params={"as_of": when}).raise_for_status()
            [told] = answer.json()["items"]
            assert told["sop_instance_uid"] == uid
            names.append(told["elements"]["PatientName"]["Value"])
        assert names == [[{"Alphabetic": "DOE^JANE"}], [{"Alphabetic": "SMITH^JANE"}]]
        assert client.get("/api/v1/studies/1.2.3/given-out").status_code == 404
    hospital.database.close()
