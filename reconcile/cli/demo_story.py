"""What happens in the sample hospital: two scanners, two feeds, and one bare Patient ID.

Every patient here is invented. The story acts only through the front doors; what it
tells of each instance was asked of the archive afterwards, over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydicom.dataset import Dataset

from reconcile.cli.demo_doors import Answered, Doors, NotTaken
from reconcile.cli.demo_images import CT_FILE, MR_FILE, image, new_uid, patient, study

JANE = patient("100", "DOE^JANE", "19800102", "F")
ANNA = patient("100", "MEIER^ANNA", "19900304", "F")
#: Jane's number, typed in for somebody else.
MISTAKEN = patient("100", "ROE^RICHARD", "19750506", "M")

#: Attributes that a demonstration shows where they came, or are given out.
SHOWN = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "StudyInstanceUID",
)


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story: what came by a feed, and what it was answered."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of an instance, before and after; None: it is not there."""

    keyword: str
    received: str | None
    given_out: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One instance of the story, as its scanner, and as anyone after it, sees it."""

    title: str
    scanner: str
    sop_instance_uid: str
    answered: Answered
    rows: tuple[Row, ...]
    why: tuple[str, ...]
    held: str


class Story:
    """The sample hospital's day, told through `doors`."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.order_uid = new_uid()
        self._ordered = {**study(), "StudyDescription": "THORAX", "AccessionNumber": "ACC5"}
        self.first = new_uid()

    def messages(self) -> list[Told]:
        """What the two feeds say before any image comes."""
        told = [
            ("RIS_A registers Jane Doe as 100 of A, E1 of E", _adt("RIS_A", JANE_PID)),
            ("RIS_B registers Anna Meier as 100 of B", _adt("RIS_B", ANNA_PID)),
            (
                "RIS_A orders a chest CT for Jane: accession ACC5, a Study UID of its own",
                _order(self.order_uid),
            ),
        ]
        return [self._say(text, message) for text, message in told]

    def images(self) -> Iterator[Shown]:
        """What the scanners send, and what becomes of it."""
        yield self._sent(
            "CT of Jane Doe: an order names it",
            "CT_A",
            image(CT_FILE, **JANE, **self._ordered, SOPInstanceUID=self.first),
        )
        yield self._sent(
            "MR of Anna Meier: the same bare ID at another scanner, and no order",
            "MR_B",
            image(MR_FILE, **ANNA, **study(), StudyDescription="HEAD"),
        )
        yield self._sent(
            "CT under Jane's ID, with the name and birth date of somebody else",
            "CT_A",
            image(CT_FILE, **MISTAKEN, **study(), StudyDescription="ABDOMEN"),
        )

    def late_image(self) -> Shown:
        """One more image of the first study; its scanner knows its own Study UID only."""
        late = image(CT_FILE, **JANE, **self._ordered, InstanceNumber="2")
        return self._sent("one more image of the first study", "CT_A", late)

    def _sent(self, title: str, scanner: str, instance: Dataset) -> Shown:
        answered = self.doors.send(scanner, instance)[0]
        return self._shown(title, scanner, instance, answered)

    def _say(self, text: str, message: str) -> Told:
        answer = self.doors.tell(message)
        if answer != "AA":
            raise NotTaken(f"the archive answered {answer or 'nothing'} to: {text}")
        return Told(text, answer)

    def _shown(self, title: str, scanner: str, sent: Dataset, answer: Answered) -> Shown:
        uid = str(sent.SOPInstanceUID)
        received = self.doors.image(uid, "received")
        given_out = self.doors.image(uid, "file")
        decision = self._decision(str(sent.StudyInstanceUID), uid)
        return Shown(
            title,
            scanner,
            uid,
            answer,
            tuple(_rows(received, given_out)),
            tuple(decision["sentences"]),
            self._held(uid),
        )

    def _decision(self, study_uid: str, uid: str) -> dict[str, Any]:
        """How this instance was decided, as the archive explains it."""
        explained = self.doors.ask(f"/api/v1/studies/{study_uid}/explain")
        history = self.doors.ask(f"/api/v1/instances/{uid}/history")["items"]
        happenings = {event["happening"] for event in history}
        decisions: list[dict[str, Any]] = explained["decisions"]
        for decision in decisions:
            if happenings.intersection(decision["happenings"]):
                return decision
        raise NotTaken(f"no coercion is recorded for instance {uid}")

    def _held(self, uid: str) -> str:
        held = self.doors.ask("/api/v1/holds", kind="hold", state="open")["items"]
        codes = [item["code"] for item in held if uid in item["sop_instance_uids"]]
        return codes[0] if codes else ""


def _rows(received: Dataset, given_out: Dataset) -> list[Row]:
    rows = [Row(k, _value(received, k), _value(given_out, k)) for k in SHOWN]
    return [row for row in rows if row.received or row.given_out]


def _value(dataset: Dataset, keyword: str) -> str | None:
    return str(dataset.get(keyword) or "") if keyword in dataset else None


# -- What the feeds say ---------------------------------------------------------------

JANE_PID = "PID|1||100^^^HISA~E1^^^E||DOE^JANE||19800102|F"
ANNA_PID = "PID|1||100^^^B||MEIER^ANNA||19900304|F"


def _msh(sender: str, event: str, control_id: str) -> str:
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    start = f"MSH|^~\\&|{sender}|HOSPITAL|RECONCILE|HOSPITAL|{now}||{event}|{control_id}"
    return f"{start}|P|2.5.1||||||UNICODE UTF-8"


def _adt(sender: str, pid: str) -> str:
    head = _msh(sender, "ADT^A04^ADT_A01", f"{sender}-1")
    return _segments(head, "EVN||20260301080000", pid, "PV1|1|O")


def _order(study_uid: str) -> str:
    return _segments(
        _msh("RIS_A", "OMI^O23^OMI_O23", "RIS_A-2"),
        JANE_PID,
        "PV1|1|O||||||77^HOUSE^GREGORY^^^DR",
        "ORC|NW|P5^HIS|F5^RIS||SC",
        "TQ1|1||||||20260301081500",
        "OBR|1|P5^HIS|F5^RIS|CTCH^CT of the chest^99RIS",
        f"IPC|ACC5^A^1.2.3.1^ISO|RP5|{study_uid}|SPS5|CT|CTCH^CT of the chest^99RIS|||CT_A",
    )


def _segments(*segments: str) -> str:
    return "".join(f"{each}\r" for each in segments)
