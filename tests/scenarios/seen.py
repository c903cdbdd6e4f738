"""What the public faces show of one stored instance."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from tests.support.running import Archive

SUCCESS, COERCED = 0x0000, 0xB000


@dataclass(frozen=True)
class Seen:
    """An instance after it was stored.

    Attributes:
        sent: as its sender sent it.
        status: of the C-STORE, with its related fields.
        given: as it is given out over DICOMweb.
        events: its coercion history.
        explained: of its study.
    """

    sent: Dataset
    status: Dataset
    given: Dataset
    events: list[Any]
    explained: dict[str, Any]

    @property
    def code(self) -> int:
        return int(self.status.Status)

    @property
    def offending(self) -> set[str]:
        """Keywords of Offending Element."""
        found = self.status.get("OffendingElement") or []
        listed = [found] if isinstance(found, int) else found
        return {pydicom.datadict.keyword_for_tag(tag) for tag in listed}

    @property
    def patient(self) -> tuple[str, str]:
        """(Patient ID, issuer) as given out."""
        return str(self.given.PatientID), str(self.given.get("IssuerOfPatientID", ""))

    @property
    def original(self) -> Dataset:
        """The previous values that the last Original Attributes item keeps."""
        kept = self.given.OriginalAttributesSequence[-1]
        previous: Dataset = kept.ModifiedAttributesSequence[0]
        return previous

    @property
    def rung(self) -> str:
        """The rungs that decided the latest of its study's decisions."""
        return str(self.explained["decisions"][-1]["rung"])

    @property
    def outcome(self) -> str:
        return str(self.explained["decisions"][-1]["outcome"])

    def items(self, kind: str) -> dict[str, Any]:
        """What is open for the study, by code."""
        return {i["code"]: i for i in self.explained["open_items"] if i["kind"] == kind}

    @property
    def holds(self) -> set[str]:
        return set(self.items("hold"))

    @property
    def reviews(self) -> set[str]:
        return set(self.items("review"))

    def candidates(self, code: str, kind: str = "hold") -> list[Any]:
        """Who is suggested in an open item."""
        found: list[Any] = self.items(kind)[code]["candidates"]
        return found


def unnumbered(events: list[Any]) -> list[Any]:
    """Events without their place in the sealed log, which they are given meanwhile."""
    return [{**each, "number": None} for each in events]


def store(archive: Archive, image: Dataset, ae: str = "CT_A") -> Seen:
    """Store an instance and look at it through every public face."""
    return look(archive, image, archive.store(image, ae))


def look(archive: Archive, image: Dataset, status: Dataset) -> Seen:
    """A stored instance, retrieved by the UIDs that its sender knows."""
    sop = str(image.SOPInstanceUID)
    study, series = str(image.StudyInstanceUID), str(image.SeriesInstanceUID)
    answer = archive.retrieve(study, series, sop).raise_for_status()
    return Seen(
        image,
        status,
        pydicom.dcmread(BytesIO(answer.content)),
        unnumbered(archive.get(f"/api/v1/instances/{sop}/history")["items"]),
        archive.get(f"/api/v1/studies/{study}/explain"),
    )


def assert_coerced(seen: Seen, assigned: str) -> None:
    """C(E1): B000, the assigned ID with issuer E, the original kept, an audit row."""
    assert seen.code == COERCED
    assert seen.offending >= {"PatientID", "IssuerOfPatientID"}
    assert seen.patient == (assigned, "E")
    assert seen.outcome == "coerce"
    assert seen.holds == set()
    sent = str(seen.sent.get("PatientID") or "").strip(" \0")
    assert str(seen.original.PatientID or "").strip(" \0") == sent
    [event] = seen.events
    assert event["patient"] == {"id": assigned, "issuer": "E"}
    assert (event["cause"], event["reason"]) == ("c-store", "COERCE")


def assert_provisional(seen: Seen, local_id: str, issuer: str, *, coerced: bool) -> None:
    """PROV: a person of its own under the local ID; the issuer filled in is a coercion."""
    assert seen.code == (COERCED if coerced else SUCCESS)
    assert ("IssuerOfPatientID" in seen.offending) == coerced
    assert "PatientID" not in seen.offending
    assert seen.patient == (local_id, issuer)
    assert seen.outcome == "provisional"
    assert seen.holds == set()
    assert "PROVISIONAL" in seen.reviews
    assert len(seen.events) == int(coerced)


def assert_held(seen: Seen, code: str) -> None:
    """Q(code): stored, an item on the worklist, given out under an ID of domain H."""
    assert seen.code == COERCED
    assert seen.holds == {code}
    given_id, issuer = seen.patient
    assert (given_id[:1], issuer) == ("H", "H")
    assert "OtherPatientIDsSequence" not in seen.given
    for keyword in ("PatientName", "PatientBirthDate", "StudyDate"):
        assert seen.given.get(keyword) == seen.sent.get(keyword)
    [event] = seen.events
    assert event["patient"] == {"id": given_id, "issuer": "H"}


def person(archive: Archive, identifier: str) -> Any:
    """The person who owns an identifier."""
    [found] = archive.items("/api/v1/patients", identifier=identifier)
    return found


def assigned_id(archive: Archive, identifier: str) -> str:
    """The archive's own Patient ID of the person who owns an identifier."""
    found = person(archive, identifier)["identifiers"]
    own = [each for each in found if each["issuer"] == "E" and each["state"] != "merged"]
    [assigned] = own
    return str(assigned["id"])


def message(archive: Archive, control_id: str) -> Any:
    """A message in the inbox."""
    [found] = archive.items("/api/v1/messages", control_id=control_id)
    return found


def held_messages(archive: Archive, code: str) -> list[Any]:
    """Messages that wait for a person, the newest last."""
    return archive.items("/api/v1/holds", kind="message", code=code, state="open")
