"""What people and systems of the scenarios do: they tell of patients, and they ask."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx
from pydicom.dataset import Dataset

from tests.scenarios.seen import held_messages, message, person
from tests.support.asking import find
from tests.support.instances import instance
from tests.support.messages import adt, orm
from tests.support.running import Archive, code

ANSWERED = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "StudyInstanceUID"),
    "AccessionNumber",
)


class Patient(NamedTuple):
    """Somebody of whom the first identifier is in the header of their images."""

    identifiers: str
    name: str
    birth_date: str
    sex: str

    @property
    def first(self) -> str:
        """ID^^^DOMAIN."""
        return self.identifiers.split("~")[0]

    @property
    def local_id(self) -> str:
        return self.first.split("^^^")[0]

    def told(self, archive: Archive, event: str = "A28", **said: Any) -> None:
        """A feed tells of them, and is acknowledged."""
        text = adt(event, *self, **{"sender": "EMPI", **said})
        assert code(archive.send(text)) == "AA"

    def ordered(self, archive: Archive, *procedures: Any, **said: Any) -> None:
        """Something is ordered for them, or an order of theirs is changed."""
        assert code(archive.send(orm(*self, *procedures, **said))) == "AA"

    def image(self, **attributes: Any) -> Dataset:
        """An image with what is known of them."""
        known: dict[str, Any] = {
            "PatientID": self.local_id,
            "PatientName": self.name,
            "PatientBirthDate": self.birth_date,
            "PatientSex": self.sex,
        }
        return instance(**{**known, **attributes})


def found(archive: Archive, title: str = "VIEWER", **keys: str) -> list[Dataset]:
    """Studies that a peer is answered with, over C-FIND; QIDO-RS says the same ones."""
    wanted = {"QueryRetrieveLevel": "STUDY", **dict.fromkeys(ANSWERED, ""), **keys}
    answers, codes = find(archive, title=title, **wanted)
    assert codes[-1] == 0
    if title == "VIEWER":
        told = archive.http.get("/dicom-web/studies", params=keys).raise_for_status()
        listed = told.json() if told.content else []
        assert {each["0020000D"]["Value"][0] for each in listed} == studies(answers)
    return answers


def studies(answers: list[Dataset]) -> set[str]:
    """Study Instance UIDs of answers."""
    return {str(each.StudyInstanceUID) for each in answers}


def same(archive: Archive, *identifiers: str) -> bool:
    """Whether all of these are one person's."""
    return 1 == len({person(archive, each)["id"] for each in identifiers})


def shown(known: Any) -> str:
    """The name that a person is shown with."""
    name: str = known["demographics"]["00100010"]["Value"][0]["Alphabetic"]
    return name


def reviews(archive: Archive, code: str, state: str = "open") -> list[Any]:
    """What wants one's eye, the newest last."""
    return archive.items("/api/v1/holds", kind="review", code=code, state=state)


def reviewed(archive: Archive, code: str, control_id: str) -> set[str]:
    """The persons of the one review that a message gave rise to."""
    told = message(archive, control_id)["id"]
    [item] = [each for each in reviews(archive, code) if each["message_id"] == told]
    return {each["patient"] for each in item["candidates"]}


def waiting(archive: Archive, code: str, control_id: str) -> Any:
    """The item of a message that waits for a person."""
    told = message(archive, control_id)
    assert told["state"] == "held"
    found = held_messages(archive, code)
    [item] = [each for each in found if each["message_id"] == told["id"]]
    return item


def post(archive: Archive, path: str, **said: Any) -> httpx.Response:
    """What a steward is answered."""
    return archive.http.post(path, json={"reason": "seen by both", **said})


def resolve(
    archive: Archive, held: dict[str, Any], action: str, **said: Any
) -> httpx.Response:
    """What a steward is answered who decides of an item as they saw it."""
    path = f"/api/v1/holds/{held['id']}/resolve"
    return post(archive, path, action=action, version=held["version"], **said)
