"""What was given out at a time, to the byte, whatever became of it since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconcile.db.embedded import Urls
from reconcile.errors import NotFound
from reconcile.flows.retrieve import RetrieveFlow
from tests.integration.test_web import served
from tests.support.canonical import answers
from tests.support.generated import Drawn
from tests.support.given import disagreements
from tests.support.hospital import Hospital
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
    hospital.database.close()
