"""What was sent on, and is corrected then: each destination learns of it in its own way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pydicom.dataset import Dataset

from tests.scenarios.acting import Patient, post
from tests.scenarios.seen import assigned_id
from tests.support.door import CT, EXPLICIT
from tests.support.messages import joined
from tests.support.retrieving import Taker, taker
from tests.support.running import Archive, code

CODE = "FORWARDED-CORRECTED"


@pytest.fixture
def taken(peers: dict[str, int]) -> Iterator[dict[str, Taker]]:
    """The peers, open."""
    with ExitStack() as stack:
        yield {
            title: stack.enter_context(taker(port, title, {CT: [EXPLICIT]}))
            for title, port in peers.items()
        }


def pair(row: int) -> tuple[Patient, Patient]:
    one = Patient(f"{row}71^^^A", "FORWARD^FIONA", "19800102", "F")
    return one, Patient(f"{row}72^^^A", "FORWARD^FIONA", "19800102", "F")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not holds():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.2)


def ids(of: Taker, image: Dataset) -> list[str]:
    """Patient IDs under which an image came, in turn; nothing else comes for it."""
    came = [
        each for each in list(of.datasets) if each.SOPInstanceUID == image.SOPInstanceUID
    ]
    return [str(each.PatientID) for each in came]


def sent(
    archive: Archive, row: int, taken: dict[str, Taker]
) -> tuple[Patient, Patient, Dataset, str]:
    """Two patients, an image of the first one that both peers have, and its ID there."""
    one, other = pair(row)
    for each in (one, other):
        each.told(archive)
    image = one.image()
    archive.store(image, "FWD_CT")
    until(lambda: all(len(ids(peer, image)) == 1 for peer in taken.values()))
    return one, other, image, ids(taken["task"], image)[0]


def told(archive: Archive, image: Dataset) -> list[str]:
    """Open items that ask a person to tell a destination of this image's study."""
    items = archive.items("/api/v1/holds", code=CODE, state="open")
    uid = str(image.SOPInstanceUID)
    return [each["source"] for each in items if uid in each["sop_instance_uids"]]


def corrected(
    archive: Archive, taken: dict[str, Taker], image: Dataset, before: str, times: int = 2
) -> str:
    """Sent again to the one, told once of the other; under which ID it came at last."""
    until(lambda: len(ids(taken["resend"], image)) == times)
    until(lambda: told(archive, image) == ["task"])
    assert ids(taken["task"], image) == [before]
    return ids(taken["resend"], image)[-1]


def test_row_35_a_merge_reaches_who_was_sent_images(
    archive: Archive, taken: dict[str, Taker]
) -> None:
    """35: the images of the subsumed patient, under the survivor's ID."""
    one, other, image, before = sent(archive, 35, taken)
    text = joined("A40", other.first, one.first)
    assert code(archive.send(text)) == "AA"
    after = corrected(archive, taken, image, before)
    assert after == assigned_id(archive, other.first) != before


def test_row_45_a_stewards_word_reaches_who_was_sent_images(
    archive: Archive, taken: dict[str, Taker]
) -> None:
    """45: the study goes to its new patient there, too."""
    _, other, image, before = sent(archive, 45, taken)
    path = f"/api/v1/studies/{image.StudyInstanceUID}/assign"
    assert post(archive, path, patient=other.first).status_code == 201
    after = corrected(archive, taken, image, before)
    assert after == assigned_id(archive, other.first) != before


def test_row_60_what_is_taken_back_reaches_who_was_sent_images(
    archive: Archive, taken: dict[str, Taker]
) -> None:
    """60: the undo of a wrong decision is sent after it."""
    _, other, image, before = sent(archive, 60, taken)
    path = f"/api/v1/studies/{image.StudyInstanceUID}/assign"
    done = post(archive, path, patient=other.first)
    corrected(archive, taken, image, before)
    event = done.json()["events"][0]["id"]
    assert post(archive, f"/api/v1/coercions/{event}/undo").status_code == 201
    assert corrected(archive, taken, image, before, times=3) == before


def test_row_63_each_destination_learns_of_a_correction_in_its_own_way(
    archive: Archive, taken: dict[str, Taker]
) -> None:
    """63: once for a change, also when it is said again; how far it is can be seen."""
    one, other, image, before = sent(archive, 63, taken)
    for _ in range(2):
        assert code(archive.send(joined("A40", other.first, one.first))) == "AA"
    corrected(archive, taken, image, before)
    study = str(image.StudyInstanceUID)
    for title, count in (("resend", 2), ("task", 1)):
        asked = {"destination": title, "study": study, "done": "true"}
        [row] = archive.get("/api/v1/deliveries", **asked)["items"]
        assert (row["sent"], row["waiting"], row["refused"]) == (count, 0, 0)
    classes = {each.SOPClassUID for peer in taken.values() for each in peer.datasets}
    assert classes == {CT}, "no rejection note is sent for a merge"
